package train

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"

	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/atomicfile"
)

// Note [Checkpoint file]
//
// A checkpoint file is, numbers little-endian:
//
//	8 bytes   "NNCCKPT\n"
//	4 bytes   version, 1
//	4 bytes   length of the header
//	          the header, JSON (type header)
//	          the values of header.Cells and header.Kept one after another, row-major; a bool is one byte, 0 or 1
//	32 bytes  SHA-256 of all that stands before
//
// It is written beside its final place, brought to the disk and then renamed: whenever the machine stops, there is a whole one.

const (
	checkpointMagic   = "NNCCKPT\n"
	checkpointVersion = 1
	// maxHeader bounds the JSON: a million epochs of history, or as many cells, stay below it.
	maxHeader = 256 << 20
)

// errNotCheckpoint says that a file is not a checkpoint at all, damaged or not: it belongs to somebody else.
var errNotCheckpoint = errors.New("it is not a checkpoint of nnc")

// writeCheckpoint replaces the file at path, or leaves it as it was and returns an error.
func writeCheckpoint(path string, ck *checkpoint) error {
	return atomicfile.Write(path, 0o644, ck.encode)
}

// withoutPath drops the name of the file that is written in a file's place: the user knows only the latter.
func withoutPath(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	var linkErr *os.LinkError
	if errors.As(err, &linkErr) {
		return linkErr.Err
	}
	return err
}

func (ck *checkpoint) encode(w io.Writer) error {
	sum := sha256.New()
	out := bufio.NewWriterSize(&besides{w, sum}, 1<<20)
	text, err := json.Marshal(&ck.header)
	if err != nil {
		return err
	}
	if len(text) > maxHeader {
		return fmt.Errorf("the state of the run needs %d bytes beside the tensors; at most %d can be written", len(text), maxHeader)
	}
	prefix := append([]byte(checkpointMagic), 0, 0, 0, 0, 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(prefix[8:], checkpointVersion)
	binary.LittleEndian.PutUint32(prefix[12:], uint32(len(text)))
	out.Write(prefix) // errors stay in out until Flush
	out.Write(text)
	for _, v := range slices.Concat(ck.values, ck.kept) {
		if err := v.WriteElements(out); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	_, err = w.Write(sum.Sum(nil))
	return err
}

// besides writes to a file while it adds to a sum on another thread: each of them takes as long as the other.
type besides struct {
	file io.Writer
	sum  hash.Hash
}

// Write is that of the file.
func (b *besides) Write(p []byte) (int, error) {
	added := make(chan struct{})
	go func() {
		b.sum.Write(p)
		close(added)
	}()
	defer func() { <-added }()
	return b.file.Write(p)
}

// readCheckpoint reads the file at path.
//
// Errors: fs.ErrNotExist; errNotCheckpoint; a file that is cut off, damaged or of another version.
func readCheckpoint(path string) (*checkpoint, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("checkpoint %s: %w", path, withoutPath(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errNotCheckpoint
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoint %s: %w", path, err)
	}
	ck, err := decodeCheckpoint(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("checkpoint %s: %w", path, err)
	}
	return ck, nil
}

// decodeCheckpoint reads a checkpoint of size bytes. It allocates no more than a small multiple of size.
func decodeCheckpoint(r io.ReaderAt, size int64) (*checkpoint, error) {
	prefix := make([]byte, 16)
	if n, err := r.ReadAt(prefix, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	} else if n < len(checkpointMagic) || string(prefix[:8]) != checkpointMagic {
		return nil, errNotCheckpoint
	}
	body := size - int64(len(prefix)) - sha256.Size
	if body < 0 {
		return nil, fmt.Errorf("it is cut off after %d bytes", size)
	}
	if version := binary.LittleEndian.Uint32(prefix[8:]); version != checkpointVersion {
		return nil, fmt.Errorf("it has version %d of the format; this nnc reads version %d", version, checkpointVersion)
	}
	if err := verifySum(r, size); err != nil {
		return nil, err
	}
	length := int64(binary.LittleEndian.Uint32(prefix[12:]))
	if length > body || length > maxHeader {
		return nil, fmt.Errorf("its header claims %d bytes of %d", length, body)
	}
	text := make([]byte, length)
	if _, err := r.ReadAt(text, int64(len(prefix))); err != nil {
		return nil, err
	}
	ck := &checkpoint{}
	if err := json.Unmarshal(text, &ck.header); err != nil {
		return nil, fmt.Errorf("its header cannot be read: %w", err)
	}
	if err := ck.check(); err != nil {
		return nil, err
	}
	if err := checkSizes(slices.Concat(ck.Cells, ck.Kept), body-length); err != nil {
		return nil, err
	}
	values := bufio.NewReaderSize(io.NewSectionReader(r, int64(len(prefix))+length, body-length), 1<<16)
	var err error
	if ck.values, err = decodeTensors(values, ck.Cells); err != nil {
		return nil, err
	}
	if ck.kept, err = decodeTensors(values, ck.Kept); err != nil {
		return nil, err
	}
	return ck, nil
}

// verifySum compares the last bytes with the sum of all before them.
func verifySum(r io.ReaderAt, size int64) error {
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(r, 0, size-sha256.Size)); err != nil {
		return err
	}
	want := make([]byte, sha256.Size)
	if _, err := r.ReadAt(want, size-sha256.Size); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if !bytes.Equal(sum.Sum(nil), want) {
		return errors.New("it is damaged or cut off: its checksum does not match its contents")
	}
	return nil
}

// check looks for contradictions in a header.
func (h *header) check() error {
	switch {
	case h.Step < 0 || h.Epoch < 0 || h.EpochStep < 0 || h.Steps < 0 || h.Epochs < 0 || h.Examples < 0 || h.EpochStep > h.Steps:
		return fmt.Errorf("its position is impossible: step %d, epoch %d, step %d of %d in the epoch", h.Step, h.Epoch, h.EpochStep, h.Steps)
	case len(h.Names) != len(h.Sums):
		return fmt.Errorf("it has %d sums for %d values", len(h.Sums), len(h.Names))
	case h.KeptEpoch < 0 || h.KeptEpoch > h.Epoch || (h.KeptEpoch == 0) != (len(h.Kept) == 0):
		return fmt.Errorf("it has %d tensors of the impossible epoch %d", len(h.Kept), h.KeptEpoch)
	case len(h.History) != h.Epoch:
		return fmt.Errorf("it has the values of %d epochs after %d epochs", len(h.History), h.Epoch)
	}
	return nil
}

// checkSizes demands that the tensors of cells take exactly size bytes.
func checkSizes(cells []cellInfo, size int64) error {
	left := size
	for _, c := range cells {
		width := int64(elementSize(c.DType))
		if width == 0 {
			return fmt.Errorf("cell %s has elements of the unknown type %q", c.Name, c.DType)
		}
		n := width
		for _, d := range c.Shape {
			if d < 0 || d != 0 && n > math.MaxInt64/int64(d) {
				return fmt.Errorf("cell %s has the impossible shape %v", c.Name, c.Shape)
			}
			n *= int64(d)
		}
		if n > left {
			return fmt.Errorf("cell %s claims %d bytes, but only %d are there", c.Name, n, left)
		}
		left -= n
	}
	if left != 0 {
		return fmt.Errorf("%d bytes behind the last cell belong to nothing", left)
	}
	return nil
}

// elementSize returns bytes; 0 for a type that there is not.
func elementSize(dtype string) int {
	switch d, _ := tensor.ParseDType(dtype); d {
	case tensor.F32, tensor.I32:
		return 4
	case tensor.F64:
		return 8
	case tensor.Bool:
		return 1
	}
	return 0
}

func decodeTensors(r *bufio.Reader, cells []cellInfo) ([]*tensor.Tensor, error) {
	var values []*tensor.Tensor
	for _, c := range cells {
		v, err := decodeTensor(r, c)
		if err != nil {
			return nil, fmt.Errorf("cell %s: %w", c.Name, err)
		}
		values = append(values, v)
	}
	return values, nil
}

func decodeTensor(r *bufio.Reader, c cellInfo) (*tensor.Tensor, error) {
	d, _ := tensor.ParseDType(c.DType)
	t := tensor.New(d, c.Shape...)
	if err := t.ReadElements(r); err != nil {
		return nil, err
	}
	return t, nil
}
