package data

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// wavFile is where the samples of a RIFF WAVE file are, and what they are.
type wavFile struct {
	rate     int // frames per second
	channels int
	bits     int // of a sample: 8, 16, 24 or 32
	float    bool
	start    int64 // of the samples, in bytes
	frames   int64 // of one sample per channel
}

const (
	wavPCM        = 1
	wavFloat      = 3
	wavExtensible = 0xFFFE
)

// readWAVHeader finds the samples of a file of the given size. Chunks it does not know are passed over.
//
// Errors: a file that is no WAVE file or that ends within its header; samples of a kind that is not read.
// Source: Microsoft and IBM 1991, "Multimedia programming interface and data specifications 1.0"; Microsoft 2001, WAVEFORMATEXTENSIBLE.
func readWAVHeader(r io.ReaderAt, size int64) (*wavFile, error) {
	var head [12]byte
	if err := readFull(r, head[:], 0); err != nil {
		return nil, err
	}
	if string(head[:4]) != "RIFF" || string(head[8:]) != "WAVE" {
		return nil, fmt.Errorf("not a WAVE file: it begins with %q", head[:4])
	}
	var w *wavFile
	for at := int64(12); ; {
		if at+8 > size {
			return nil, errors.New("the file ends before its samples")
		}
		var chunk [8]byte
		if err := readFull(r, chunk[:], at); err != nil {
			return nil, err
		}
		length := int64(binary.LittleEndian.Uint32(chunk[4:]))
		at += 8
		switch string(chunk[:4]) {
		case "fmt ":
			var err error
			if w, err = readWAVFormat(r, at, length); err != nil {
				return nil, err
			}
		case "data":
			if w == nil {
				return nil, errors.New("the samples stand before what they are (the chunk \"fmt \")")
			}
			// What writes to a pipe cannot go back and say how much it wrote.
			if length == 0xFFFFFFFF || length == 0 && at < size {
				length = size - at
			}
			if length > size-at {
				return nil, fmt.Errorf("the file is truncated: its header says %d bytes of samples, but %d follow", length, size-at)
			}
			w.start, w.frames = at, length/int64(w.channels*w.bits/8)
			if w.frames == 0 {
				return nil, errors.New("it holds no samples")
			}
			return w, nil
		}
		at += length + length&1 // chunks begin at even places
	}
}

func readWAVFormat(r io.ReaderAt, at, length int64) (*wavFile, error) {
	var b [40]byte
	if length < 16 {
		return nil, fmt.Errorf("its chunk \"fmt \" has %d bytes, too few", length)
	}
	if err := readFull(r, b[:min(length, 40)], at); err != nil {
		return nil, err
	}
	u16 := func(i int) int { return int(binary.LittleEndian.Uint16(b[i:])) }
	kind := u16(0)
	if kind == wavExtensible && length >= 40 {
		kind = u16(24) // the first bytes of the kind's GUID
	}
	rate := binary.LittleEndian.Uint32(b[4:])
	w := &wavFile{channels: u16(2), rate: int(rate), bits: u16(14), float: kind == wavFloat}
	switch {
	case kind != wavPCM && kind != wavFloat:
		return nil, fmt.Errorf("its samples have format 0x%04x; only PCM (1) and float (3) are read", kind)
	case w.channels < 1 || w.channels > 64:
		return nil, fmt.Errorf("it has %d channels", w.channels)
	case rate < 1 || rate > 1<<24:
		return nil, fmt.Errorf("its rate is %d samples a second", rate)
	case w.float && w.bits != 32, !w.float && w.bits != 8 && w.bits != 16 && w.bits != 24 && w.bits != 32:
		return nil, fmt.Errorf("its samples have %d bits; 8, 16, 24 and 32 are read, and floats of 32", w.bits)
	}
	return w, nil
}

func readFull(r io.ReaderAt, b []byte, at int64) error {
	if n, err := r.ReadAt(b, at); n < len(b) {
		if errors.Is(err, io.EOF) {
			return errors.New("the file ends within its header")
		}
		return withoutPath(err)
	}
	return nil
}

// samples writes the first frames to out, the mean over the channels of each, and zeros where there are none left.
//
// Units: [-1, 1] for whole numbers of any size; floats as they are.
func (w *wavFile) samples(r io.ReaderAt, out []float32) error {
	frame := w.channels * w.bits / 8
	const block = 1 << 14
	buffer := make([]byte, block/frame*frame)
	n := int(min(int64(len(out)), w.frames))
	for done := 0; done < n; {
		part := buffer[:min(len(buffer), (n-done)*frame)]
		if got, err := r.ReadAt(part, w.start+int64(done*frame)); got < len(part) {
			if errors.Is(err, io.EOF) {
				return errors.New("the file has become shorter")
			}
			return withoutPath(err)
		}
		for ; len(part) > 0; part = part[frame:] {
			sum := 0.0
			for c := range w.channels {
				sum += w.sample(part[c*w.bits/8:])
			}
			v := sum / float64(w.channels)
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("sample %d is not a finite number", done)
			}
			out[done] = float32(v)
			done++
		}
	}
	clear(out[n:])
	return nil
}

// sample decodes one sample.
func (w *wavFile) sample(b []byte) float64 {
	switch {
	case w.float:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	case w.bits == 8: // the only ones without a sign
		return (float64(b[0]) - 128) / 128
	case w.bits == 16:
		return float64(int16(binary.LittleEndian.Uint16(b))) / (1 << 15)
	case w.bits == 24:
		return float64(int32(uint32(b[0])<<8|uint32(b[1])<<16|uint32(b[2])<<24)>>8) / (1 << 23)
	}
	return float64(int32(binary.LittleEndian.Uint32(b))) / (1 << 31)
}
