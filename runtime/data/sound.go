package data

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// SoundSpec says what a recording is to look like: see WAVConfig.
type SoundSpec struct {
	Rate          int // 0: any
	Window, Frame int
}

// LoadSound decodes a recording as WAV's sources do: a batch of one, f32[1, samples] or f32[1, rows, Frame]. It also returns how many samples
// a second has.
//
// Errors: what is wrong with the file, with its path.
func LoadSound(path string, spec SoundSpec) (t *tensor.Tensor, rate int, err error) {
	w, err := readWAVFile(path)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", path, err)
	}
	if spec.Rate != 0 && w.rate != spec.Rate {
		return nil, 0, fmt.Errorf("%s has %d samples a second, but the program says %d: convert the file", path, w.rate, spec.Rate)
	}
	n := spec.Window
	if n == 0 {
		if w.frames > 1<<28 {
			return nil, 0, fmt.Errorf("%s has %d samples, more than the %d that one example may have", path, w.frames, 1<<28)
		}
		n = int(w.frames)
	}
	shape := []int{1, n}
	if spec.Frame > 0 {
		shape = []int{1, (n + spec.Frame - 1) / spec.Frame, spec.Frame}
	}
	t = tensor.New(tensor.F32, shape...)
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", path, withoutPath(err))
	}
	defer f.Close()
	if err := w.samples(f, t.F32[:n]); err != nil {
		return nil, 0, fmt.Errorf("%s: %w", path, err)
	}
	return t, w.rate, nil
}

// EncodeWAV writes samples as a WAVE file of one channel with 16 bits a sample. cut is how many of them lie outside of [-1, 1], and became the
// nearest number within.
func EncodeWAV(samples []float32, rate int) (file []byte, cut int) {
	const header, bytes = 44, 2
	b := make([]byte, 0, header+bytes*len(samples))
	u16 := func(v int) { b = binary.LittleEndian.AppendUint16(b, uint16(v)) }
	u32 := func(v int) { b = binary.LittleEndian.AppendUint32(b, uint32(v)) }
	b = append(b, "RIFF"...)
	u32(header - 8 + bytes*len(samples))
	b = append(b, "WAVEfmt "...)
	u32(16)
	u16(wavPCM)
	u16(1)
	u32(rate)
	u32(rate * bytes)
	u16(bytes)
	u16(8 * bytes)
	b = append(b, "data"...)
	u32(bytes * len(samples))
	for _, x := range samples {
		if x < -1 || x > 1 {
			cut++
		}
		v := math.RoundToEven(float64(x) * (1 << 15))
		u16(int(max(-1<<15, min(v, 1<<15-1))))
	}
	return b, cut
}
