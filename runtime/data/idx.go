package data

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// IDXFiles names a pair of IDX files, each of which may be gzip-compressed.
type IDXFiles struct{ Images, Labels string }

// IDXConfig says where the IDX files of a data set are.
type IDXConfig struct {
	// Root is the folder that the files are relative to.
	Root string
	// Train is needed; Validation and Test may be empty.
	Train, Validation, Test IDXFiles
	// ValidationFraction of the training examples, chosen by Seed, becomes the validation split if there are no files for it.
	ValidationFraction float64
	Seed               uint64
}

// IDX returns sources over files in MNIST's format, with the fields image f32[height, width, 1], values 0…255, and label i32,
// named "0" to "9", or further if the labels go further. Files that are not compressed stay on disk.
//
// Errors: files that are missing or not in the format, whose sizes contradict each other, or settings out of range.
// Source: LeCun, Cortes, Burges, "The MNIST database", file formats.
func IDX(cfg IDXConfig) (*Dataset, error) {
	if f := cfg.ValidationFraction; !(f >= 0 && f < 1) {
		return nil, fmt.Errorf("a validation fraction of %v: it must be at least 0 and below 1", f)
	}
	if cfg.ValidationFraction > 0 && cfg.Validation != (IDXFiles{}) {
		return nil, errors.New("both validation files and a fraction of the training examples for validation are given: use one or the other")
	}
	if cfg.Train == (IDXFiles{}) {
		return nil, errors.New("no IDX files for training are given")
	}
	ds := &Dataset{}
	var opened []*idxSource
	classes := 10
	for k, slot := range [3]*Source{&ds.Train, &ds.Validation, &ds.Test} {
		files := [3]IDXFiles{cfg.Train, cfg.Validation, cfg.Test}[k]
		if files == (IDXFiles{}) {
			continue
		}
		s, err := openIDXPair(cfg.Root, files)
		if err != nil {
			return nil, fmt.Errorf("%s data: %w", splitNames[k], err)
		}
		if len(opened) > 0 && s.images.example() != opened[0].images.example() {
			return nil, fmt.Errorf("%s holds images of %v, %s of %v", opened[0].images.name, opened[0].images.example(), s.images.name, s.images.example())
		}
		classes = max(classes, s.classes)
		opened = append(opened, s)
		*slot = s
	}
	for i := range classes {
		ds.Labels = append(ds.Labels, strconv.Itoa(i))
	}
	for _, s := range opened {
		e := s.images.example()
		s.fields = []Field{
			{Name: "image", DType: tensor.F32, Shape: e[:]},
			{Name: "label", DType: tensor.I32, Labels: ds.Labels},
		}
	}
	how := ""
	if f := cfg.ValidationFraction; f > 0 {
		parts := divide(cfg.Seed, 0, ds.Train.Len(), [3]float64{1 - f, f})
		if len(parts[0]) == 0 || len(parts[1]) == 0 {
			return nil, fmt.Errorf("%d training examples are too few for a validation fraction of %g", ds.Train.Len(), f)
		}
		ds.Validation, ds.Train = Subset(ds.Train, parts[1]), Subset(ds.Train, parts[0])
		how = fmt.Sprintf(" (split by seed %d)", cfg.Seed)
	}
	note := fmt.Sprintf("%d training", ds.Train.Len())
	if ds.Validation != nil {
		note += fmt.Sprintf(", %d validation%s", ds.Validation.Len(), how)
	}
	if ds.Test != nil {
		note += fmt.Sprintf(", %d test", ds.Test.Len())
	}
	ds.Notes = []string{note}
	return ds, nil
}

// idxSource is a pair of IDX files.
type idxSource struct {
	images  *idxFile
	labels  []byte
	classes int
	fields  []Field
	rows    sync.Pool // of *[]byte, one image each
}

// openIDXPair opens the images and reads the labels.
func openIDXPair(root string, files IDXFiles) (*idxSource, error) {
	switch {
	case files.Images == "":
		return nil, fmt.Errorf("the labels %s have no file of images beside them", files.Labels)
	case files.Labels == "":
		return nil, fmt.Errorf("the images %s have no file of labels beside them", files.Images)
	}
	images, err := openIDX(resolveIn(root, files.Images))
	if err != nil {
		return nil, err
	}
	labelFile, err := openIDX(resolveIn(root, files.Labels))
	if err != nil {
		return nil, err
	}
	return pairIDX(images, labelFile)
}

// pairIDX checks that a file of images and one of labels belong together.
func pairIDX(images, labelFile *idxFile) (*idxSource, error) {
	switch {
	case len(images.dims) != 3:
		return nil, fmt.Errorf("%s has %d dimensions, not the 3 of a file of images (examples, height, width)", images.name, len(images.dims))
	case len(labelFile.dims) != 1:
		return nil, fmt.Errorf("%s has %d dimensions, not the 1 of a file of labels", labelFile.name, len(labelFile.dims))
	case images.dims[0] != labelFile.dims[0]:
		return nil, fmt.Errorf("%s holds %d images, but %s holds %d labels", images.name, images.dims[0], labelFile.name, labelFile.dims[0])
	case images.dims[0] == 0:
		return nil, fmt.Errorf("%s holds no images", images.name)
	case images.dims[1] == 0 || images.dims[2] == 0:
		return nil, fmt.Errorf("%s holds images of %d × %d pixels", images.name, images.dims[1], images.dims[2])
	}
	labels, err := labelFile.read(0, labelFile.dims[0], nil)
	if err != nil {
		return nil, err
	}
	s := &idxSource{images: images, labels: labels}
	for _, l := range labels {
		s.classes = max(s.classes, int(l)+1)
	}
	return s, nil
}

func resolveIn(root, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(root, path)
}

func (s *idxSource) Len() int          { return len(s.labels) }
func (s *idxSource) Fields() []Field   { return s.fields }
func (s *idxSource) Name(i int) string { return fmt.Sprintf("%s, image %d", s.images.name, i) }

func (s *idxSource) At(i int, dst []*tensor.Tensor, row int) error {
	buffer, _ := s.rows.Get().(*[]byte)
	if buffer == nil {
		buffer = new([]byte)
	}
	defer s.rows.Put(buffer)
	size := s.images.dims[1] * s.images.dims[2]
	pix, err := s.images.read(i*size, size, buffer)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Name(i), err)
	}
	writeBytes(dst[0], row, pix)
	dst[1].I32[row] = int32(s.labels[i])
	return nil
}

// idxFile is an array of bytes in an IDX file, in memory or on disk.
type idxFile struct {
	name string
	dims []int
	mem  []byte      // the elements, or
	disk io.ReaderAt // where they are, from offset on
	off  int64
}

// example returns the shape of one image.
func (f *idxFile) example() [3]int { return [3]int{f.dims[1], f.dims[2], 1} }

// read returns n elements from `from` on. What is on disk is read into *buffer, made longer if need be; nil is a new one.
func (f *idxFile) read(from, n int, buffer *[]byte) ([]byte, error) {
	if f.mem != nil || f.disk == nil {
		return f.mem[from:][:n], nil
	}
	if buffer == nil {
		buffer = new([]byte)
	}
	if cap(*buffer) < n {
		*buffer = make([]byte, n)
	}
	out := (*buffer)[:n]
	// A reader may say that it reached the end when it gave all that was asked for.
	if got, err := f.disk.ReadAt(out, f.off+int64(from)); err != nil && got < n {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the file has become shorter")
		}
		return nil, withoutPath(err)
	}
	return out, nil
}

const (
	// maxInflated bounds what a compressed IDX file may hold, in bytes; a larger one can be unpacked and is read from disk then.
	maxInflated = 2 << 30
	// maxInflation is the most that deflate packs: 258 bytes in 2 bits.
	maxInflation = 1032
)

// openIDX opens an IDX file, compressed or not.
func openIDX(path string) (*idxFile, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, withoutPath(err))
	}
	idx, err := newIDXFile(f, info.Size())
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	idx.name = filepath.Base(path)
	if idx.disk == nil {
		f.Close()
	}
	return idx, nil
}

// newIDXFile reads the header of an IDX file of the given size, and the elements if it is compressed.
func newIDXFile(file io.ReaderAt, size int64) (*idxFile, error) {
	section := io.NewSectionReader(file, 0, size)
	var magic [2]byte
	if _, err := io.ReadFull(section, magic[:]); err != nil {
		return nil, fmt.Errorf("%d bytes are too few for an IDX file", size)
	}
	if _, err := section.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	if magic != [2]byte{0x1f, 0x8b} {
		dims, n, err := readIDXHeader(section)
		if err != nil {
			return nil, err
		}
		off := int64(4 + 4*len(dims))
		if size-off != n {
			return nil, fmt.Errorf("the header says %v, which takes %d bytes, but %d follow", dims, n, size-off)
		}
		return &idxFile{dims: dims, disk: file, off: off}, nil
	}
	unzip, err := gzip.NewReader(section)
	if err != nil {
		return nil, err
	}
	dims, n, err := readIDXHeader(unzip)
	if err != nil {
		return nil, err
	}
	switch {
	case n > size*maxInflation:
		return nil, fmt.Errorf("the header says %v, more than %d compressed bytes can hold", dims, size)
	case n > maxInflated:
		return nil, fmt.Errorf("the header says %v, which takes %d bytes of memory; unpack the file (gunzip), then it is read from disk", dims, n)
	}
	// Grown by what there is, not by what the header claims.
	var elements bytes.Buffer
	got, err := io.Copy(&elements, io.LimitReader(unzip, n+1))
	switch {
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("cannot be unpacked: %w", err)
	case err != nil || got < n:
		return nil, fmt.Errorf("the file is truncated: the header says %v, which takes %d bytes, but %d follow", dims, n, got)
	case got > n:
		return nil, fmt.Errorf("the header says %v, which takes %d bytes, but more follow", dims, n)
	}
	return &idxFile{dims: dims, mem: elements.Bytes()}, nil
}

// readIDXHeader returns the dimensions and their product.
func readIDXHeader(r io.Reader) ([]int, int64, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, 0, idxHeaderError(err)
	}
	const unsignedByte = 8
	switch {
	case head[0] != 0 || head[1] != 0 || head[3] == 0:
		return nil, 0, fmt.Errorf("not an IDX file: it begins with % x", head)
	case head[2] != unsignedByte:
		return nil, 0, fmt.Errorf("its elements have type 0x%02x; only bytes (0x08) are read", head[2])
	case head[3] > 4:
		return nil, 0, fmt.Errorf("it has %d dimensions; images have 3, labels 1", head[3])
	}
	dims := make([]int, head[3])
	n := int64(1)
	for i := range dims {
		var d [4]byte
		if _, err := io.ReadFull(r, d[:]); err != nil {
			return nil, 0, idxHeaderError(err)
		}
		size := int64(binary.BigEndian.Uint32(d[:]))
		dims[i] = int(size)
		if size > 0 && n > (1<<40)/size {
			return nil, 0, fmt.Errorf("its header says dimensions of %v and more, beyond any file", dims[:i+1])
		}
		n *= size
	}
	return dims, n, nil
}

func idxHeaderError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the file ends within its header")
	}
	return err
}
