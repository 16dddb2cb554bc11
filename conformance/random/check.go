package main

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/codegen/interp"
	"github.com/nnc-lang/nnc/codegen/native"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang"
	"github.com/nnc-lang/nnc/passes"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/exec"
	"github.com/nnc-lang/nnc/runtime/train"
)

// way is one way to make machine code.
type way struct {
	cpu     string
	math    codegen.Math
	without []string // transformations of package native
}

func (w way) String() string {
	s := w.cpu + ", fast"
	if w.math == codegen.Strict {
		s = w.cpu + ", strict"
	}
	for _, name := range w.without {
		s += ", without " + name
	}
	return s
}

// ways are those that this machine runs: each level in each math.
func ways() []way {
	var all []way
	for _, cpu := range native.Levels(goruntime.GOARCH) {
		for _, math := range []codegen.Math{codegen.Fast, codegen.Strict} {
			if _, err := exec.New(&exec.Program{Module: ir.NewModule(), Level: cpu}, exec.Options{Threads: 1}); err == nil {
				all = append(all, way{cpu: cpu, math: math})
			}
		}
	}
	return all
}

// trial is a program while it is tried.
type trial struct {
	*program
	number  int
	made    []uint32 // the choices that it was drawn with
	without []string // passes

	module  *ir.Module // after the passes; its names begin with the trial's number
	predict string     // functions to call; "" for none
	step    string
	cells   []*tensor.Tensor // first values
	truth   *outcome         // of the interpreter in double precision
	spoilt  *outcome         // and in single, of a prediction from an element that is not finite
	single  *outcome         // and in single
	failure string           // "" if it agrees
}

// outcome is what a program's calls gave, with names.
type outcome struct {
	names  []string
	values []*tensor.Tensor
	err    error // that some call returned; then there are no values after it
}

func (o *outcome) add(name string, v *tensor.Tensor) {
	o.names, o.values = append(o.names, name), append(o.values, v)
}

func (t *trial) fail(format string, args ...any) {
	if t.failure == "" {
		t.failure = fmt.Sprintf(format, args...)
	}
}

// front compiles a program to a module and gives its cells their first values.
func (t *trial) front() {
	defer t.recover("the compiler")
	p, list := lang.Compile(diag.NewFile("random.nn", t.text), lang.Options{Schema: t.schema})
	if list.HasErrors() {
		var b strings.Builder
		_ = diag.Render(&b, list, false)
		t.fail("it does not compile:\n%s", b.String())
		return
	}
	// Verifying takes longer than the passes, and a malformed module mostly stays so.
	if err := passes.Run(p.Module, passes.Options{Disable: t.without, VerifyEach: t.number%8 == 0}); err != nil {
		t.fail("passes: %v", err)
		return
	}
	double, err := interp.Backend{}.Compile(p.Module, codegen.Options{Precision: tensor.F64, Threads: 1})
	if err != nil {
		t.fail("interpreter: %v", err)
		return
	}
	if err := train.Init(double, p, 1); err != nil {
		t.fail("first values: %v", err)
		return
	}
	random := rand.New(rand.NewPCG(5, 5))
	for _, c := range p.Module.Cells {
		v, err := double.Cell(c.Name)
		if err != nil {
			t.fail("cell %s: %v", c.Name, err)
			return
		}
		f := v
		if v.DType == tensor.F64 {
			f = tensor.New(tensor.F32, v.Shape...)
			for i := range f.F32 {
				f.F32[i] = float32(v.F64[i])
				if c.Kind == ir.Param && len(f.Shape) < 2 { // biases that are not zero, scales that are not one
					f.F32[i] += random.Float32()*0.6 - 0.3
				}
			}
		}
		t.cells = append(t.cells, f)
	}
	t.predict, t.step = p.Models[0].Predict, p.Trains[0].Step
	switch t.number % 4 { // the forward pass is a part of the step, mostly
	case 1:
		t.predict = ""
		p.Module.Keep(t.step)
	case 2, 3:
		t.step = ""
		p.Module.Keep(t.predict)
	default:
		p.Module.Keep(t.predict, t.step)
	}
	t.own(p.Module)
	t.truth = t.interpret(tensor.F64, 0)
	t.single = t.interpret(tensor.F32, 0)
	if p, err := (interp.Backend{}).Compile(t.module, codegen.Options{Threads: 1}); err == nil {
		t.spoilt = t.predictSpoilt(p)
	}
}

// recover makes a panic a failure.
func (t *trial) recover(what string) {
	if p := recover(); p != nil {
		t.fail("%s: panic: %v", what, p)
	}
}

// interpret runs the program on the interpreter. Its numbers, but not those of classes and words, are disturbed by a rounding of single precision if
// disturb is not 0.
func (t *trial) interpret(precision tensor.DType, disturb uint64) *outcome {
	p, err := interp.Backend{}.Compile(t.module, codegen.Options{Precision: precision, Threads: 1})
	if err != nil {
		return &outcome{err: err}
	}
	return t.run(p, disturb)
}

// run makes the program's calls: a prediction and a step on each batch.
func (t *trial) run(p runtime.Program, disturb uint64) *outcome {
	o := &outcome{}
	random := rand.New(rand.NewPCG(disturb, 11))
	disturbed := func(v *tensor.Tensor) *tensor.Tensor {
		if disturb == 0 || v.DType != tensor.F32 {
			return v
		}
		w := v.Clone()
		for i, x := range w.F32 {
			w.F32[i] = x * (1 + float32(random.IntN(3)-1)*0x1p-23)
		}
		return w
	}
	for i, c := range t.module.Cells {
		if o.err = p.SetCell(c.Name, disturbed(t.cells[i])); o.err != nil {
			return o
		}
	}
	for k := range t.batches {
		batch := t.batch(k)
		for _, fn := range []string{t.predict, t.step} {
			if fn == "" {
				continue
			}
			f := p.Module().Func(fn)
			args := make([]*tensor.Tensor, len(f.Params))
			for i, param := range f.Params {
				v := batch[param.Name]
				if v == nil {
					v = tensor.New(param.Type.DType)
				}
				args[i] = disturbed(v)
			}
			results, err := p.Call(fn, args...)
			if o.err = err; err != nil {
				return o
			}
			for i, v := range results {
				o.add(fmt.Sprintf("result %d of %s, batch %d", i, fn, k), v)
			}
		}
	}
	for i, c := range t.module.Cells {
		v, err := p.Cell(c.Name)
		if o.err = err; err != nil {
			return o
		}
		if v.DType != tensor.I32 && v.DType != tensor.Bool { // how far it moved, in which errors of gradients are seen
			moved := tensor.New(tensor.F64, v.Shape...)
			for k := range moved.F64 {
				moved.F64[k] = v.At(k) - t.cells[i].At(k)
			}
			v = moved
		}
		o.add("the change of "+c.Name, v)
	}
	return o
}

// predictSpoilt predicts from the first batch with one element of a numeric input that is infinite or not a number.
func (t *trial) predictSpoilt(p runtime.Program) *outcome {
	o := &outcome{}
	if t.predict == "" || t.fields[0].dtype != tensor.F32 {
		return o
	}
	for i, c := range t.module.Cells {
		if o.err = p.SetCell(c.Name, t.cells[i]); o.err != nil {
			return o
		}
	}
	batch := t.batch(0)
	x := batch[t.fields[0].name]
	bad := []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))}
	x.F32[x.Len()*(t.number/4%5)/5] = bad[t.number/4%3]
	var args []*tensor.Tensor
	for _, param := range p.Module().Func(t.predict).Params {
		v := batch[param.Name]
		if v == nil {
			v = tensor.New(param.Type.DType)
		}
		args = append(args, v)
	}
	results, err := p.Call(t.predict, args...)
	if o.err = err; err == nil {
		o.add(fmt.Sprintf("a prediction from %v", bad[t.number/4%3]), results[0])
	}
	return o
}

// keepsWhatIsNotFinite tells where machine code gives a number and the interpreter does not, or with strict math the other way round or
// another kind; "" if nowhere.
func (t *trial) keepsWhatIsNotFinite(got *outcome, w way) string {
	want := t.spoilt
	if (got.err == nil) != (want.err == nil) {
		return fmt.Sprintf("from a value that is not finite: error %v, where the interpreter's is %v", got.err, want.err)
	}
	kind := func(x float64) string {
		switch {
		case math.IsNaN(x):
			return "not a number"
		case math.IsInf(x, 0):
			return fmt.Sprint(x)
		}
		return "finite"
	}
	for k, v := range want.values {
		for i := range v.Len() {
			g, x := kind(got.values[k].At(i)), kind(v.At(i))
			if w.math == codegen.Strict && g != x || g == "finite" && x != g {
				return fmt.Sprintf("%s: element %d is %s, not %s", want.names[k], i, g, x)
			}
		}
	}
	return ""
}

const (
	// floor is the error that a result may have, relative to its largest element: Winograd's algorithm may be off by 2e-6 of the root mean
	// square in each of several convolutions, and hundreds of equal numbers summed in single precision by as much, which the interpreter, whose
	// sums are in double precision, does not show.
	floor = 2e-5
	// slack multiplies the error that the interpreter has in single precision, whose sums have another order.
	slack = 8
	// roundings is what remains of numbers near 1 that cancel.
	roundings = 1e-8
)

// agrees tells how what machine code gave differs from what it should be; "" if it does not.
func (t *trial) agrees(got *outcome) string {
	var notFinite, gotNotFinite *runtime.NonFiniteError
	switch {
	case errors.As(t.truth.err, &notFinite):
		if !errors.As(got.err, &gotNotFinite) {
			return fmt.Sprintf("no error, where the interpreter says: %v", t.truth.err)
		}
	case errors.As(got.err, &gotNotFinite) && t.single.err != nil:
		// too large for single precision
	case got.err != nil || t.truth.err != nil:
		return fmt.Sprintf("error %v, where the interpreter's is %v", got.err, t.truth.err)
	}
	n := min(len(got.values), len(t.truth.values), len(t.single.values))
	var disturbed []*outcome
	for k := range n {
		want, single := t.truth.values[k], t.single.values[k]
		if difference(got.values[k], want) <= bound(want, single) {
			continue
		}
		if disturbed == nil { // is the result so far from smooth that no rounding can be compared?
			for seed := range uint64(6) {
				disturbed = append(disturbed, t.interpret(tensor.F32, 1+seed))
			}
		}
		limit := bound(want, single)
		for _, d := range disturbed {
			if k < len(d.values) {
				limit = max(limit, bound(want, d.values[k]))
			}
		}
		if diff := difference(got.values[k], want); !(diff <= limit) {
			return fmt.Sprintf("%s differs by %.3g, more than %.3g: %s", t.truth.names[k], diff, limit, worst(got.values[k], want))
		}
	}
	return ""
}

// bound returns how far a result may be from want if single is what the interpreter gives in single precision.
func bound(want, single *tensor.Tensor) float64 {
	most := 0.0
	for i := range want.Len() {
		if x := math.Abs(want.At(i)); !math.IsInf(x, 0) {
			most = max(most, x)
		}
	}
	return slack*difference(single, want) + floor*most + roundings
}

// difference returns the greatest difference of two tensors: infinite where they have other shapes, or only one is not a number.
func difference(a, b *tensor.Tensor) float64 {
	if !slices.Equal(a.Shape, b.Shape) {
		return math.Inf(1)
	}
	most := 0.0
	for i := range a.Len() {
		x, y := a.At(i), b.At(i)
		if x == y || math.IsNaN(x) && math.IsNaN(y) {
			continue
		}
		if d := math.Abs(x - y); d <= math.MaxFloat64 {
			most = max(most, d)
		} else {
			return math.Inf(1)
		}
	}
	return most
}

// worst describes the elements that differ most.
func worst(got, want *tensor.Tensor) string {
	if !slices.Equal(got.Shape, want.Shape) {
		return fmt.Sprintf("the shapes are %v and %v", got.Shape, want.Shape)
	}
	at := 0
	for i := range got.Len() {
		if d := math.Abs(got.At(i) - want.At(i)); d > math.Abs(got.At(at)-want.At(at)) || math.IsNaN(d) && !math.IsNaN(got.At(at)-want.At(at)) {
			at = i
		}
	}
	return fmt.Sprintf("element %d of %v is %v, want %v", at, got.Shape, got.At(at), want.At(at))
}

// check tries programs together: machine code of all of them is made at once. Their failures are in the trials.
func check(trials []*trial, w way) {
	each(trials, (*trial).front)
	compare(trials, w)
}

// compare is check after what needs no machine code. It returns the program of all trials, or nil if some cannot be compiled.
func compare(trials []*trial, w way) *exec.Program {
	m := ir.NewModule()
	var joined []*trial
	for _, t := range trials {
		if t.failure != "" {
			continue
		}
		join(m, t.module)
		joined = append(joined, t)
	}
	if len(joined) == 0 {
		return nil
	}
	code, one, three, err := compile(m, w)
	if err != nil {
		if len(joined) > 1 { // which of them is it?
			half := len(joined) / 2
			compare(joined[:half], w)
			compare(joined[half:], w)
			return nil
		}
		joined[0].fail("%s: machine code: %v", w, err)
		return nil
	}
	for k, t := range joined {
		func() {
			defer t.recover("machine code")
			got := t.run(one, 0)
			if d := t.agrees(got); d != "" {
				t.fail("%s: %s", w, d)
			}
			if d := t.keepsWhatIsNotFinite(t.predictSpoilt(one), w); d != "" {
				t.fail("%s: %s", w, d)
			}
			if k%4 > 0 { // the same bits with more threads
				return
			}
			again := t.run(three, 0)
			for i, v := range got.values {
				if i < len(again.values) && (!slices.Equal(v.F32, again.values[i].F32) || !slices.Equal(v.F64, again.values[i].F64) || !slices.Equal(v.I32, again.values[i].I32)) &&
					difference(v, again.values[i]) != 0 {
					t.fail("%s: with three threads, %s is not the same: %s", w, t.truth.names[i], worst(again.values[i], v))
				}
			}
		}()
	}
	return code
}

// compile makes machine code, to be run by one thread and by three.
func compile(m *ir.Module, w way) (p *exec.Program, one, three runtime.Program, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	if p, err = native.Program(m, w.cpu, w.math, w.without...); err != nil {
		return nil, nil, nil, err
	}
	if one, err = exec.New(p, exec.Options{Threads: 1}); err != nil {
		return nil, nil, nil, err
	}
	three, err = exec.New(p, exec.Options{Threads: 3})
	return p, one, three, err
}

// own makes the module one of the trial's own names, so that it can be joined with others.
func (t *trial) own(m *ir.Module) {
	prefix := fmt.Sprintf("p%d.", t.number)
	for _, name := range []*string{&t.predict, &t.step} {
		if *name != "" {
			*name = prefix + *name
		}
	}
	for _, c := range m.Cells {
		c.Name = prefix + c.Name
	}
	for _, f := range m.Funcs {
		f.Name = prefix + f.Name
	}
	t.module = ir.NewModule()
	join(t.module, m)
}

// join adds the cells and functions of a module to m.
func join(m, from *ir.Module) {
	for _, c := range from.Cells {
		m.AddCell(c)
	}
	for _, f := range from.Funcs {
		m.AddFunc(f)
	}
}

// each calls f for all trials, some at the same time.
func each(trials []*trial, f func(*trial)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, goruntime.GOMAXPROCS(0))
	for _, t := range trials {
		wg.Add(1)
		slots <- struct{}{}
		go func() {
			defer func() { <-slots; wg.Done() }()
			f(t)
		}()
	}
	wg.Wait()
}
