package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang"
)

// articleCases are the five well-shaped readings of the worked example, each with both losses.
var articleCases = []string{
	"v1_ones_2x3_mse", "v1_ones_2x3_half_sse", "v2_keeps_7_9_mse", "v2_keeps_7_9_half_sse", "v3_batch_15_17_mse",
	"v3_batch_15_17_half_sse", "v4_two_outputs_mse", "v4_two_outputs_half_sse", "v5_dead_relu_mse", "v5_dead_relu_half_sse",
}

// Every number of the worked example: pre-activations, activations, loss, cotangents, gradients, and the weights after gradient
// descent, as programs of the language compute them.
func TestArticle(t *testing.T) {
	all := readTensors(t, "article")
	onEachAlone(t, func(t *testing.T, s setting) {
		for _, name := range articleCases {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				g := goldens{map[string]*tensor.Tensor{}, name + "/"}
				for k, v := range all {
					if rest, ok := strings.CutPrefix(k, name+"/"); ok {
						g.tensors[rest] = v
					}
				}
				checkArticle(t, s, g)
			})
		}
	})
}

// checkArticle compares every golden of a case with what a program of it computes, and leaves none out.
func checkArticle(t *testing.T, s setting, g goldens) {
	x := g.tensors["in.x"]
	p := articleProgram{g: g, batch: x.Shape[0]}
	text := p.text()
	c := compile(t, diag.NewFile("article.nn", text), lang.Options{}, s)
	checked := map[string]bool{}
	check := func(name string, got *tensor.Tensor) {
		g.check(t, s, name, got, 0)
		checked[name] = true
	}
	for i, test := range c.plan.Tests {
		c.init(t, 0)
		results := c.call(t, test.Func, nil)
		var trajectory []float64
		for k, name := range p.names[i] {
			got := results[test.Expects[k].Left]
			if !strings.HasPrefix(name, "traj.") {
				check(name, got)
				continue
			}
			if trajectory = append(trajectory, got.At(0)); len(trajectory) == g.tensors[name].Len() {
				check(name, tensor.FromF64(trajectory, len(trajectory)))
			}
		}
	}
	for name := range g.tensors {
		in := strings.HasPrefix(name, "in.") || strings.HasPrefix(name, "param.")
		if !in && !checked[strings.TrimSuffix(name, "@f64")] {
			t.Errorf("%s was not computed", name)
		}
	}

	// The same steps as a train declaration takes them, whose loss is the mean over the batch.
	pixels := map[string]*tensor.Tensor{"image": {DType: tensor.F32, Shape: []int{p.batch, 1, 1, 3}, F32: x.F32}}
	for i, run := range descents {
		c.init(t, 0)
		tr := c.plan.Trains[i]
		var trajectory []float64
		for range run.steps {
			trajectory = append(trajectory, c.call(t, tr.Step, pixels)[0].At(0))
		}
		trajectory = append(trajectory, c.call(t, tr.Eval, pixels)[0].At(0))
		g.check(t, s, "traj."+run.tag()+".loss", tensor.FromF64(trajectory, len(trajectory)), 0)
		for _, name := range articleParams {
			g.check(t, s, "after."+run.tag()+"."+name, c.cell(t, name), 0)
		}
	}
}

var articleParams = []string{"W1", "b1", "W2", "b2"}

// descent is some steps of gradient descent.
type descent struct {
	rate  string
	steps int
}

func (d descent) tag() string { return fmt.Sprintf("lr%s_step%d", d.rate, d.steps) }

var descents = []descent{{"0.01", 1}, {"0.001", 20}}

// articleProgram writes the program of a case: one test computes the intermediates, one each does some steps of gradient descent,
// and so does one train each. Tests are about one example; where the case has two, they are stacked by hand there.
type articleProgram struct {
	g     goldens
	batch int
	names [][]string // by test, the goldens that the left sides of its expectations stand for

	strings.Builder
}

func (p *articleProgram) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// expect adds an expectation that holds whatever the value is, since the test reads the value itself.
func (p *articleProgram) expect(golden, value string) {
	p.line("    expect %s == %s", value, value)
	p.names[len(p.names)-1] = append(p.names[len(p.names)-1], golden)
}

func (p *articleProgram) test(name string) {
	p.names = append(p.names, nil)
	p.line("\ntest %q {", name)
}

// stack writes the list of an expression's values for each example; # stands for its number.
func (p *articleProgram) stack(expr string) string {
	var parts []string
	for i := range p.batch {
		parts = append(parts, strings.ReplaceAll(expr, "#", strconv.Itoa(i)))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// cost writes the loss of all examples.
func (p *articleProgram) cost(output, target string) string {
	if strings.HasSuffix(p.g.prefix, "half_sse/") {
		return fmt.Sprintf("0.5 * sum((%s - %s)^2)", output, target)
	}
	return fmt.Sprintf("mse(%s, %s)", output, target)
}

func (p *articleProgram) text() string {
	x, y := literal(p.g.tensors["in.x"]), literal(p.g.tensors["in.y"])
	p.line("model Net(x: f32[3]) -> f32[%d] {", p.g.tensors["in.y"].Shape[1])
	for _, name := range articleParams {
		v := p.g.tensors["param."+name]
		p.line("    param %s: f32%s = %s", name, strings.ReplaceAll(fmt.Sprint(v.Shape), " ", ", "), literal(v))
	}
	p.line("    let z1 = W1 @ x + b1\n    W2 @ relu(z1) + b2\n}")

	p.test("intermediates")
	p.line("    let x = %s", x)
	p.line("    let z1 = %s", p.stack("Net.W1 @ x[#] + Net.b1"))
	p.line("    let a1 = relu(z1)")
	p.line("    let z2 = %s", p.stack("Net.W2 @ a1[#] + Net.b2"))
	p.line("    let a2 = linear(z2)")
	p.line("    let loss = %s", p.cost("a2", y))
	for _, name := range []string{"z1", "a1", "z2", "a2", "loss"} {
		p.expect("out."+name, name)
	}
	p.expect("out.error", "a2 - "+y)
	p.expect("out.delta2", "grad(loss, z2)")
	p.expect("out.da1", "grad(loss, a1)")
	p.expect("out.delta1", "grad(loss, z1)")
	p.expect("grad.dx", "grad(loss, x)")
	p.line("    let whole = %s", p.cost(p.stack("Net(x[#])"), y))
	for _, name := range articleParams {
		p.expect("grad.d"+name, "grad(whole, Net."+name+")")
	}
	p.line("}")

	for _, run := range descents {
		p.test(run.tag())
		p.line("    let x = %s", x)
		whole := p.cost(p.stack("Net(x[#])"), y)
		for range run.steps {
			p.expect("traj."+run.tag()+".loss", whole)
			p.line("    minimize %s over Net using sgd(lr: %s)", whole, run.rate)
		}
		p.expect("traj."+run.tag()+".loss", whole)
		for _, name := range articleParams {
			p.expect("after."+run.tag()+"."+name, "Net."+name)
		}
		p.line("}")
	}

	// An input of three numbers is a picture of one pixel; the targets are equal.
	p.line("\ndata Examples {\n    source: image_folder(\"none\", size: 1)\n    map: { x: image[0, 0] }\n    batch: %d\n}", p.batch)
	loss := p.cost("Net(x)", literal(rows(p.g.tensors["in.y"], 1))+"[0]")
	if strings.HasSuffix(p.g.prefix, "half_sse/") {
		loss = fmt.Sprintf("%d * %s", p.batch, loss) // the goldens take the sum over the batch
	}
	for i, run := range descents {
		p.line("\ntrain run_%d on Examples {\n    loss: %s\n    optimizer: sgd(lr: %s)\n    epochs: 1\n}", i, loss, run.rate)
	}
	return p.String()
}

// literal writes a tensor as the language does.
func literal(v *tensor.Tensor) string {
	at := 0
	var list func(shape []int) string
	list = func(shape []int) string {
		if len(shape) == 0 {
			at++
			return strconv.FormatFloat(v.At(at-1), 'g', -1, 64)
		}
		parts := make([]string, shape[0])
		for i := range parts {
			parts[i] = list(shape[1:])
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return list(v.Shape)
}

// The worked example as the article prints it does not compile, and the message shows both places of each contradiction.
func TestArticleAsPrinted(t *testing.T) {
	file := source(t, filepath.Join("..", "examples", "mlp321", "article.nn"))
	file.Name = "examples/mlp321/article.nn"
	p, list := lang.Compile(file, lang.Options{})
	if p != nil {
		t.Fatal("it compiles")
	}
	want, err := os.ReadFile(filepath.Join("testdata", "article_as_printed.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), rendered(t, list)); diff != "" {
		t.Error(diff)
	}
}
