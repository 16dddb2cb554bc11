package data

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// imageFile is one image by its path under the scanned folder, with slashes, and the id of its class.
type imageFile struct {
	path  string
	label int32
}

// classFolder is a folder of images of one class.
type classFolder struct {
	name  string
	files []imageFile
}

// folderScan is what a folder of class folders holds.
type folderScan struct {
	root    string
	classes []classFolder
	// broken are lines on files named like images that are none.
	broken []string
	// ignored counts files that are not images, unlisted the folders that Classes leaves out.
	ignored, unlisted int
}

func (s *folderScan) classNames() []string {
	names := make([]string, len(s.classes))
	for i, c := range s.classes {
		names[i] = c.name
	}
	return names
}

// counts returns "cats 1000, dogs 1000".
func (s *folderScan) counts() string {
	parts := make([]string, len(s.classes))
	for i, c := range s.classes {
		parts[i] = fmt.Sprintf("%s %d", c.name, len(c.files))
	}
	return strings.Join(parts, ", ")
}

// ignoredNotes says what the scans left out.
func ignoredNotes(scans []*folderScan) []string {
	var notes []string
	for _, s := range scans {
		if s.ignored > 0 {
			notes = append(notes, fmt.Sprintf("%s: %s not JPEG, PNG, GIF or BMP and ignored", s.root, plural(s.ignored, "file is", "files are")))
		}
		if s.unlisted > 0 {
			notes = append(notes, fmt.Sprintf("%s: %s not among the listed classes and ignored", s.root, plural(s.unlisted, "folder is", "folders are")))
		}
	}
	return notes
}

// layout tells how the files must lie.
func layout(root string) string {
	return fmt.Sprintf("expected one folder of images per class, such as %s and %s",
		filepath.Join(root, "cats", "1.jpg"), filepath.Join(root, "dogs", "1.jpg"))
}

// scanClasses reads which images the class folders of root hold: those listed, or all if classes is nil.
func scanClasses(root string, classes []string) (*folderScan, error) {
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no folder %s; %s", root, layout(root))
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the folder %s (%w); %s", root, err, layout(root))
	}
	s := &folderScan{root: root}
	var folders []string
	images := 0
	for _, e := range entries {
		path := filepath.Join(root, e.Name())
		info, err := os.Stat(path) // follows links
		switch {
		case hidden(e.Name()) || err != nil:
		case info.IsDir():
			folders = append(folders, e.Name())
		case hasImageName(e.Name()):
			images++
			s.ignored++
		default:
			s.ignored++
		}
	}
	if classes == nil {
		classes = folders
	}
	slices.Sort(folders)
	switch {
	case len(folders) == 0 && images > 0:
		return nil, fmt.Errorf("%s holds %s but no class folders; %s", root, plural(images, "image", "images"), layout(root))
	case len(folders) == 0:
		return nil, fmt.Errorf("%s holds no class folders; %s", root, layout(root))
	}
	for _, name := range classes {
		if !slices.Contains(folders, name) {
			return nil, fmt.Errorf("%s has no class folder %q; it has %s", root, name, strings.Join(folders, ", "))
		}
	}
	s.unlisted = len(folders) - len(classes)
	for i, name := range classes {
		s.classes = append(s.classes, classFolder{name: name})
		if err := s.scanClass(int32(i)); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// scanClass finds the images of one class, also in folders below, in Keras's order: a folder's own files, sorted, then the
// folders below by their path.
func (s *folderScan) scanClass(label int32) error {
	c := &s.classes[label]
	ignored, broken := s.ignored, len(s.broken)
	dirs := []string{c.name}
	seen := map[string]bool{}
	for i := 0; i < len(dirs); i++ {
		// A folder reached twice through links would repeat its images, or never end.
		resolved, err := filepath.EvalSymlinks(s.file(dirs[i]))
		if err == nil && seen[resolved] {
			dirs[i] = ""
			continue
		}
		seen[resolved] = true
		entries, err := os.ReadDir(s.file(dirs[i]))
		if err != nil {
			return fmt.Errorf("cannot read the folder %s: %w", s.file(dirs[i]), err)
		}
		for _, e := range entries {
			path := dirs[i] + "/" + e.Name()
			if hidden(e.Name()) {
				continue
			}
			if info, err := os.Stat(s.file(path)); err == nil && info.IsDir() {
				dirs = append(dirs, path)
				continue
			}
			s.scanFile(c, path, label)
		}
	}
	slices.SortStableFunc(c.files, func(a, b imageFile) int {
		if d := strings.Compare(parent(a.path), parent(b.path)); d != 0 {
			return d
		}
		return strings.Compare(a.path, b.path)
	})
	slices.Sort(s.broken[broken:])
	if len(c.files) == 0 {
		why := ""
		if n := s.ignored - ignored; n > 0 {
			why = fmt.Sprintf(" (%s not JPEG, PNG, GIF or BMP)", plural(n, "file is", "files are"))
		} else if n := len(s.broken) - broken; n > 0 {
			why = fmt.Sprintf(" (%s broken, such as %s)", plural(n, "file is", "files are"), s.broken[broken])
		}
		return fmt.Errorf("the class folder %s holds no images%s; %s", s.file(c.name), why, layout(s.root))
	}
	return nil
}

func parent(path string) string { return path[:strings.LastIndexByte(path, '/')] }

func (s *folderScan) file(path string) string { return filepath.Join(s.root, filepath.FromSlash(path)) }

// scanFile counts a file as image, broken or ignored by its first bytes.
func (s *folderScan) scanFile(c *classFolder, path string, label int32) {
	head, err := readHead(s.file(path))
	switch {
	case err == nil && formatOf(head) != "":
		c.files = append(c.files, imageFile{path, label})
	case !hasImageName(path):
		s.ignored++
	case err != nil:
		s.broken = append(s.broken, fmt.Sprintf("%s: %v", path, err))
	case len(head) == 0:
		s.broken = append(s.broken, path+": the file is empty")
	default:
		s.broken = append(s.broken, path+": not a JPEG, PNG, GIF or BMP image")
	}
}

// readHead returns a file's first bytes. What is not a regular file is not opened: a pipe would wait for ever.
func readHead(path string) ([]byte, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, sniffLen)
	n, err := io.ReadFull(f, head)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return head[:n], err
}

func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f, err := os.Open(path)
	return f, withoutPath(err)
}

// withoutPath drops the path from an operating system's error, for messages that name the file already.
func withoutPath(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

func hidden(name string) bool { return strings.HasPrefix(name, ".") }

// hasImageName tells whether a file claims to be an image of one of the formats read.
func hasImageName(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".jpg", ".jpeg", ".png", ".gif", ".bmp":
		return true
	}
	return false
}
