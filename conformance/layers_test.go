package conformance

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang"
	"github.com/nnc-lang/nnc/passes"
)

// goldenLayers is how many cases Keras and PyTorch computed.
const goldenLayers = 236

// libraryCase is what testdata/layers knows of one case.
type libraryCase struct {
	Name      string
	Framework string
	Kind      string // layer, activation, loss, optimizer or metric
	Training  bool
	Tolerance map[string][2]float64 // atol and rtol

	tensors map[string]*tensor.Tensor
}

// libraryRow says how a program computes a case.
type libraryRow struct {
	name string

	// body is the body of a model of the case's inputs, or the optimizer of a train.
	body string

	// layout relates the case's tensors to the program's, separated by spaces: NAME=CELL:AXES. The case's parameter NAME is the
	// cell whose path ends in CELL, and the case's tensors of that name have the order of dimensions that AXES gives. Both parts may
	// be left out.
	layout string

	// extra are declarations beside the model.
	extra string

	// reduce is what a loss of examples is combined by: "mean" unless it says "sum" or "none".
	reduce string

	// training says that the model runs as in training, whatever the case says: it reduces over the batch.
	training bool

	// f64 replaces the tolerance of double precision, where the golden kept a constant in single precision.
	f64 tolerance
}

// libraryCases reads all cases, in the order of the goldens.
func libraryCases(t *testing.T) []*libraryCase {
	t.Helper()
	var all []*libraryCase
	if err := json.Unmarshal(unzip(t, filepath.Join("testdata", "layers", "cases.json.gz")), &all); err != nil {
		t.Fatal(err)
	}
	byName := map[string]*libraryCase{}
	for _, c := range all {
		c.tensors = map[string]*tensor.Tensor{}
		byName[c.Name] = c
	}
	for _, framework := range []string{"keras", "torch"} {
		for name, v := range readTensors(t, filepath.Join("layers", framework)) {
			owner, rest, _ := strings.Cut(name, "/")
			byName[owner].tensors[rest] = v
		}
	}
	return all
}

// The library agrees with Keras and PyTorch: outputs, gradients, states, trajectories of optimisers, rates and metrics, in single and
// in double precision.
func TestLibrary(t *testing.T) {
	cases := libraryCases(t)
	if len(cases) != goldenLayers {
		t.Errorf("there are %d cases; there were %d", len(cases), goldenLayers)
	}
	known := libraryRows(t)
	onEachAlone(t, func(t *testing.T, s setting) {
		var passed atomic.Int32
		var missing []string
		t.Cleanup(func() { // the cases have ended
			count("layer cases of "+s.String(), int(passed.Load()), len(cases))
			for _, name := range missing {
				t.Logf("not yet: %s: %s", name, notYet[name])
			}
		})
		for _, c := range cases {
			row, ok := known[c.Name]
			if !ok {
				if notYet[c.Name] == "" {
					t.Errorf("%s has no row", c.Name)
				}
				missing = append(missing, c.Name)
				continue
			}
			if notYet[c.Name] != "" {
				t.Errorf("%s has a row and is among notYet", c.Name)
			}
			t.Run(c.Name, func(t *testing.T) {
				t.Parallel()
				runLibraryCase(t, s, withoutNumbers(c), row)
				if !t.Failed() {
					passed.Add(1)
				}
			})
		}
	})
	for name := range notYet {
		if !slices.ContainsFunc(cases, func(c *libraryCase) bool { return c.Name == name }) {
			t.Errorf("notYet names %s, which is no case", name)
		}
	}
}

// libraryRows are the rows of all cases, by name.
func libraryRows(t *testing.T) map[string]libraryRow {
	t.Helper()
	known := map[string]libraryRow{}
	for _, rows := range [][]libraryRow{activationRows, lossRows, layerRows, attentionRows, recurrentRows, optimizerRows, metricRows} {
		for _, r := range rows {
			if _, twice := known[r.name]; twice {
				t.Errorf("%s has two rows", r.name)
			}
			known[r.name] = r
		}
	}
	return known
}

// Every optional pass may be left out: the library's numbers stay the same.
func TestLibraryWithoutPasses(t *testing.T) {
	known := libraryRows(t)
	cases := libraryCases(t)
	for _, pass := range optionalPasses() {
		s := setting{backend: backends[0], precision: tensor.F64, disable: []string{pass}, threads: 1}
		t.Run(s.String(), func(t *testing.T) {
			for _, c := range cases {
				t.Run(c.Name, func(t *testing.T) {
					t.Parallel()
					runLibraryCase(t, s, withoutNumbers(c), known[c.Name])
				})
			}
		})
	}
}

// libraryRun is one case while it runs.
type libraryRun struct {
	*testing.T
	libraryRow
	c *libraryCase
	s setting

	cells   map[string]string // by the case's names of parameters
	axes    map[string][]int
	checked map[string]bool
}

func runLibraryCase(t *testing.T, s setting, c *libraryCase, row libraryRow) {
	r := &libraryRun{T: t, libraryRow: row, c: c, s: s, cells: map[string]string{}, axes: map[string][]int{}, checked: map[string]bool{}}
	for _, entry := range strings.Fields(row.layout) {
		names, axes, _ := strings.Cut(entry, ":")
		name, cell, _ := strings.Cut(names, "=")
		if cell != "" {
			r.cells[name] = cell
		}
		for _, digit := range axes {
			r.axes[name] = append(r.axes[name], int(digit-'0'))
		}
	}
	switch {
	case c.Kind == "optimizer":
		r.optimizer()
	case c.Kind == "metric":
		r.metric()
	default:
		r.function()
	}
	for name := range c.tensors {
		base := strings.TrimSuffix(name, "@f64")
		kind, _, _ := strings.Cut(base, ".")
		if kind != "in" && kind != "param" && kind != "cot" && !r.checked[base] {
			t.Errorf("%s was not computed", base)
		}
	}
}

// tensor returns a tensor of the case in the program's layout.
func (r *libraryRun) tensor(name string) *tensor.Tensor {
	v, ok := r.c.tensors[name]
	if !ok {
		r.Fatalf("the case has no %s", name)
	}
	return permuted(v, r.axes[baseName(name)])
}

// baseName is the last part of a tensor's name: that of an input, an output or a parameter.
func baseName(name string) string {
	name = strings.TrimSuffix(name, "@f64")
	for _, prefix := range []string{"grad.", "in.", "param.", "out.", "cot.", "after.", "traj."} {
		name = strings.TrimPrefix(name, prefix)
	}
	return name
}

// shaped returns v in a cell's shape, which may leave out dimensions of one element.
func shaped(v *tensor.Tensor, t ir.Type) *tensor.Tensor {
	clone := *v
	clone.Shape = nil
	for _, d := range t.Shape {
		clone.Shape = append(clone.Shape, d.MustConst())
	}
	return &clone
}

// permuted returns v with its dimensions in another order.
func permuted(v *tensor.Tensor, axes []int) *tensor.Tensor {
	if len(axes) == 0 {
		return v
	}
	shape := make([]int, len(axes))
	strides := make([]int, len(axes))
	for i, a := range axes {
		shape[i] = v.Shape[a]
		strides[i] = 1
		for _, n := range v.Shape[a+1:] {
			strides[i] *= n
		}
	}
	out := tensor.New(v.DType, shape...)
	for i := range out.Len() {
		rest, at := i, 0
		for k := len(shape) - 1; k >= 0; k-- {
			at += rest % shape[k] * strides[k]
			rest /= shape[k]
		}
		out.Set(i, v.At(at))
	}
	return out
}

// check compares a value of the program with the case's.
func (r *libraryRun) check(name string, got *tensor.Tensor) {
	r.Helper()
	r.checked[name] = true
	if _, ok := r.c.tensors[name]; !ok {
		return
	}
	if r.s.precision == tensor.F64 {
		if _, ok := r.c.tensors[name+"@f64"]; ok {
			tol := double
			switch {
			case r.f64 != (tolerance{}):
				tol = r.f64
			case r.c.Kind == "optimizer" && r.c.Framework == "keras":
				// Keras rounds momenta and rates to single precision before it computes with them in double precision. Of PyTorch's
				// optimisers, which do not, every digit is compared.
				tol = tolerance{1e-6, 2e-6}
			}
			compare(r.T, name+"@f64", got, r.tensor(name+"@f64"), tol)
			return
		}
	}
	want := r.tensor(name)
	tol, ok := r.c.Tolerance[name]
	if !ok {
		// The goldens give none: two roundings above what correct code shows, as theirs are. In slots, Keras rounds 0.999 before it takes
		// it from 1.
		greatest := 0.0
		for i := range want.Len() {
			greatest = max(greatest, math.Abs(want.At(i)))
		}
		tol = [2]float64{max(2e-6*greatest, 1e-7), 2e-5}
	}
	compare(r.T, name, got, want, tolerance{tol[0], tol[1]})
}

// named lists the case's tensors whose names begin with a prefix, without it.
func (r *libraryRun) named(prefix string) []string {
	var names []string
	for name := range r.c.tensors {
		if rest, ok := strings.CutPrefix(name, prefix); ok && !strings.HasSuffix(rest, "@f64") {
			names = append(names, rest)
		}
	}
	sort.Strings(names)
	return names
}

// cell is the cell of the program that one of the case's parameters is.
func (r *libraryRun) cell(m *ir.Module, name string) *ir.Cell {
	r.Helper()
	want := r.cells[name]
	if want == "" {
		want = strings.ReplaceAll(name, "/", ".")
	}
	var found []*ir.Cell
	for _, c := range m.Cells {
		if c.Name == want || strings.HasSuffix(c.Name, "."+want) {
			found = append(found, c)
		}
	}
	if len(found) != 1 {
		var all []string
		for _, c := range m.Cells {
			all = append(all, c.Name)
		}
		r.Fatalf("%d cells are called %s; there are %s", len(found), want, strings.Join(all, ", "))
	}
	return found[0]
}

// packed is data whose examples are several tensors: they lie one after the other in the pixels of a picture, which the data's map takes
// apart again.
type packed struct {
	fields []plan.Field
	total  int
}

func (p *packed) add(name string, v *tensor.Tensor) {
	f := plan.Field{Name: name, DType: v.DType, Shape: v.Shape[1:]}
	p.fields = append(p.fields, f)
	p.total += elementsOf(f)
}

func elementsOf(f plan.Field) int {
	n := 1
	for _, d := range f.Shape {
		n *= d
	}
	return n
}

// names joins the names of the fields.
func (p *packed) names() string {
	var names []string
	for _, f := range p.fields {
		names = append(names, f.Name)
	}
	return strings.Join(names, ", ")
}

// params writes the fields as the parameters of a model.
func (p *packed) params() string {
	var list []string
	for _, f := range p.fields {
		list = append(list, f.Name+": "+typeText(f.DType, f.Shape))
	}
	return strings.Join(list, ", ")
}

// text declares the data.
func (p *packed) text() string {
	var parts []string
	at := 0
	for _, f := range p.fields {
		part := fmt.Sprintf("image[%d]", at)
		if n := elementsOf(f); len(f.Shape) > 0 {
			part = fmt.Sprintf("reshape([k < %d] => image[k + %d], %s)", n, at, strings.ReplaceAll(fmt.Sprint(f.Shape), " ", ", "))
		}
		if f.DType == tensor.I32 {
			part = "i32(" + part + ")"
		}
		parts = append(parts, "        "+f.Name+": "+part)
		at += elementsOf(f)
	}
	return "data Examples {\n    source: image_folder(\"none\", size: 1)\n    batch: 1\n" +
		"    map: {\n" + strings.Join(parts, ",\n") + "\n    }\n}\n"
}

// schema is the field that the source has.
func (p *packed) schema() func(*plan.Data) error {
	return fields(plan.Field{Name: "image", DType: tensor.F32, Shape: []int{p.total}})
}

// batch packs n examples, given as tensors of the fields.
func (p *packed) batch(n int, tensors map[string]*tensor.Tensor) map[string]*tensor.Tensor {
	out := tensor.New(tensor.F32, n, p.total)
	at := 0
	for _, f := range p.fields {
		size := elementsOf(f)
		for i := range n {
			for k := range size {
				out.Set(i*p.total+at+k, tensors[f.Name].At(i*size+k))
			}
		}
		at += size
	}
	return map[string]*tensor.Tensor{"image": out}
}

func typeText(d tensor.DType, shape []int) string {
	if len(shape) == 0 {
		return d.String()
	}
	return d.String() + strings.ReplaceAll(fmt.Sprint(shape), " ", ", ")
}

// used lists the inputs that the body mentions.
func (r *libraryRun) used() []string {
	var names []string
	for _, name := range r.named("in.") {
		if regexp.MustCompile(`\b` + name + `\b`).MatchString(r.body) {
			names = append(names, name)
		}
	}
	return names
}

// function runs a layer, an activation or a loss: outputs, gradients of sum(output · cotangent), and states afterwards.
func (r *libraryRun) function() {
	names := r.used()
	var data packed
	for _, name := range names {
		data.add(name, r.tensor("in."+name))
	}
	text := r.extra + "\nmodel Net(" + data.params() + ") {\n" + r.body + "\n}\n"
	training := r.c.Training || r.training
	if training { // a model's function for training is made where something trains it
		text += "model Anchor(" + data.params() + ") -> f32 {\n    param anchor: f32 = 1\n    anchor\n}\n" + data.text() +
			"train on Examples {\n    loss: Anchor(" + data.names() + ") * sum(Net(" + data.names() + "))\n    optimizer: sgd()\n    epochs: 1\n}\n"
	}
	p, list := lang.Compile(diag.NewFile(r.name+".nn", text), lang.Options{Schema: data.schema()})
	if list.HasErrors() {
		r.Fatalf("it does not compile:\n%s\n%s", text, rendered(r.T, list))
	}
	net := p.Module.Func(".Net")
	if training {
		net = p.Module.Func(".Net.training")
	}
	params := r.named("param.")
	var cells []*ir.Cell
	for _, name := range params {
		if c := r.cell(p.Module, name); c.Kind == ir.Param {
			cells = append(cells, c)
		}
	}
	golden := goldenFunction(p.Module, net, cells)
	c := r.compilePlan(p)
	for _, name := range params {
		cell := r.cell(p.Module, name)
		c.setCell(r.T, cell.Name, shaped(r.tensor("param."+name), cell.Type))
	}
	args := map[string]*tensor.Tensor{}
	for _, name := range names {
		args[name] = r.tensor("in." + name)
	}
	batch := args[names[0]].Shape[0]
	outs := r.named("out.")
	for i, name := range outs {
		cot := r.tensor("cot." + name)
		if r.reduction() != "" {
			cot = spread(cot, batch, r.reduction())
		}
		args["cot"+strconv.Itoa(i)] = cot
	}
	results := c.call(r.T, golden, args)
	for _, name := range outs {
		y := results[0]
		results = results[1:]
		if r.reduction() != "" {
			y = combined(y, r.reduction())
		}
		r.check("out."+name, y)
	}
	for _, q := range net.Params {
		if q.Type.DType == tensor.F32 {
			r.check("grad.in."+q.Name, results[0])
			results = results[1:]
		}
	}
	for _, name := range params {
		cell := r.cell(p.Module, name)
		if cell.Kind == ir.Param {
			r.check("grad.param."+name, results[0])
			results = results[1:]
		} else if training {
			r.check("after."+name, c.cell(r.T, cell.Name))
		}
	}
}

// compilePlan compiles an elaborated program.
func (r *libraryRun) compilePlan(p *plan.Program) *compiled {
	r.Helper()
	if err := passes.Run(p.Module, passes.Options{Disable: r.s.disable, VerifyEach: true}); err != nil {
		r.Fatal(err)
	}
	prog, err := r.s.backend.Compile(p.Module, codegen.Options{Precision: r.s.precision, Math: r.s.math(), Threads: r.s.threads})
	if err != nil {
		r.Fatal(err)
	}
	c := &compiled{p, prog}
	c.init(r.T, 0)
	return c
}

// goldenFunction adds a function that calls net and returns its results, then the gradients of sum(result · cotangent) with respect to
// its f32 parameters and to the cells.
func goldenFunction(m *ir.Module, net *ir.Func, cells []*ir.Cell) string {
	b := ir.NewFunc("golden")
	var args, wrt []*ir.Value
	for _, q := range net.Params {
		v := b.Param(q.Name, q.Type)
		args = append(args, v)
		if q.Type.DType == tensor.F32 {
			wrt = append(wrt, v)
		}
	}
	for _, c := range cells {
		wrt = append(wrt, b.Read(c))
	}
	var total *ir.Value
	for i, y := range b.Call(net, args...) {
		cot := b.Param("cot"+strconv.Itoa(i), y.Type)
		at := ir.Loops(0, len(y.Type.Shape))
		sum := b.Nest(&ir.Nest{
			Combine: ir.Sum, Index: ir.Indices(y.Type.Shape),
			Body: ir.Apply(ir.OpMul, ir.ReadOf(tensor.F32, 0, at...), ir.ReadOf(tensor.F32, 1, at...)),
		}, y, cot)
		if total == nil {
			total = sum
		} else {
			total = b.Apply(ir.OpAdd, total, sum)
		}
		b.Return("", y)
	}
	if len(wrt) > 0 {
		for _, g := range b.Grad(total, wrt...) {
			b.Return("", g)
		}
	}
	m.AddFunc(b.Func)
	return b.Func.Name
}

// reduction is how a loss combines examples; "" where the case is no loss of examples.
func (r *libraryRun) reduction() string {
	switch {
	case r.c.Kind != "loss" || r.reduce == "none":
		return ""
	case r.reduce == "":
		return "mean"
	}
	return r.reduce
}

// spread is the cotangent of each example's loss.
func spread(cot *tensor.Tensor, batch int, reduce string) *tensor.Tensor {
	out := tensor.New(tensor.F64, batch)
	for i := range batch {
		out.Set(i, cot.At(0))
		if reduce == "mean" {
			out.Set(i, cot.At(0)/float64(batch))
		}
	}
	return out
}

// combined is the loss of all examples.
func combined(y *tensor.Tensor, reduce string) *tensor.Tensor {
	sum := 0.0
	for i := range y.Len() {
		sum += y.At(i)
	}
	if reduce == "mean" {
		sum /= float64(y.Len())
	}
	return tensor.FromF64([]float64{sum}, 1)
}

// optimizer feeds a train with given gradients and follows the weights. The loss of a weight w is sum(w · g), whose gradient is g.
func (r *libraryRun) optimizer() {
	var data packed
	var weights, terms, params []string
	for _, g := range r.named("in.g") {
		w := "w" + g
		weights = append(weights, w)
		data.add("g"+g, r.tensor("in.g"+g))
		terms = append(terms, fmt.Sprintf("sum(%s * g%s)", w, g))
		params = append(params, "    param "+w+": "+typeText(tensor.F32, r.tensor("in."+w).Shape)+" = zeros\n")
	}
	text := r.extra + "\nmodel W(" + data.params() + ") -> f32 {\n" + strings.Join(params, "") + "    " + strings.Join(terms, " + ") + "\n}\n" +
		"model Rate(step: f32) -> f32 {\n    " + rateOf(r.body) + "\n}\n" + data.text() +
		"train on Examples {\n    loss: W(" + data.names() + ")\n    optimizer: " + r.body + "\n    epochs: 1\n}\n"
	p, list := lang.Compile(diag.NewFile(r.name+".nn", text), lang.Options{Schema: data.schema()})
	if list.HasErrors() {
		r.Fatalf("it does not compile:\n%s\n%s", text, rendered(r.T, list))
	}
	c := r.compilePlan(p)
	tracks := map[string][]float64{}
	note := func() {
		for _, w := range weights {
			v := c.cell(r.T, "W."+w)
			for i := range v.Len() {
				tracks[w] = append(tracks[w], v.At(i))
			}
		}
	}
	for _, w := range weights {
		c.setCell(r.T, "W."+w, r.tensor("in."+w))
	}
	note()
	steps := r.tensor("traj.lr").Len()
	for k := range steps {
		gradients := map[string]*tensor.Tensor{}
		for _, f := range data.fields {
			gradients[f.Name] = rowsFrom(r.tensor("in."+f.Name), k, 1)
		}
		args := data.batch(1, gradients)
		args["step"] = tensor.FromI32([]int32{int32(k)})
		c.call(r.T, p.Trains[0].Step, args)
		note()
	}
	for _, w := range weights {
		r.check("traj."+w, tensor.FromF64(tracks[w], r.tensor("traj."+w).Shape...))
	}
	for name := range r.cells { // after.slot.….w0_NAME is the cell ….w0.CELL
		for _, full := range r.named("after.") {
			for _, w := range weights {
				if strings.HasSuffix(full, "."+w+"_"+name) || strings.HasSuffix(full, "."+name) {
					cell := r.cell(p.Module, w+"."+r.cells[name])
					if r.s.precision == tensor.F32 {
						r.check("after."+full, c.cell(r.T, cell.Name))
					}
					r.checked["after."+full] = true
				}
			}
		}
	}
	if rates := r.c.tensors["rates"]; rates != nil {
		r.check("rates", r.rates(c, rates.Len()))
	}
	if r.s.precision == tensor.F64 { // the goldens' rates are those of single precision
		r.checked["traj.lr"] = true
		return
	}
	r.check("traj.lr", r.rates(c, steps))
}

// rates are the learning rates of the first n steps.
func (r *libraryRun) rates(c *compiled, n int) *tensor.Tensor {
	steps := tensor.New(tensor.F32, n)
	for i := range n {
		steps.Set(i, float64(i))
	}
	return c.call(r.T, "Rate.predict", map[string]*tensor.Tensor{"step": steps})[0]
}

// rateOf is the first argument of an optimizer's call, its learning rate.
func rateOf(call string) string {
	_, rest, _ := strings.Cut(call, "lr: ")
	depth := 0
	for i, ch := range rest {
		switch {
		case strings.ContainsRune("([", ch):
			depth++
		case depth == 0 && strings.ContainsRune(",)", ch):
			return rest[:i]
		case strings.ContainsRune(")]", ch):
			depth--
		}
	}
	panic("BUG: no learning rate in " + call)
}

// metric measures the batches of a case one after the other.
func (r *libraryRun) metric() {
	inputs := []string{"y_pred", "y_true"}
	if r.c.tensors["in.weight0"] != nil {
		inputs = append(inputs, "weight")
	}
	var data packed
	for _, name := range inputs {
		data.add(name, r.tensor("in."+name+"0"))
	}
	text := r.extra + "\nmodel Anchor(" + data.params() + ") -> f32 {\n    param anchor: f32 = 1\n    anchor\n}\n" + data.text() +
		"train on Examples {\n    loss: Anchor(" + data.names() + ")\n    optimizer: sgd()\n    metrics: { result: " + r.body + " }\n    epochs: 1\n}\n"
	p, list := lang.Compile(diag.NewFile(r.name+".nn", text), lang.Options{Schema: data.schema()})
	if list.HasErrors() {
		r.Fatalf("it does not compile:\n%s\n%s", text, rendered(r.T, list))
	}
	c := r.compilePlan(p)
	running := slices.Contains(p.Trains[0].Running, "result")
	var results []float64
	sum := 0.0
	for k := 0; r.c.tensors["in.y_true"+strconv.Itoa(k)] != nil; k++ {
		batch := map[string]*tensor.Tensor{}
		for _, name := range inputs {
			batch[name] = r.tensor("in." + name + strconv.Itoa(k))
		}
		fn := p.Module.Func(p.Trains[0].Eval)
		at := slices.Index(fn.ResultNames, "result")
		x := c.call(r.T, fn.Name, data.batch(batch["y_true"].Shape[0], batch))[at].At(0)
		if !running { // a mean over the batch; these batches are of one size
			sum += x
			x = sum / float64(k+1)
		}
		results = append(results, x)
	}
	r.check("traj.result", tensor.FromF64(results, len(results)))
}
