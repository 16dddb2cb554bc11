package command

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"unicode/utf8"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/data"
)

// soundSpec says how recordings become the input of a model that takes one, as its data has them.
func soundSpec(m *plan.Model) (data.SoundSpec, bool) {
	if m.Data == nil || m.Data.Source.WAV == nil {
		return data.SoundSpec{}, false
	}
	w := m.Data.Source.WAV
	spec := data.SoundSpec{Rate: w.Rate, Frame: w.Frame}
	for _, f := range m.Fields {
		switch {
		case f.Name == "sound" && f.Shape[0] >= 0:
			spec.Window = w.Window
		case f.Name != "sound" && f.Name != plan.LengthField("sound"):
			return spec, false
		}
	}
	return spec, len(m.Fields) > 0
}

func rateOf(m *plan.Model) int {
	spec, _ := soundSpec(m)
	return spec.Rate
}

func openRecordings(names []string, m *plan.Model, spec data.SoundSpec) (*inputs, error) {
	in := &inputs{}
	var list []*example
	for _, name := range names {
		files, err := recordings.find(name)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			e := &example{name: file}
			e.load = func() ([]*tensor.Tensor, error) {
				t, rate, err := data.LoadSound(file, spec)
				if err != nil {
					return nil, err
				}
				e.rate = rate
				fields := make([]*tensor.Tensor, len(m.Fields))
				for i, f := range m.Fields {
					fields[i] = t
					if f.Name != "sound" {
						fields[i] = tensor.FromI32([]int32{int32(t.Shape[1])}, 1)
					}
				}
				return fields, nil
			}
			list = append(list, e)
			in.width = max(in.width, utf8.RuneCountInString(file))
		}
	}
	in.examples = func(yield func(*example, error) bool) {
		for _, e := range list {
			if !yield(e, nil) {
				return
			}
		}
	}
	return in, nil
}

// checkWAV finds out what would go wrong with the file of --wav before anything is computed.
func (c *Predict) checkWAV(m *plan.Model) error {
	r := Record{Flag: "--wav", Path: c.WAV, Ends: []string{".wav"}, What: "writes sound: name a file that ends in .wav"}
	if err := r.check(); err != nil || c.WAV == "" {
		return err
	}
	for _, in := range c.Inputs {
		if in != stdinName && filepath.Clean(in) == filepath.Clean(c.WAV) {
			return Misuse("--wav %s would replace what is read: name another file", c.WAV)
		}
	}
	return nil
}

// sound is what a model made of several examples, one after another.
type sound struct {
	samples []float32
	rate    int // samples a second; 0 while it is not known
}

// add appends the numbers of an example, which a recording of that rate gave; 0 where it was none.
func (s *sound) add(t *tensor.Tensor, rate int) {
	if s.rate == 0 {
		s.rate = rate
	}
	s.samples = slices.Grow(s.samples, t.Len())
	for i := range t.Len() {
		s.samples = append(s.samples, float32(t.At(i)))
	}
}

// write writes the file, and says how long it is and what does not fit into it.
func (s *sound) write(std *Streams, path string) error {
	switch {
	case len(s.samples) == 0:
		return nil // each example's error has been told
	case s.rate == 0:
		return errors.New("how many samples a second the sound has is not known: give the source of the model's data a `rate`")
	}
	file, cut := data.EncodeWAV(s.samples, s.rate)
	if err := replaceWhole(path, file); err != nil {
		return err
	}
	if cut > 0 {
		fmt.Fprintf(std.Err, "note: %d of %d samples are not between -1 and 1, and were cut there\n", cut, len(s.samples))
	}
	fmt.Fprintf(std.Out, "%.2f s of sound written to %s\n", float64(len(s.samples))/float64(s.rate), path)
	return nil
}
