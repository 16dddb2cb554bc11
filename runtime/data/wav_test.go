package data

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// chunk is a chunk of a RIFF file.
func riffChunk(name string, contents []byte) []byte {
	b := append([]byte(name), 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(contents)))
	b = append(b, contents...)
	if len(contents)%2 == 1 {
		b = append(b, 0)
	}
	return b
}

// waveFormat is the chunk that says what samples are.
func waveFormat(kind, channels, rate, bits int) []byte {
	b := binary.LittleEndian.AppendUint16(nil, uint16(kind))
	b = binary.LittleEndian.AppendUint16(b, uint16(channels))
	b = binary.LittleEndian.AppendUint32(b, uint32(rate))
	b = binary.LittleEndian.AppendUint32(b, uint32(rate*channels*bits/8))
	b = binary.LittleEndian.AppendUint16(b, uint16(channels*bits/8))
	b = binary.LittleEndian.AppendUint16(b, uint16(bits))
	return riffChunk("fmt ", b)
}

// waveFile is a file of chunks.
func waveFile(chunks ...[]byte) []byte {
	body := append([]byte("WAVE"), bytes.Join(chunks, nil)...)
	return riffChunk("RIFF", body)
}

func floats(values ...float32) []byte {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

func TestWAVSamples(t *testing.T) {
	extensible := append(waveFormat(wavExtensible, 1, 8000, 16)[8:], 22, 0, 16, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 16, 0, 128, 0, 0, 170, 0, 56, 155, 113)
	for _, c := range []struct {
		name string
		file []byte
		want []float32
	}{
		{"8 bits", waveFile(waveFormat(1, 1, 8000, 8), riffChunk("data", []byte{0, 128, 192})), []float32{-1, 0, 0.5, 0}},
		{"16 bits", waveFile(waveFormat(1, 1, 8000, 16), riffChunk("data", []byte{0, 0x80, 0, 0x40, 1, 0})), []float32{-1, 0.5, 1.0 / 32768, 0}},
		{"24 bits", waveFile(waveFormat(1, 1, 8000, 24), riffChunk("data", []byte{0, 0, 0x80, 0, 0, 0x20, 0xff, 0xff, 0xff})), []float32{-1, 0.25, -1.0 / (1 << 23), 0}},
		{"32 bits", waveFile(waveFormat(1, 1, 8000, 32), riffChunk("data", []byte{0, 0, 0, 0x80, 0, 0, 0, 0x60})), []float32{-1, 0.75, 0, 0}},
		{"floats", waveFile(waveFormat(3, 1, 8000, 32), riffChunk("data", floats(0.1, -2))), []float32{0.1, -2, 0, 0}},
		{"stereo", waveFile(waveFormat(1, 2, 8000, 16), riffChunk("data", []byte{0, 0x40, 0, 0, 0, 0x80, 0, 0x80})), []float32{0.25, -1, 0, 0}},
		{"longer than the window", waveFile(waveFormat(1, 1, 8000, 8), riffChunk("data", []byte{128, 192, 128, 192, 0, 0})), []float32{0, 0.5, 0, 0.5}},
		{"other chunks", waveFile(riffChunk("LIST", []byte("odd")), waveFormat(1, 1, 8000, 8), riffChunk("fact", make([]byte, 4)), riffChunk("data", []byte{192})), []float32{0.5, 0, 0, 0}},
		{"extensible", waveFile(riffChunk("fmt ", extensible), riffChunk("data", []byte{0, 0x40})), []float32{0.5, 0, 0, 0}},
		{"half a sample at the end", waveFile(waveFormat(1, 1, 8000, 16), riffChunk("data", []byte{0, 0x40, 1})), []float32{0.5, 0, 0, 0}},
		{"of unknown length", append(waveFile(waveFormat(1, 1, 8000, 8)), 'd', 'a', 't', 'a', 0xff, 0xff, 0xff, 0xff, 192, 64), []float32{0.5, -0.5, 0, 0}},
	} {
		w, err := readWAVHeader(bytes.NewReader(c.file), int64(len(c.file)))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := []float32{9, 9, 9, 9}
		if err := w.samples(bytes.NewReader(c.file), got); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" || w.rate != 8000 {
			t.Errorf("%s, rate %d: %s", c.name, w.rate, diff)
		}
	}
}

func TestWAVErrors(t *testing.T) {
	good := waveFormat(1, 1, 8000, 16)
	data := riffChunk("data", []byte{1, 2, 3, 4})
	for _, c := range []struct {
		file []byte
		want string
	}{
		{[]byte("RIFF"), "the file ends within its header"},
		{[]byte("this is not a sound"), `not a WAVE file: it begins with "this"`},
		{waveFile(good), "the file ends before its samples"},
		{waveFile(data, good), `the samples stand before what they are (the chunk "fmt ")`},
		{waveFile(good, riffChunk("data", nil)), "it holds no samples"},
		{waveFile(good, data[:10]), "the file is truncated: its header says 4 bytes of samples, but 2 follow"},
		{waveFile(riffChunk("fmt ", make([]byte, 4)), data), `its chunk "fmt " has 4 bytes, too few`},
		{waveFile(waveFormat(2, 1, 8000, 4), data), "its samples have format 0x0002; only PCM (1) and float (3) are read"},
		{waveFile(waveFormat(1, 1, 8000, 12), data), "its samples have 12 bits; 8, 16, 24 and 32 are read, and floats of 32"},
		{waveFile(waveFormat(1, 0, 8000, 16), data), "it has 0 channels"},
		{waveFile(waveFormat(1, 1, 0, 16), data), "its rate is 0 samples a second"},
		{waveFile(append([]byte("LIST"), 0xf0, 0xff, 0xff, 0xff)), "the file ends before its samples"},
		{waveFile(waveFormat(3, 1, 8000, 32), riffChunk("data", floats(1, float32(math.NaN())))), "sample 1 is not a finite number"},
	} {
		w, err := readWAVHeader(bytes.NewReader(c.file), int64(len(c.file)))
		if err == nil {
			err = w.samples(bytes.NewReader(c.file), make([]float32, 2))
		}
		if err == nil || err.Error() != c.want {
			t.Errorf("%v\nwant %s", err, c.want)
		}
	}
}

// levels is a recording of n samples of one level.
func levels(rate, n int, level byte) string {
	return string(waveFile(waveFormat(1, 1, rate, 8), riffChunk("data", bytes.Repeat([]byte{level}, n))))
}

func TestWAVFolder(t *testing.T) {
	files := map[string]string{"in/notes.txt": "ignored", "in/.hidden.wav": "ignored"}
	for i := range 4 {
		files[fmt.Sprintf("in/low/%d_a.WAV", i)] = levels(8000, 3+i, 64)
		files[fmt.Sprintf("in/high/%d_b.wav", i)] = levels(8000, 1, 192)
	}
	dir := folder(t, files)
	ds, err := WAV(WAVConfig{Root: dir, Path: "in", Division: Division{Fractions: [3]float64{0.5, 0.25, 0.25}, Seed: 5}, Window: 5, Frame: 2, Label: "folder"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"8000 samples a second: 4 training, 2 validation, 2 test (split by seed 5)", "1 file is not .wav and ignored"}, ds.Notes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"high", "low"}, ds.Labels); diff != "" {
		t.Error(diff)
	}
	for _, s := range []Source{ds.Train, ds.Validation, ds.Test} {
		got := whole(t, s)
		if diff := cmp.Diff([]int{s.Len(), 3, 2}, got["sound"].Shape); diff != "" {
			t.Error(diff)
		}
		sum := 0
		for i, label := range got["label"].I32 {
			sum += int(label)
			if want := []float32{0.5, -0.5}[label]; got["sound"].F32[i*6] != want || got["sound"].F32[i*6+5] != 0 {
				t.Errorf("%s is labelled %d: %v", s.Name(i), label, got["sound"].F32[i*6:i*6+6])
			}
		}
		if sum != s.Len()/2 {
			t.Errorf("%d of %d are of the second class", sum, s.Len())
		}
	}

	folds, err := WAV(WAVConfig{Root: dir, Path: "in", Division: Division{Fractions: [3]float64{1}, Folds: 4, Fold: 4}, Label: "folder"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("8000 samples a second: 6 training, 2 test (fold 4 of 4, dealt by seed 0)", folds.Notes[0]); diff != "" {
		t.Error(diff)
	}
	if labels := whole(t, folds.Test)["label"].I32; !slices.Equal(slices.Sorted(slices.Values(labels)), []int32{0, 1}) {
		t.Errorf("the fold has the classes %v", labels)
	}

	ds, err = WAV(WAVConfig{Root: dir, Train: "in/low", Validation: "in/high", Rate: 8000, Label: "{label}_*.*"})
	if err != nil {
		t.Fatal(err)
	}
	got := whole(t, ds.Train)
	if diff := cmp.Diff([]int32{3, 4, 5, 6}, got["length.sound"].I32); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int32{0, 1, 2, 3}, got["label"].I32, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]float32{-0.5, -0.5, -0.5, 0, 0, 0}, got["sound"].F32[:6]); diff != "" {
		t.Error(diff)
	}

	// Rows of samples, as many as each recording fills.
	ds, err = WAV(WAVConfig{Root: dir, Train: "in/low", Frame: 2})
	if err != nil {
		t.Fatal(err)
	}
	got = whole(t, ds.Train)
	if diff := cmp.Diff([]int{4, 3, 2}, got["sound"].Shape); diff != "" || got["label"] != nil {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int32{2, 2, 3, 3}, got["length.sound"].I32); diff != "" {
		t.Error(diff)
	}
}

func TestWAVFolderErrors(t *testing.T) {
	dir := folder(t, map[string]string{
		"a/1_x.wav": levels(8000, 3, 0), "b/1_x.wav": levels(8000, 3, 0), "b/2_x.wav": levels(16000, 3, 0), "c/broken.wav": "RIFF", "d/x.txt": "",
	})
	for _, c := range []struct {
		cfg  WAVConfig
		want string
	}{
		{WAVConfig{}, "no folder of recordings is given: name a training folder, or one folder to be split"},
		{WAVConfig{Train: "no"}, "training data: there is no folder DIR/no"},
		{WAVConfig{Train: "d"}, "training data: DIR/d holds no .wav files"},
		{WAVConfig{Train: "c"}, "training data: broken recording DIR/c/broken.wav: the file ends within its header"},
		{WAVConfig{Train: "b"}, "training data: DIR/b/2_x.wav has 16000 samples a second, but 1_x.wav has 8000: convert the file"},
		{WAVConfig{Train: "a", Rate: 44100}, "training data: DIR/a/1_x.wav has 8000 samples a second, but the program says 44100: convert the file"},
		{WAVConfig{Train: "a", Label: "folder"}, `training data: DIR/a/1_x.wav: it lies in no class's folder; set label: "{label}_*.wav" or the like if the file's name says the class`},
		{WAVConfig{Train: "a", Label: "{label}-*.wav"}, `training data: DIR/a/1_x.wav: its name does not have the form "{label}-*.wav"`},
		{WAVConfig{Train: "a", Label: "name"}, `label "name": it is "folder", or a pattern of file names with {label} in it, such as "{label}_*.wav"`},
		{WAVConfig{Train: "a", Label: "{label}_*", Names: []string{"2"}}, `DIR/a/1_x.wav is of class "1", which is not among the 1 that the program knows`},
		{WAVConfig{Path: "a", Division: Division{Fractions: [3]float64{0.5, 0.5}}}, "a holds 1 recording, too few to give validation a fraction of 0.5"},
	} {
		c.cfg.Root = dir
		_, err := WAV(c.cfg)
		if err == nil || err.Error() != strings.ReplaceAll(c.want, "DIR", filepath.ToSlash(dir)) {
			t.Errorf("%v\nwant %s", err, c.want)
		}
	}
}

func FuzzWAV(f *testing.F) {
	f.Add(waveFile(waveFormat(1, 2, 8000, 16), riffChunk("data", []byte{0, 0x40, 0, 0})))
	f.Add(waveFile(waveFormat(3, 1, 8000, 32), riffChunk("data", floats(1, 2))))
	f.Add(waveFile(waveFormat(1, 64, 1, 24), append([]byte("data"), 0xff, 0xff, 0xff, 0xff, 1)))
	f.Add(waveFile(append([]byte("LIST"), 0xff, 0xff, 0xff, 0x7f)))
	f.Fuzz(func(t *testing.T, file []byte) {
		w, err := readWAVHeader(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			return
		}
		if w.frames < 1 || w.frames > int64(len(file)) {
			t.Fatalf("%d frames in %d bytes", w.frames, len(file))
		}
		out := make([]float32, w.frames+1)
		if err := w.samples(bytes.NewReader(file), out); err != nil {
			return
		}
		for _, v := range out {
			if !w.float && !(v >= -1 && v <= 1) || math.IsNaN(float64(v)) {
				t.Errorf("a sample of %v", v)
			}
		}
	})
}

func TestSynthetic(t *testing.T) {
	ds, err := Synthetic(3, 2, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := whole(t, ds.Validation)
	if diff := cmp.Diff([][]int32{{0, 1}, {1, 1}}, [][]int32{got[SyntheticExample].I32, got[SyntheticSplit].I32}); diff != "" || ds.Train.Len() != 3 || ds.Test != nil {
		t.Error(diff)
	}
	if _, err := Synthetic(0, 2, 0); err == nil {
		t.Error("no error")
	}
}
