package data

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is written is read again; samples outside of [-1, 1] are cut.
func TestSoundThereAndBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.wav")
	file, cut := EncodeWAV([]float32{0, 0.5, -1, 2, -3, 1.0 / 32768}, 8000)
	if cut != 2 {
		t.Errorf("%d samples are cut, not 2", cut)
	}
	if err := os.WriteFile(path, file, 0o644); err != nil {
		t.Fatal(err)
	}
	const top = 32767.0 / 32768
	for _, c := range []struct {
		spec  SoundSpec
		shape []int
		want  []float32
	}{
		{SoundSpec{}, []int{1, 6}, []float32{0, 0.5, -1, top, -1, 1.0 / 32768}},
		{SoundSpec{Rate: 8000, Frame: 4}, []int{1, 2, 4}, []float32{0, 0.5, -1, top, -1, 1.0 / 32768, 0, 0}},
		{SoundSpec{Window: 3}, []int{1, 3}, []float32{0, 0.5, -1}},
		{SoundSpec{Window: 8}, []int{1, 8}, []float32{0, 0.5, -1, top, -1, 1.0 / 32768, 0, 0}},
		{SoundSpec{Window: 3, Frame: 2}, []int{1, 2, 2}, []float32{0, 0.5, -1, 0}},
	} {
		got, rate, err := LoadSound(path, c.spec)
		if err != nil || rate != 8000 {
			t.Errorf("%+v: %d samples a second, error %v", c.spec, rate, err)
			continue
		}
		if diff := cmp.Diff(c.shape, got.Shape); diff != "" {
			t.Errorf("%+v: shape %s", c.spec, diff)
		}
		if diff := cmp.Diff(c.want, got.F32); diff != "" {
			t.Errorf("%+v: %s", c.spec, diff)
		}
	}
}

func TestSoundErrors(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "a.wav")
	file, _ := EncodeWAV([]float32{0, 0.5}, 8000)
	for _, c := range []struct {
		file []byte
		want string
	}{
		{file, "a.wav has 8000 samples a second, but the program says 16000: convert the file"},
		{file[:46], "a.wav: the file is truncated: its header says 4 bytes of samples, but 2 follow"},
		{[]byte("no sound at all"), `a.wav: not a WAVE file: it begins with "no s"`},
	} {
		if err := os.WriteFile(path, c.file, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, _, err := LoadSound(path, SoundSpec{Rate: 16000}); err == nil || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("error %v, not one that ends in %q", err, c.want)
		}
	}
}
