package train

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/atomicfile"
	"github.com/nnc-lang/nnc/runtime/data"
)

// sample returns a checkpoint with something in every field.
func sample() *checkpoint {
	ck := &checkpoint{header: header{
		File: "a.nn", Train: 1, Label: "L", Seed: -3,
		Cells: []cellInfo{
			{"w", "param", "f32[2]", "f32", []int{2}},
			{"d", "slot", "f32[]", "f64", []int{}},
			{"n", "state", "i32[1, 2]", "i32", []int{1, 2}},
			{"f", "stream", "bool[2]", "bool", []int{2}},
		},
		progress: progress{
			Epochs: 5, Steps: 4, Step: 6, Epoch: 1, EpochStep: 2,
			Cursor: data.Cursor{Pass: 1, Batch: 2, Examples: 10, BatchSize: 4, Shuffle: true, Seed: math.MaxUint64},
			Names:  []string{"loss", "x"}, Sums: []exact{exact(math.Inf(1)), 0.1}, Examples: 8, Seconds: 1.5,
			History: []map[string]exact{{"loss": 1e-300, "x": exact(math.Copysign(0, -1))}},
		},
	}}
	n := tensor.FromI32([]int32{math.MinInt32, 7}, 1, 2)
	f := tensor.New(tensor.Bool, 2)
	f.Bool[1] = true
	ck.values = []*tensor.Tensor{
		tensor.FromF32([]float32{math.MaxFloat32, -0.1}, 2), tensor.FromF64([]float64{math.Pi}), n, f,
	}
	return ck
}

func encoded(t testing.TB, ck *checkpoint) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := ck.encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func decode(file []byte) (*checkpoint, error) {
	return decodeCheckpoint(bytes.NewReader(file), int64(len(file)))
}

func TestCheckpointRoundTrip(t *testing.T) {
	want := sample()
	got, err := decode(encoded(t, want))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(checkpoint{}, header{}), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if !math.Signbit(float64(got.History[0]["x"])) {
		t.Error("the sign of -0 is lost")
	}
}

// Not one changed or missing byte goes unnoticed.
func TestDamagedCheckpoint(t *testing.T) {
	file := encoded(t, sample())
	for i := range file {
		bad := bytes.Clone(file)
		bad[i] ^= 1 << (i % 8)
		_, err := decode(bad)
		want := "damaged"
		switch {
		case i < 8:
			want = "not a checkpoint"
		case i < 12:
			want = "version"
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("byte %d changed: %v", i, err)
		}
		if _, err := decode(file[:i]); err == nil {
			t.Errorf("cut off after %d bytes: no error", i)
		}
	}
	if _, err := decode(append(bytes.Clone(file), 0)); err == nil {
		t.Error("a byte more: no error")
	}
}

// Headers that contradict the file, under a checksum that is right.
func TestContradictoryCheckpoint(t *testing.T) {
	for _, c := range []struct {
		change func(*checkpoint)
		want   string
	}{
		{func(ck *checkpoint) { ck.Cells[0].Shape = []int{1 << 40} }, "cell w claims"},
		{func(ck *checkpoint) { ck.Cells[0].Shape = []int{1 << 40, 1 << 40} }, "impossible shape"},
		{func(ck *checkpoint) { ck.Cells[0].Shape = []int{-2} }, "impossible shape"},
		{func(ck *checkpoint) { ck.Cells[0].Shape = []int{0, 1 << 62} }, "belong to nothing"},
		{func(ck *checkpoint) { ck.Cells[0].DType = "f16" }, "unknown type"},
		{func(ck *checkpoint) { ck.Cells[2].Shape = []int{1} }, "belong to nothing"},
		{func(ck *checkpoint) { ck.EpochStep = 5 }, "position is impossible"},
		{func(ck *checkpoint) { ck.Sums = nil }, "0 sums for 2 values"},
		{func(ck *checkpoint) { ck.Epoch = 2 }, "1 epochs after 2"},
	} {
		ck := sample()
		c.change(ck)
		if _, err := decode(encoded(t, ck)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("want %q, got %v", c.want, err)
		}
	}
}

// A disk that is full in the middle of a write leaves the file that was there, and nothing else.
func TestFullDiskKeepsTheLastFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.ckpt")
	if err := writeCheckpoint(path, sample()); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left on device")
	err := atomicfile.Write(path, 0o644, func(w io.Writer) error { return sample().encode(&limited{w, 100, full}) })
	if !errors.Is(err, full) {
		t.Errorf("error %v", err)
	}
	if ck, err := readCheckpoint(path); err != nil || ck.Step != 6 {
		t.Errorf("the last file is lost: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// Whether there is room for weights is found out before a run.
func TestRoom(t *testing.T) {
	full := errors.New("no space left on device")
	for _, size := range []int{0, 1, 1 << 20, 3<<20 + 5} {
		var file bytes.Buffer
		if err := fill(&limited{&file, size, full}, size); err != nil || file.Len() != size {
			t.Errorf("%d of %d bytes are written: %v", file.Len(), size, err)
		}
		if err := fill(&limited{&file, size, full}, size+1); !errors.Is(err, full) {
			t.Errorf("%d bytes have room for %d: %v", size, size+1, err)
		}
	}
}

// limited fails after left bytes.
type limited struct {
	w    io.Writer
	left int
	err  error
}

func (l *limited) Write(p []byte) (int, error) {
	if len(p) > l.left {
		n, _ := l.w.Write(p[:l.left])
		l.left = 0
		return n, l.err
	}
	l.left -= len(p)
	return l.w.Write(p)
}

func TestLeftoversAreRemoved(t *testing.T) {
	dir := t.TempDir()
	old := time.Now().Add(-2 * time.Hour)
	for _, name := range []string{".a.ckpt123", ".a.ckpt", ".a.ckptx", "a.ckpt", ".b.ckpt123", ".a.ckpt456"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if name != ".a.ckpt456" { // which is being written
			if err := os.Chtimes(path, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	(&saver{path: filepath.Join(dir, "a.ckpt")}).removeLeftovers()
	for name, want := range map[string]bool{".a.ckpt123": false, ".a.ckpt": true, ".a.ckptx": true, "a.ckpt": true, ".b.ckpt123": true, ".a.ckpt456": true} {
		if exists(filepath.Join(dir, name)) != want {
			t.Errorf("%s: is there %v, want %v", name, !want, want)
		}
	}
}

func TestFailedWriteNamesTheGoodOne(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sub")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var warnings []string
	s := &saver{path: filepath.Join(dir, "a.ckpt"), warn: func(text string) { warnings = append(warnings, text) }}
	if err := s.write(sample()); err != nil {
		t.Fatal(err)
	}
	// A folder that is away stands for one that cannot be written: permissions do not hold for every user.
	if err := os.Rename(dir, dir+"2"); err != nil {
		t.Fatal(err)
	}
	later := sample()
	later.Step = 9
	for range 2 {
		if err := s.write(later); err == nil {
			t.Error("no error")
		}
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "the one after step 6 is still there") {
		t.Errorf("warnings %q", warnings)
	}
}

// An interrupted run that cannot save its state says what there is to go on from.
func TestInterruptedWithoutSpace(t *testing.T) {
	full := errors.New("no space left on device")
	e := &InterruptedError{Command: "nnc run a.nn --resume", Checkpoint: "a.ckpt", Where: "epoch 2/3", Step: 9, Err: full}
	if text := e.Error(); !strings.Contains(text, "the run is lost") || strings.Contains(text, e.Command) {
		t.Error(text)
	}
	e.Kept = 6
	if text := e.Error(); !strings.Contains(text, "what came after step 6 is lost; `nnc run a.nn --resume` goes on from there") {
		t.Error(text)
	}
}

// withSum closes a checkpoint's contents with their checksum.
func withSum(contents []byte) []byte {
	sum := sha256.Sum256(contents)
	return append(bytes.Clone(contents), sum[:]...)
}

func FuzzCheckpoint(f *testing.F) {
	file := encoded(f, sample())
	f.Add(file, false)
	f.Add(file, true)
	f.Add([]byte(checkpointMagic), false)
	f.Fuzz(func(t *testing.T, file []byte, mend bool) {
		if mend && len(file) > 32 { // so that the fuzzer gets behind the checksum
			file = withSum(file[:len(file)-32])
		}
		ck, err := decode(file)
		if err != nil {
			return
		}
		size := 0
		for i, v := range ck.values {
			if v.Len() != 0 && fmt.Sprint(v.Shape) != fmt.Sprint(ck.Cells[i].Shape) {
				t.Errorf("cell %d has shape %v, not %v", i, v.Shape, ck.Cells[i].Shape)
			}
			size += v.Len() * elementSize(ck.Cells[i].DType)
		}
		if size > len(file) {
			t.Errorf("%d bytes of tensors from a file of %d", size, len(file))
		}
		again, err := decode(encoded(t, ck))
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		if len(again.values) != len(ck.values) || again.Step != ck.Step {
			t.Error("reading again gives something else")
		}
	})
}

// A checkpoint that takes long is not written after each short epoch.
func TestCheckpointsAtEpochs(t *testing.T) {
	for _, c := range []struct {
		what string
		s    saver
		want bool
	}{
		{"none is wanted", saver{}, false},
		{"there is none yet", saver{path: "x", began: time.Now()}, true},
		{"the last one is new", saver{path: "x", good: true, began: time.Now()}, false},
		{"the last one is two seconds old", saver{path: "x", good: true, began: time.Now().Add(-2 * time.Second)}, true},
		{"and took long", saver{path: "x", good: true, began: time.Now().Add(-2 * time.Second), took: time.Second}, false},
		{"and took long, half a minute ago", saver{path: "x", good: true, began: time.Now().Add(-30 * time.Second), took: time.Second}, true},
		{"they are counted in steps", saver{path: "x", good: true, steps: 7, began: time.Now(), took: time.Second}, true},
	} {
		if got := c.s.dueAtEpoch(); got != c.want {
			t.Errorf("%s: due %v", c.what, got)
		}
	}
}
