package conformance

import (
	"context"
	"testing"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/lang"
	"github.com/nnc-lang/nnc/runtime/train"
)

// frozenProgram trains in turn the head of a network, a part of its trunk, and both. A Dropout of 64 ones leaves 0
// as the least of them, or 1 where it drops nothing.
const frozenProgram = `data D {
    source: synthetic(train: 16)
    let a = 3 * normal[3] + 1
    map: { x: a, y: sum(a) }
    batch: 8
}
layer Trunk()(x: f32[3]) {
    (out: x |> Dense(4) |> BatchNorm(momentum: 0.5), left: min(Dropout(0.5)([k < 64] => 1 + 0 * x[0])))
}
let trunk = Trunk()
model Net(x: f32[3]) {
    (out: trunk(x).out |> Dense(1), left: min(Dropout(0.5)([k < 64] => 1 + 0 * x[0])), inner: trunk(x).left)
}
train head on D {
    let r = Net(x)
    let still = (x @ trunk.dense.kernel + trunk.dense.bias) / sqrt(1.001)
    metrics: { gap: max(abs(trunk(x).out - still)), inner: r.inner, own: r.left }
    minimize (r.out[0] - y)^2 over Net.dense using sgd(0.001)
    epochs: 2
}
train part on D {
    let r = Net(x)
    metrics: { inner: r.inner, own: r.left }
    minimize (r.out[0] - y)^2 over trunk.dense.kernel, Net.dense using sgd(0.001)
    epochs: 1
}
train whole on D {
    minimize (Net(x).out[0] - y)^2 over Net, trunk using sgd(0.001)
    epochs: 1
}
`

// A minimize in a test freezes what it leaves alone, as a train does.
func TestFrozenInTests(t *testing.T) {
	for _, b := range backends {
		c := compile(t, diag.NewFile("frozen.nn", `
let trunk = BatchNorm(momentum: 0.5)
model Net(x: f32[3]) -> f32[1] { x |> trunk |> Dense(1) }
test "the averages of what no over reaches stay" {
    minimize Net([1, 2, 3])[0]^2 over Net.dense using sgd(0.1)
    expect trunk.moving_mean == [0, 0, 0]
    expect trunk.gamma == [1, 1, 1]
}
test "those of what is trained change" {
    minimize (Net([1, 2, 3])[0] - 1)^2 over Net, trunk using sgd(0.1)
    expect trunk.moving_mean == [0.5, 1, 1.5] within 1e-6
}
test "one of two is enough" {
    minimize (Net([1, 2, 3])[0] - 1)^2 over Net.dense using sgd(0.1)
    minimize (Net([1, 2, 3])[0] - 1)^2 over trunk using sgd(0.1)
    expect trunk.moving_mean == [0.75, 1.5, 2.25] within 1e-6
}
`), lang.Options{}, setting{backend: b})
		c.runTests(t, b.Name())
	}
}

// What no `over` reaches runs as in inference: the averages of a frozen BatchNorm stay and are used, a Dropout in a frozen layer drops
// nothing; one around it does.
func TestFrozen(t *testing.T) {
	s := openProgram(t, frozenProgram, nil)
	run := func(k int) map[string]float64 {
		r, err := train.Run(context.Background(), s.prog, s.plan, s.plan.Trains[k], train.Options{NoCheckpoint: true, NoSave: true})
		if err != nil {
			t.Fatal(err)
		}
		return r.History[len(r.History)-1]
	}
	cell := func(name string) []float32 {
		v, err := s.prog.Cell(name)
		if err != nil {
			t.Fatal(err)
		}
		return append([]float32{}, v.F32...)
	}
	same := func(a, b []float32) bool {
		for i := range a {
			if a[i] != b[i] {
				return false
			}
		}
		return true
	}
	const mean, kernel, head = "trunk.batch_norm.moving_mean", "trunk.dense.kernel", "dense.kernel"
	m, k, h := cell(mean), cell(kernel), cell(head)

	v := run(0)
	if v["gap"] > 1e-5 || v["inner"] != 1 || v["own"] != 0 {
		t.Errorf("the frozen trunk is off by %v; Dropouts leave %v in it and %v around it", v["gap"], v["inner"], v["own"])
	}
	if !same(m, cell(mean)) || !same(k, cell(kernel)) || same(h, cell(head)) {
		t.Errorf("only the head is trained, and the averages went from %v to %v, the head from %v to %v", m, cell(mean), h, cell(head))
	}

	v = run(1)
	if v["inner"] != 0 || v["own"] != 0 {
		t.Errorf("Dropouts of trained layers leave %v and %v", v["inner"], v["own"])
	}
	if !same(m, cell(mean)) || same(k, cell(kernel)) {
		t.Errorf("BatchNorm is frozen and the trunk's kernel is not, and the averages went from %v to %v, the kernel from %v to %v", m, cell(mean), k, cell(kernel))
	}

	run(2)
	if same(m, cell(mean)) {
		t.Error("all is trained, and the averages stay")
	}
}
