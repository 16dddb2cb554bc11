package weights

import (
	"slices"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// The modules that Keras's classes are in.
const (
	kerasModule = "keras.layers"
	numpyOps    = "keras.src.ops.numpy"
	coreOps     = "keras.src.ops.core"
	mathOps     = "keras.src.ops.math"
	neuralOps   = "keras.src.ops.nn"
)

// elementwiseOps are the operations of Keras for fns of one tensor without arguments.
var elementwiseOps = map[string]struct{ module, class string }{
	"log": {numpyOps, "Log"}, "log1p": {numpyOps, "Log1p"}, "expm1": {numpyOps, "Expm1"}, "sqrt": {numpyOps, "Sqrt"}, "square": {numpyOps, "Square"},
	"abs": {numpyOps, "Absolute"}, "sign": {numpyOps, "Sign"}, "sin": {numpyOps, "Sin"}, "cos": {numpyOps, "Cos"}, "floor": {numpyOps, "Floor"},
	"erf": {mathOps, "Erf"},
}

// mergeLayers are the layers of Keras that join two tensors, by operators and fns.
var mergeLayers = map[string]string{"+": "Add", "-": "Subtract", "*": "Multiply", "max": "Maximum", "min": "Minimum"}

// operation makes a call of what Keras has for an operator or a fn of the library; nil if it has nothing.
func (t *tracer) operation(s *tracing, call int) ([]ref, error) {
	c := s.model.Calls[call]
	tensors := 0
	for _, a := range c.Args {
		if isTensor(a) {
			tensors++
		}
	}
	if tensors == 0 || len(c.Outputs) == 0 {
		return nil, nil
	}
	number := func(i int) (float64, bool) {
		if i < len(c.Args) && c.Args[i].Call == plan.FromNumber {
			return c.Args[i].Number, true
		}
		return 0, false
	}
	// Which layer it is depends on types alone, so that nothing is looked for in vain.
	var build func(x []ref) []ref
	class, config := "", map[string]any(nil)
	if c.Kind == plan.CallFn {
		class, config = activationLayer(c.Name, c.Config)
	}
	out := c.Outputs
	rank := len(out[0].Shape)
	unary, isUnary := elementwiseOps[c.Name]
	first, isFirst := number(0)
	second, isSecond := number(1)
	float := out[0].DType == tensor.F32
	switch {
	case class != "" && len(c.Args) == 1:
		build = func(x []ref) []ref { return t.once(kerasModule, class, config, out, x[0]) }
	case isUnary && len(c.Args) == 1:
		build = func(x []ref) []ref { return t.once(unary.module, unary.class, nil, out, x[0]) }
	case c.Name == "concat":
		build = func(x []ref) []ref {
			return t.once(kerasModule, "Concatenate", map[string]any{"axis": -1}, out, list(x))
		}
	case c.Name == "reshape":
		build = func(x []ref) []ref {
			return t.once(kerasModule, "Reshape", map[string]any{"target_shape": batchShape(out[0])[1:]}, out, x[0])
		}
		if slices.Contains(out[0].Shape, -1) {
			return nil, nil
		}
	case c.Name == "transpose":
		build = func(x []ref) []ref {
			return t.once(kerasModule, "Permute", map[string]any{"dims": []int{2, 1}}, out, x[0])
		}
	case c.Name == "reverse":
		build = func(x []ref) []ref { return t.once(numpyOps, "Flip", map[string]any{"axis": 1}, out, x[0]) }
	case c.Name == "last":
		build = func(x []ref) []ref { return t.once(numpyOps, "Take", map[string]any{"axis": 1}, out, x[0], -1) }
	case c.Name == "split" && isSecond:
		build = func(x []ref) []ref {
			return t.once(numpyOps, "Split", map[string]any{"indices_or_sections": int(second), "axis": -1}, out, x[0])
		}
	case c.Name == "f32":
		build = func(x []ref) []ref { return t.once(coreOps, "Cast", map[string]any{"dtype": "float32"}, out, x[0]) }
	case c.Kind == plan.CallOperator && len(c.Args) == 1 && c.Name == "-" && float:
		build = t.rescaling(-1, 0, out)
	case len(c.Args) != 2:
	case tensors == 2:
		if class := mergeLayers[c.Name]; class != "" {
			build = func(x []ref) []ref { return t.once(kerasModule, class, nil, out, list(x)) }
			break
		}
		if c.Name == "/" {
			build = func(x []ref) []ref {
				if len(x[0].tensor().Shape) != rank || len(x[1].tensor().Shape) != rank {
					return nil
				}
				return t.once(numpyOps, "TrueDivide", nil, out, x[0], x[1])
			}
		}
	case !float:
	case c.Name == "+" && isSecond:
		build = t.rescaling(1, second, out)
	case c.Name == "+":
		build = t.rescaling(1, first, out)
	case c.Name == "-" && isSecond:
		build = t.rescaling(1, -second, out)
	case c.Name == "-":
		build = t.rescaling(-1, first, out)
	case c.Name == "*" && isSecond:
		build = t.rescaling(second, 0, out)
	case c.Name == "*":
		build = t.rescaling(first, 0, out)
	case c.Name == "/" && isSecond:
		build = t.rescaling(1/second, 0, out)
	case c.Name == "/" && isFirst:
		build = func(x []ref) []ref { return t.once(numpyOps, "TrueDivide", nil, out, first, x[0]) }
	case c.Name == "^" && isSecond:
		build = func(x []ref) []ref { return t.once(numpyOps, "Power", nil, out, x[0], second) }
	case c.Name == "max" && isSecond:
		build = func(x []ref) []ref { return t.once(numpyOps, "Maximum", nil, out, x[0], second) }
	case c.Name == "min" && isSecond:
		build = func(x []ref) []ref { return t.once(numpyOps, "Minimum", nil, out, x[0], second) }
	}
	if build == nil {
		return nil, nil
	}
	x, err := t.arguments(s, call)
	if err != nil {
		return nil, err
	}
	return build(x), nil
}

// rescaling is x * scale + offset.
func (t *tracer) rescaling(scale, offset float64, out []plan.Tensor) func([]ref) []ref {
	return func(x []ref) []ref {
		return t.once(kerasModule, "Rescaling", map[string]any{"scale": scale, "offset": offset}, out, x[0])
	}
}

func list(refs []ref) []any {
	all := make([]any, len(refs))
	for i, r := range refs {
		all[i] = r
	}
	return all
}

// positions makes what a PositionEmbedding is in Keras: an Embedding of the places 0, 1, …, which are counted along the sequence.
func (t *tracer) positions(s *tracing, call int, l *plan.Layer) ([]ref, error) {
	x, err := t.arguments(s, call)
	if err != nil {
		return nil, err
	}
	out := s.model.Calls[call].Outputs
	whole := x[0].tensor()
	row := []plan.Tensor{{DType: tensor.F32, Shape: whole.Shape[:1]}}
	ones := t.once(numpyOps, "OnesLike", nil, []plan.Tensor{whole}, x[0])
	one := t.once(numpyOps, "Max", map[string]any{"axis": -1, "keepdims": false}, row, ones[0])
	count := t.once(numpyOps, "Cumsum", map[string]any{"axis": 1}, row, one[0])
	place := t.once(kerasModule, "Rescaling", map[string]any{"scale": 1.0, "offset": -1.0}, row, count[0])
	n := t.layer(s.model, l, "Embedding", map[string]any{"input_dim": layerConfig(l.Config).whole("sequence_length"), "output_dim": whole.Shape[1]})
	return t.apply(n, application{args: []any{place[0]}, outputs: out}), nil
}
