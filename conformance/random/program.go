package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// program is a file with one model and one train, with what it is to be called with.
type program struct {
	name    string // of its file
	text    string
	fields  []field
	batches []int // sizes, of one step each
}

// field is a field of the program's data. A dimension of -1 is each example's own length.
type field struct {
	name  string
	dtype tensor.DType
	shape []int
	below int // i32: its values are in [0, below)
}

// ownLength is what stands for an example's own length in the generator, the dimension t in texts.
const ownLength = -1

// String is the program's text, whose first lines say how it is called. read takes it apart again.
func (p *program) String() string {
	var b strings.Builder
	for _, f := range p.fields {
		fmt.Fprintf(&b, "// field %s %s below %d %v\n", f.name, f.dtype, f.below, strings.Trim(fmt.Sprint(f.shape), "[]"))
	}
	fmt.Fprintf(&b, "// batches %s\n", strings.Trim(fmt.Sprint(p.batches), "[]"))
	return b.String() + p.text
}

// read is the inverse of String.
func read(text string) (*program, error) {
	p := &program{}
	for {
		line, rest, _ := strings.Cut(text, "\n")
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "//" || words[1] != "field" && words[1] != "batches" {
			break
		}
		text = rest
		var numbers []int
		for _, w := range words[2:] {
			if n, err := strconv.Atoi(w); err == nil {
				numbers = append(numbers, n)
			}
		}
		if words[1] == "batches" {
			p.batches = numbers
			continue
		}
		if len(words) < 6 || len(numbers) < 1 {
			return nil, fmt.Errorf("not a field: %s", line)
		}
		dtype := tensor.F32
		if words[3] == tensor.I32.String() {
			dtype = tensor.I32
		}
		p.fields = append(p.fields, field{words[2], dtype, numbers[1:], numbers[0]})
	}
	if p.text = text; len(p.fields) == 0 || len(p.batches) == 0 {
		return nil, fmt.Errorf("the first lines do not say which fields and batches there are")
	}
	return p, nil
}

// schema tells the front end which fields the data has.
func (p *program) schema(d *plan.Data) error {
	d.Fields = nil
	for _, f := range p.fields {
		d.Fields = append(d.Fields, plan.Field{Name: f.name, DType: f.dtype, Shape: f.shape})
		if slices.Contains(f.shape, ownLength) {
			d.Fields = append(d.Fields, plan.Field{Name: plan.LengthField(f.name), DType: tensor.I32})
		}
	}
	return nil
}

// batch draws the examples of batch number k, by the names of the functions' parameters.
func (p *program) batch(k int) map[string]*tensor.Tensor {
	random := rand.New(rand.NewPCG(uint64(k), 7))
	n := p.batches[k]
	longest := 1 + random.IntN(9)
	lengths := tensor.New(tensor.I32, n)
	for i := range lengths.I32 {
		lengths.I32[i] = 1 + random.Int32N(int32(longest))
	}
	all := map[string]*tensor.Tensor{plan.ParamStep: scalar(int32(k)), plan.ParamSeed: scalar(3), plan.ParamEpoch: scalar(0)}
	for _, f := range p.fields {
		shape := append([]int{n}, f.shape...)
		own := slices.Index(shape, ownLength)
		if own > 0 {
			shape[own] = longest
			all[plan.LengthField(f.name)] = lengths
		}
		v := tensor.New(f.dtype, shape...)
		for i := range v.Len() {
			if f.dtype == tensor.I32 {
				v.I32[i] = random.Int32N(int32(max(1, f.below)))
			} else {
				v.F32[i] = random.Float32()*2 - 1
			}
		}
		all[f.name] = v
	}
	return all
}

func scalar(v int32) *tensor.Tensor { return &tensor.Tensor{DType: tensor.I32, I32: []int32{v}} }
