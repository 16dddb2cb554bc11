package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
	"runtime"
	"slices"
	"sync"

	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/data"
)

// digest identifies an example's contents.
type digest [16]byte

// splitReport is what was found in the examples of a split.
type splitReport struct {
	Name     string         `json:"name"`
	Examples int            `json:"examples"`
	Classes  map[string]int `json:"classes,omitempty"`
	Broken   []string       `json:"broken,omitempty"`
	Fields   []*fieldReport `json:"fields"`

	source  data.Source
	digests []digest // by example
	labels  []int32  // by example; nil without classes
	whole   []bool   // by example: it could be read
}

// fieldReport describes the numbers of a field in one split.
type fieldReport struct {
	Name     string  `json:"name"`
	Shape    []int   `json:"shape"`
	Least    float64 `json:"least"`
	Greatest float64 `json:"greatest"`
	Mean     float64 `json:"mean"`
	Missing  int     `json:"missing"`            // not a number, or infinite
	Constant []int   `json:"constant,omitempty"` // elements that are the same in all examples, by their place in row-major order

	Columns []string `json:"columns,omitempty"` // of a table, that the elements come from

	count       int
	sum         float64
	low, high   []float64 // by element; nil where lengths differ
	elementwise bool
}

// inspect reads all examples of a split.
func inspect(ctx context.Context, name string, src data.Source) (*splitReport, error) {
	n := src.Len()
	all := &splitReport{Name: name, source: src, digests: make([]digest, n), labels: make([]int32, n), whole: make([]bool, n)}
	workers := min(runtime.GOMAXPROCS(0), max(1, n/16))
	parts := make([]*splitReport, workers)
	failed := make([]error, workers)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			part := *all // shares the slices, each worker writing its own places
			part.Fields = newFields(src)
			for i := n * w / workers; i < n*(w+1)/workers && ctx.Err() == nil && failed[w] == nil; i++ {
				failed[w] = part.read(i)
			}
			parts[w] = &part
		})
	}
	group.Wait()
	if err := errors.Join(append(failed, ctx.Err())...); err != nil {
		return nil, err
	}
	all.Fields = newFields(src)
	for _, part := range parts {
		all.Broken = append(all.Broken, part.Broken...)
		for k, f := range part.Fields {
			all.Fields[k].merge(f)
		}
	}
	all.finish()
	return all, nil
}

func newFields(src data.Source) []*fieldReport {
	var out []*fieldReport
	for _, f := range src.Fields() {
		r := &fieldReport{Name: f.Name, Shape: slices.Clone(f.Shape), Columns: f.Columns, Least: math.Inf(1), Greatest: math.Inf(-1)}
		r.elementwise = !slices.Contains(f.Shape, -1)
		out = append(out, r)
	}
	return out
}

// read takes in one example. A broken one is remembered and is no error.
func (s *splitReport) read(i int) error {
	batch := data.NewBatchOf(s.source, i)
	var err error
	if only, ok := s.source.(data.Replacer); ok {
		err = only.AtOnly(i, batch, 0)
	} else {
		err = s.source.At(i, batch, 0)
	}
	if errors.Is(err, data.ErrBroken) {
		return nil // the source tells which
	}
	if err != nil {
		s.Broken = append(s.Broken, err.Error())
		return nil
	}
	s.whole[i] = true
	s.labels[i] = -1
	hash := sha256.New()
	var word [4]byte
	for k, t := range batch {
		f := s.source.Fields()[k]
		if f.Labels != nil && t.DType == tensor.I32 && len(t.I32) == 1 {
			s.labels[i] = t.I32[0]
			continue
		}
		s.Fields[k].add(t)
		for e := range t.Len() {
			binary.LittleEndian.PutUint32(word[:], math.Float32bits(float32(t.At(e))))
			hash.Write(word[:])
		}
	}
	copy(s.digests[i][:], hash.Sum(nil))
	return nil
}

// add takes in the tensor of one example.
func (f *fieldReport) add(t *tensor.Tensor) {
	n := t.Len()
	if f.low == nil && f.elementwise {
		f.low, f.high = make([]float64, n), make([]float64, n)
		for e := range n {
			f.low[e], f.high[e] = math.Inf(1), math.Inf(-1)
		}
	}
	for e := range n {
		x := t.At(e)
		if math.IsNaN(x) || math.IsInf(x, 0) {
			f.Missing++
			continue
		}
		f.count++
		f.sum += x
		f.Least, f.Greatest = min(f.Least, x), max(f.Greatest, x)
		if f.elementwise {
			f.low[e], f.high[e] = min(f.low[e], x), max(f.high[e], x)
		}
	}
}

func (f *fieldReport) merge(g *fieldReport) {
	f.Missing += g.Missing
	f.count += g.count
	f.sum += g.sum
	f.Least, f.Greatest = min(f.Least, g.Least), max(f.Greatest, g.Greatest)
	if g.low == nil {
		return
	}
	if f.low == nil {
		f.low, f.high = g.low, g.high
		return
	}
	for e := range f.low {
		f.low[e], f.high[e] = min(f.low[e], g.low[e]), max(f.high[e], g.high[e])
	}
}

// finish computes what follows from all examples.
func (s *splitReport) finish() {
	for _, ok := range s.whole {
		if ok {
			s.Examples++
		}
	}
	if r, ok := s.source.(data.SkipReporter); ok {
		s.Broken = append(s.Broken, r.Skipped()...)
	}
	for k, f := range s.source.Fields() {
		if f.Labels != nil && len(f.Shape) == 0 && s.Classes == nil {
			s.Classes = map[string]int{}
			for _, name := range f.Labels {
				s.Classes[name] = 0
			}
			for i, id := range s.labels {
				if s.whole[i] && id >= 0 && int(id) < len(f.Labels) {
					s.Classes[f.Labels[id]]++
				}
			}
		}
		r := s.Fields[k]
		if r.count > 0 {
			r.Mean = r.sum / float64(r.count)
		} else {
			r.Least, r.Greatest = 0, 0
		}
		for e := range r.low {
			if r.low[e] == r.high[e] && s.Examples > 1 {
				r.Constant = append(r.Constant, e)
			}
		}
	}
	s.Fields = slices.DeleteFunc(s.Fields, func(f *fieldReport) bool { return f.count == 0 && f.Missing == 0 })
}
