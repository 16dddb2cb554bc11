package conformance

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/ir"
)

// ownLibrary is a file that declares a layer, a loss, an optimiser and a metric; ownProgram trains with NAMES, those or the library's.
const (
	ownLibrary = `layer Line(units: int)(x: f32[n]) -> f32[units] {
    param kernel: f32[n, units] = zeros
    param bias:   f32[units]    = zeros
    x @ kernel + bias
}
fn distance(p: f32[n], y: f32[n]) -> f32 = mean((p - y)^2)
optimizer heavy(lr: f32)(w, g) {
    state v = zeros
    v <- 0.9 * v - lr * g
    w <- w + v
}
metric middle(x: f32) {
    state total = 0.0
    state count = 0.0
    total <- total + sum[batch] x
    count <- count + sum[batch] 1.0
    value: total / max(count, 1)
}
`
	ownProgram = `import "lib/own.nn"
data D {
    source: synthetic(train: 40)
    let a = normal[3]
    map: { x: a, y: [a[0] - 2 * a[1], sum(a)] }
    batch: 8
}
layer Plain(units: int)(x: f32[n]) -> f32[units] {
    param kernel: f32[n, units] = zeros
    param bias:   f32[units]    = zeros
    x @ kernel + bias
}
model Net(x: f32[3]) -> f32[2] { x |> LAYER(2) }
train on D {
    loss:      LOSS(Net(x), y)
    optimizer: OPTIMIZER
    metrics:   { middle: METRIC }
    epochs:    6
}
`
)

// A user's own layer, loss, optimiser and metric in an imported file train a model, as the library's do.
func TestOwnLibrary(t *testing.T) {
	train := func(layer, loss, optimizer, metric string) []map[string]float64 {
		text := strings.NewReplacer("LAYER", layer, "LOSS", loss, "OPTIMIZER", optimizer, "METRIC", metric).Replace(ownProgram)
		return openProgram(t, text, map[string]string{"lib/own.nn": ownLibrary}).trainLossFalls(t, 0.5)
	}
	own := train("own.Line", "own.distance", "own.heavy(0.02)", "own.middle(sum(Net(x)))")
	library := train("Plain", "mse", "sgd(0.02, momentum: 0.9)", "sum(Net(x))")
	for i := range own {
		for name, want := range library[i] {
			if got := own[i][name]; !(got-want < 1e-5 && want-got < 1e-5) {
				t.Errorf("epoch %d: %s is %v with the file's own declarations, %v with the library's", i+1, name, got, want)
			}
		}
	}
}

// The row that docs/add-an-op.md shows makes an op when it is put into the table, and nothing else is changed.
func TestAddAnOp(t *testing.T) {
	page, err := os.ReadFile("../docs/add-an-op.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?s)```go\n(OpSoftsign: .*?)```").FindSubmatch(page)
	if row == nil {
		t.Fatal("the page shows no row")
	}
	// The library has a fn called softsign, so the op gets another name.
	text := strings.ReplaceAll(string(row[1]), `"softsign"`, `"halfway"`)
	table, err := filepath.Abs("../ir/ops.go")
	if err != nil {
		t.Fatal(err)
	}
	ops, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	added := strings.Replace(string(ops), "\tOpSquare\n", "\tOpSquare\n\tOpSoftsign\n", 1)
	added = strings.Replace(added, "\tOpSquare: {", "\t"+text+"\tOpSquare: {", 1)
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{table: write("ops.go", added)}})
	if err != nil {
		t.Fatal(err)
	}
	program := write("halfway.nn", `fn twice(x: f32[...s]) -> f32[...s] = 2 * halfway(x)
test "a new op, its gradient, and an activation made of it" {
    let x = [-3.0, 0, 1]
    expect halfway(x) == [-0.75, 0, 0.5] within 1e-6
    expect grad(sum(halfway(x)), x) == [0.0625, 1, 0.25] within 1e-6
    expect shape(Dense(2, twice)([1, 2])) == [2]
    expect twice(x) == [-1.5, 0, 1] within 1e-6
}
`)
	if _, known := ir.OpNamed("halfway"); known {
		t.Fatal("there is an op of that name")
	}
	out, err := exec.Command("go", "run", "-overlay", write("overlay.json", string(overlay)), "../cmd/nnc", "test", program).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
