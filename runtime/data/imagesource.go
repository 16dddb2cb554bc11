package data

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// imageSource decodes the files of one split when they are asked for.
type imageSource struct {
	spec   ImageSpec
	fields []Field
	root   string
	files  []imageFile
	fail   bool
	cache  *pixelCache
	pixels []atomic.Pointer[[]byte] // by file; nil while not cached

	mu sync.Mutex
	// broken holds what is wrong with files that could not be decoded; unlisted what the scan already left out.
	broken   map[int]error
	unlisted []string
}

func newImageSource(cfg ImageFolderConfig, labels []string, root string, files []imageFile, broken []string, cache *pixelCache) *imageSource {
	return &imageSource{
		spec: cfg.ImageSpec,
		fields: []Field{
			{Name: "image", DType: tensor.F32, Shape: []int{cfg.Height, cfg.Width, cfg.Channels}},
			{Name: "label", DType: tensor.I32, Labels: labels},
		},
		root: root, files: files, fail: cfg.OnCorrupt == Fail,
		cache: cache, pixels: make([]atomic.Pointer[[]byte], len(files)),
		broken: map[int]error{}, unlisted: broken,
	}
}

func (s *imageSource) Len() int          { return len(s.files) }
func (s *imageSource) Fields() []Field   { return s.fields }
func (s *imageSource) Name(i int) string { return s.files[i].path }

// At writes image i; in the place of a broken one it writes the next good one, starting over behind the last.
// Which one that is depends on the files alone, so that a run can be repeated.
func (s *imageSource) At(i int, dst []*tensor.Tensor, row int) error {
	for k := range s.files {
		j := (i + k) % len(s.files)
		pix, err := s.load(j)
		if err == nil {
			s.write(j, pix, dst, row)
			return nil
		}
		if s.fail || errors.Is(err, errVanished) {
			return s.fatal(j, err)
		}
	}
	return fmt.Errorf("%s: none of %s can be read; the first is %s", s.root, plural(len(s.files), "image", "images"), s.Skipped()[len(s.unlisted)])
}

// AtOnly writes image i, or returns ErrBroken.
func (s *imageSource) AtOnly(i int, dst []*tensor.Tensor, row int) error {
	pix, err := s.load(i)
	switch {
	case err == nil:
		s.write(i, pix, dst, row)
		return nil
	case s.fail || errors.Is(err, errVanished):
		return s.fatal(i, err)
	}
	return ErrBroken
}

func (s *imageSource) write(i int, pix []byte, dst []*tensor.Tensor, row int) {
	writeBytes(dst[0], row, pix)
	dst[1].I32[row] = s.files[i].label
}

// errVanished is the error of a file that was there when the folder was listed. It is not passed over as a broken one is: the run would go on
// with other examples than it began with, and one that is resumed would not see the same ones.
var errVanished = errors.New("it was there when the program started, and is gone")

func (s *imageSource) fatal(i int, err error) error {
	if errors.Is(err, errVanished) {
		return fmt.Errorf("the image %s cannot be read: %w", filepath.Join(s.root, filepath.FromSlash(s.files[i].path)), err)
	}
	return fmt.Errorf("broken image %s: %w", filepath.Join(s.root, filepath.FromSlash(s.files[i].path)), err)
}

// load returns the resized pixels of file i.
func (s *imageSource) load(i int) ([]byte, error) {
	if cached := s.pixels[i].Load(); cached != nil {
		return *cached, nil
	}
	s.mu.Lock()
	err := s.broken[i]
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(s.root, filepath.FromSlash(s.files[i].path))
	r, err := loadImage(path, s.spec)
	if errors.Is(err, fs.ErrNotExist) {
		if _, gone := os.Lstat(path); gone != nil { // else a link that leads nowhere
			return nil, errVanished
		}
	}
	if err != nil {
		s.mu.Lock()
		s.broken[i] = err
		s.mu.Unlock()
		return nil, err
	}
	s.cache.keep(&s.pixels[i], r.pix)
	return r.pix, nil
}

func (s *imageSource) Skipped() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := slices.Clone(s.unlisted)
	indices := make([]int, 0, len(s.broken))
	for i := range s.broken {
		indices = append(indices, i)
	}
	slices.Sort(indices)
	for _, i := range indices {
		lines = append(lines, fmt.Sprintf("%s: %v", s.files[i].path, s.broken[i]))
	}
	return lines
}

// LoadImage reads one image file.
//
// Shapes: [1, spec.Height, spec.Width, spec.Channels], a batch of one; values 0…255.
// Errors: a file that cannot be read or decoded, named; a spec out of range.
func LoadImage(path string, spec ImageSpec) (*tensor.Tensor, error) {
	file, err := readFile(path, maxFileSize)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	t, err := DecodeImage(file, spec)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// DecodeImage is LoadImage for the contents of a file.
func DecodeImage(file []byte, spec ImageSpec) (*tensor.Tensor, error) {
	spec = spec.withDefaults()
	if err := spec.check(); err != nil {
		return nil, err
	}
	r, err := decodeImage(file, spec)
	if err != nil {
		return nil, err
	}
	t := tensor.New(tensor.F32, 1, spec.Height, spec.Width, spec.Channels)
	writeBytes(t, 0, r.pix)
	return t, nil
}

// IsImage reports whether a file begins like an image of one of the formats read.
func IsImage(file []byte) bool { return formatOf(file[:min(len(file), sniffLen)]) != "" }

// loadImage decodes and resizes; its errors do not name the file.
func loadImage(path string, spec ImageSpec) (raster, error) {
	file, err := readFile(path, maxFileSize)
	if err != nil {
		return raster{}, err
	}
	return decodeImage(file, spec)
}

func decodeImage(file []byte, spec ImageSpec) (raster, error) {
	r, err := decode(file, spec.Orientation, spec.MaxPixels)
	if err != nil {
		return raster{}, err
	}
	return r.fitted(spec.Width, spec.Height, spec.Channels, spec.Resize), nil
}

// readFile returns a regular file's contents, if they are at most limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, withoutPath(err)
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("the file has %d bytes; more than %d are refused", info.Size(), limit)
	}
	file := make([]byte, info.Size())
	if _, err := io.ReadFull(f, file); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, errors.New("the file became shorter while it was read")
		}
		return nil, withoutPath(err)
	}
	return file, nil
}
