package conformance

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang"
)

// metricCalls are the metrics that testdata/metrics.json.gz has values of, as the library is asked for them.
var metricCalls = map[string]string{
	"precision": "precision(p, label)", "recall": "recall(p, label)", "f1": "f1(p, label)",
	"precision_at": "precision(p, label, threshold: 0.25)", "recall_at": "recall(p, label, threshold: 0.25)",
	"precision_top2": "precision(p, label, top_k: 2)", "recall_top2": "recall(p, label, top_k: 2)",
	"precision_of1": "precision(p, label, class_id: 1)", "recall_of1": "recall(p, label, class_id: 1)",
	"precision_top1_of0": "precision(p, label, top_k: 1, class_id: 0)", "recall_top1_of0": "recall(p, label, top_k: 1, class_id: 0)",
	"auc_logits": "auc(p, label, from_logits: true)",
	"top1":       "top_k_accuracy(p, label, 1)", "top2": "top_k_accuracy(p, label, 2)", "accuracy": "accuracy(p, label)",
	"confusion_matrix": "confusion_matrix(p, label)",
}

// metricCall returns the call for a name, which is in metricCalls or says by its parts what is asked.
func metricCall(name string) string {
	if call := metricCalls[name]; call != "" {
		return call
	}
	parts := strings.Split(name, "_")
	switch {
	case parts[0] == "auc" && parts[2] == "each":
		return fmt.Sprintf("auc(p, label, curve: %q, multi_label: true)", strings.ToUpper(parts[1]))
	case parts[0] == "auc" && parts[2] == "interpolation":
		return fmt.Sprintf("auc(p, label, curve: %q)", strings.ToUpper(parts[1]))
	case parts[0] == "auc":
		return fmt.Sprintf("auc(p, label, curve: %q, num_thresholds: 9, summation_method: %q)", strings.ToUpper(parts[1]), parts[2])
	case parts[0] == "f1" && len(parts) == 3:
		return fmt.Sprintf("f1(p, label, threshold: 0.5, average: %q)", parts[1])
	case parts[0] == "f1":
		return fmt.Sprintf("f1(p, label, average: %q)", parts[1])
	}
	return fmt.Sprintf("%s(p, label, top_k: 1, average: %q)", parts[0], parts[1])
}

// The library's metrics agree with Keras's, and with scikit-learn's where Keras has none, on several hundred random cases: with ties, values at
// thresholds, classes that do not occur, over several batches.
func TestMetrics(t *testing.T) {
	type metricCase struct {
		N       int
		Labels  bool
		P       [][]float64
		Target  json.RawMessage
		Cuts    []int
		Float32 map[string]json.RawMessage
		Float64 map[string]json.RawMessage
	}
	var data struct{ Cases []metricCase }
	if err := json.Unmarshal(unzip(t, "testdata/metrics.json.gz"), &data); err != nil {
		t.Fatal(err)
	}
	kinds := map[string][]metricCase{}
	for _, c := range data.Cases {
		name := fmt.Sprintf("%d outputs", c.N)
		if c.Labels {
			name += " of labels"
		}
		kinds[name] = append(kinds[name], c)
	}
	onEach(t, func(t *testing.T, s setting) {
		compared := 0
		for kind, cases := range kinds {
			n, first := cases[0].N, cases[0]
			var names, metrics []string
			for name := range first.Float32 {
				names = append(names, name)
			}
			slices.Sort(names)
			for _, name := range names {
				metrics = append(metrics, name+": "+metricCall(name))
			}
			text := fmt.Sprintf("data D { source: csv(\"x.csv\", columns: { p: f32, label: i32 }) }\nmodel M(p: f32[%d]) -> f32 {\n    param w: f32 = 1\n    w * sum(p)\n}\n"+
				"train on D {\n    loss: M(p)\n    optimizer: sgd()\n    epochs: 1\n    metrics: { %s }\n}\n", n, strings.Join(metrics, ", "))
			p := plan.Field{Name: "p", DType: tensor.F32, Shape: []int{n}}
			label := plan.Field{Name: "label", DType: tensor.I32}
			if first.Labels {
				label = plan.Field{Name: "label", DType: tensor.F32, Shape: []int{n}}
			}
			prog := compile(t, diag.NewFile("metrics.nn", text), lang.Options{Schema: fields(p, label)}, s)
			for i, c := range cases {
				prog.call(t, prog.plan.Reset, nil)
				var results []*tensor.Tensor
				sums := map[string]float64{} // of metrics that are means over the examples
				for k, lo := range c.Cuts[:len(c.Cuts)-1] {
					hi := c.Cuts[k+1]
					results = prog.call(t, prog.plan.Trains[0].Eval, map[string]*tensor.Tensor{"p": matrixOf(t, c.P[lo:hi]), "label": targetsOf(t, c.Target, c.Labels, lo, hi)})
					for j, name := range prog.plan.Trains[0].Metrics {
						if !slices.Contains(prog.plan.Trains[0].Running, name) {
							sums[name] += results[j+1].At(0) * float64(hi-lo)
						}
					}
				}
				want := c.Float32
				// Counts are exact; shares, and sums of up to 200 of them, are rounded.
				tol := tolerance{2e-6, 2e-6}
				if s.precision == tensor.F64 {
					want, tol = c.Float64, tolerance{1e-12, 1e-9}
				}
				for j, name := range prog.plan.Trains[0].Metrics {
					if want[name] == nil {
						continue
					}
					got := results[j+1]
					if sum, mean := sums[name]; mean {
						got = tensor.FromF64([]float64{sum / float64(len(c.P))}, 1)
					}
					compare(t, fmt.Sprintf("%s, case %d, %s", kind, i, name), got, numbersOf(t, want[name]), tol)
					compared++
				}
			}
		}
		t.Logf("%d values", compared)
	})
}

func matrixOf(t *testing.T, rows [][]float64) *tensor.Tensor {
	t.Helper()
	m := tensor.New(tensor.F32, len(rows), len(rows[0]))
	for i, row := range rows {
		for k, v := range row {
			m.Set(i*len(row)+k, v)
		}
	}
	return m
}

// targetsOf are a class of each example, or for each a number of each label.
func targetsOf(t *testing.T, text json.RawMessage, labels bool, lo, hi int) *tensor.Tensor {
	t.Helper()
	if labels {
		var rows [][]float64
		if err := json.Unmarshal(text, &rows); err != nil {
			t.Fatal(err)
		}
		return matrixOf(t, rows[lo:hi])
	}
	var classes []int32
	if err := json.Unmarshal(text, &classes); err != nil {
		t.Fatal(err)
	}
	return tensor.FromI32(classes[lo:hi], hi-lo)
}

// numbersOf are the numbers of nested lists, in their order.
func numbersOf(t *testing.T, text json.RawMessage) *tensor.Tensor {
	t.Helper()
	var any any
	if err := json.Unmarshal(text, &any); err != nil {
		t.Fatal(err)
	}
	all := flattened(any)
	return tensor.FromF64(all, len(all))
}

func flattened(v any) []float64 {
	list, ok := v.([]any)
	if !ok {
		return []float64{v.(float64)}
	}
	var all []float64
	for _, e := range list {
		all = append(all, flattened(e)...)
	}
	return all
}
