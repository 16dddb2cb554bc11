package data

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// WAVConfig says where recordings are: in Train, Validation and Test, or in Path, to be split.
type WAVConfig struct {
	Root                    string
	Train, Validation, Test string // folders, or "" for none
	// Path is one folder; the files of each class are dealt as Division says.
	Path string
	Division
	// Rate is what all files must have, in samples a second; 0: that of the first file.
	Rate int
	// Window, if not 0, makes all examples that many samples long: what is longer is cut, zeros follow what is shorter. Frame, if not 0,
	// cuts the samples into rows of that many, the last one filled up with zeros.
	Window, Frame int
	// Label says what a file's class is: "folder", the folder that it lies in, or a pattern of the file's name with {label} in it, as in
	// "{label}_*.wav", where * stands for anything; "" for no classes.
	Label string
	// Names are the classes in the order of their ids; if nil, those found.
	Names []string
}

// WAV returns sources of recordings: the field sound, f32[window], f32[window/frame, frame], or as long as each recording is, see
// Ragged; and label i32 if there are classes. Samples lie in [-1, 1]; channels are mixed down to one. Files stay on disk.
//
// Errors: a folder without recordings, a file that is no WAVE file, of another rate, or without a class; settings out of range.
func WAV(cfg WAVConfig) (*Dataset, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	pattern, err := labelPattern(cfg.Label)
	if err != nil {
		return nil, err
	}
	s := &wavScan{cfg: cfg, pattern: pattern}
	if cfg.Path != "" {
		if err := s.scan(cfg.Path, -1); err != nil {
			return nil, err
		}
	}
	for k, folder := range [3]string{cfg.Train, cfg.Validation, cfg.Test} {
		if folder == "" {
			continue
		}
		if err := s.scan(folder, k); err != nil {
			return nil, fmt.Errorf("%s data: %w", splitNames[k], err)
		}
	}
	return s.finish()
}

func (cfg WAVConfig) check() error {
	separate := cfg.Train != "" || cfg.Validation != "" || cfg.Test != ""
	switch {
	case !separate && cfg.Path == "":
		return errors.New("no folder of recordings is given: name a training folder, or one folder to be split")
	case separate && cfg.Path != "":
		return fmt.Errorf("both one folder to be split (%s) and separate folders are given: use one or the other", cfg.Path)
	case cfg.Rate < 0 || cfg.Window < 0 || cfg.Frame < 0 || cfg.Window > 1<<28 || cfg.Frame > 1<<24:
		return fmt.Errorf("rate %d, window %d, frames %d: out of range", cfg.Rate, cfg.Window, cfg.Frame)
	}
	if cfg.Path != "" {
		return cfg.Division.check()
	}
	return nil
}

// labelPattern turns "{label}_*.wav" into a regular expression; nil for other kinds of labels.
func labelPattern(label string) (*regexp.Regexp, error) {
	if label == "" || label == "folder" {
		return nil, nil
	}
	if strings.Count(label, "{label}") != 1 {
		return nil, fmt.Errorf(`label %q: it is "folder", or a pattern of file names with {label} in it, such as "{label}_*.wav"`, label)
	}
	text := regexp.QuoteMeta(label)
	text = strings.Replace(text, regexp.QuoteMeta("{label}"), "(.+?)", 1)
	return regexp.Compile("^" + strings.ReplaceAll(text, regexp.QuoteMeta("*"), ".*") + "$")
}

// wavScan is what the folders hold.
type wavScan struct {
	cfg     WAVConfig
	pattern *regexp.Regexp
	files   []recording
	parts   [3][]int32
	classes interner
	rated   string // the file that gave the rate
	rate    int
	ignored int
}

// recording is one file.
type recording struct {
	path, name string
	wav        *wavFile
	label      int32
}

// scan reads the headers of all recordings below a folder, in the order of their paths.
func (s *wavScan) scan(folder string, split int) error {
	root := resolveIn(s.cfg.Root, filepath.FromSlash(folder))
	first := len(s.files)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && path == root:
			return fmt.Errorf("there is no folder %s", root)
		case err != nil:
			return fmt.Errorf("cannot read %s: %w", path, withoutPath(err))
		case hidden(d.Name()) && path != root:
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		case !strings.EqualFold(filepath.Ext(path), ".wav"):
			s.ignored++
			return nil
		}
		return s.add(root, path)
	})
	if err != nil {
		return err
	}
	if len(s.files) == first {
		return fmt.Errorf("%s holds no .wav files", root)
	}
	if split >= 0 {
		for i := first; i < len(s.files); i++ {
			s.parts[split] = append(s.parts[split], int32(i))
		}
	}
	return nil
}

func (s *wavScan) add(root, path string) error {
	name, err := filepath.Rel(root, path)
	if err != nil {
		name = path
	}
	name = filepath.ToSlash(name)
	w, err := readWAVFile(path)
	if err != nil {
		return fmt.Errorf("broken recording %s: %w", path, err)
	}
	switch {
	case s.rate == 0 && s.cfg.Rate == 0:
		s.rate, s.rated = w.rate, name
	case s.rate == 0:
		s.rate = s.cfg.Rate
	}
	if w.rate != s.rate {
		why := "the program says"
		if s.rated != "" {
			why = s.rated + " has"
		}
		return fmt.Errorf("%s has %d samples a second, but %s %d: convert the file", path, w.rate, why, s.rate)
	}
	r := recording{path: path, name: name, wav: w}
	if s.cfg.Label != "" {
		class, err := s.classOf(name)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		r.label = s.classes.add(class)
	}
	s.files = append(s.files, r)
	return nil
}

func readWAVFile(path string) (*wavFile, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, withoutPath(err)
	}
	return readWAVHeader(f, info.Size())
}

// classOf is the class of a file by its path below the folder of its split.
func (s *wavScan) classOf(name string) (string, error) {
	if s.pattern == nil {
		class, _, ok := strings.Cut(name, "/")
		if !ok {
			return "", errors.New(`it lies in no class's folder; set label: "{label}_*.wav" or the like if the file's name says the class`)
		}
		return class, nil
	}
	m := s.pattern.FindStringSubmatch(name[strings.LastIndexByte(name, '/')+1:])
	if m == nil {
		return "", fmt.Errorf("its name does not have the form %q", s.cfg.Label)
	}
	return m[1], nil
}

// finish numbers the classes, splits and makes the sources.
func (s *wavScan) finish() (*Dataset, error) {
	ds := &Dataset{}
	if s.cfg.Label != "" {
		labels, renumbered := s.classes.sorted()
		if s.cfg.Names != nil {
			for _, r := range s.files {
				if class := s.classes.names[r.label]; !slices.Contains(s.cfg.Names, class) {
					return nil, fmt.Errorf("%s is of class %q, which is not among the %d that the program knows", r.path, class, len(s.cfg.Names))
				}
			}
			labels, renumbered = s.cfg.Names, s.classes.known(s.cfg.Names)
		}
		for i := range s.files {
			s.files[i].label = renumbered[s.files[i].label]
		}
		ds.Labels = labels
	}
	if s.cfg.Path != "" {
		if err := s.split(len(ds.Labels)); err != nil {
			return nil, err
		}
	}
	all := &wavSource{files: s.files, fields: s.fields(ds.Labels), window: s.cfg.Window, frame: s.cfg.Frame}
	var sizes []string
	for k, slot := range [3]*Source{&ds.Train, &ds.Validation, &ds.Test} {
		if part := s.parts[k]; len(part) > 0 {
			*slot = Subset(all, part)
			sizes = append(sizes, fmt.Sprintf("%d %s", len(part), splitNames[k]))
		}
	}
	note := fmt.Sprintf("%d samples a second: %s", s.rate, strings.Join(sizes, ", "))
	if s.cfg.Path != "" {
		note += fmt.Sprintf(" (%s)", s.cfg.Division)
	}
	ds.Notes = []string{note}
	if s.ignored > 0 {
		ds.Notes = append(ds.Notes, plural(s.ignored, "file is", "files are")+" not .wav and ignored")
	}
	return ds, nil
}

// split deals each class's files to the splits.
func (s *wavScan) split(classes int) error {
	dealt := 0
	for class := range max(1, classes) {
		var files []int32
		for i, r := range s.files {
			if int(r.label) == class {
				files = append(files, int32(i))
			}
		}
		for k, part := range s.cfg.deal(uint64(class), len(files), dealt) {
			for _, i := range part {
				s.parts[k] = append(s.parts[k], files[i])
			}
		}
		dealt += len(files)
	}
	return s.cfg.enough(s.cfg.Path+" holds "+plural(len(s.files), "recording", "recordings"), [3]int{len(s.parts[0]), len(s.parts[1]), len(s.parts[2])})
}

func (s *wavScan) fields(labels []string) []Field {
	sound := Field{Name: "sound", DType: tensor.F32, Shape: []int{-1}}
	length := s.cfg.Window
	if s.cfg.Frame > 0 {
		length = (s.cfg.Window + s.cfg.Frame - 1) / s.cfg.Frame
		sound.Shape = append(sound.Shape, s.cfg.Frame)
	}
	fields := []Field{sound}
	if length > 0 {
		fields[0].Shape[0] = length
	} else {
		fields = append(fields, Field{Name: LengthField("sound"), DType: tensor.I32})
	}
	if labels != nil {
		fields = append(fields, Field{Name: "label", DType: tensor.I32, Labels: labels})
	}
	return fields
}

// wavSource decodes recordings when they are asked for.
type wavSource struct {
	files         []recording
	fields        []Field
	window, frame int
}

func (s *wavSource) Len() int          { return len(s.files) }
func (s *wavSource) Fields() []Field   { return s.fields }
func (s *wavSource) Name(i int) string { return s.files[i].name }

func (s *wavSource) LengthOf(i, _ int) int {
	n := s.files[i].wav.frames
	if s.frame > 0 {
		n = (n + int64(s.frame) - 1) / int64(s.frame)
	}
	return int(n)
}

func (s *wavSource) At(i int, dst []*tensor.Tensor, row int) error {
	r := s.files[i]
	n := elementsOf(dst[0])
	out := dst[0].F32[row*n:][:n]
	if s.window > 0 {
		clear(out[s.window:]) // of the last row of frames
		out = out[:s.window]
	}
	f, err := os.Open(r.path)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", r.path, withoutPath(err))
	}
	defer f.Close()
	if err := r.wav.samples(f, out); err != nil {
		return fmt.Errorf("broken recording %s: %w", r.path, err)
	}
	for k, field := range s.fields[1:] {
		v := r.label
		if field.Name != "label" {
			v = int32(s.LengthOf(i, 0))
		}
		dst[k+1].I32[row] = v
	}
	return nil
}
