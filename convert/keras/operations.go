package keras

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// elementwise are the operations of Keras that are fns of one tensor here.
var elementwise = map[string]string{
	"Relu": "relu", "Relu6": "relu6", "Sigmoid": "sigmoid", "Tanh": "tanh", "Softplus": "softplus", "Softsign": "softsign", "Silu": "silu", "Gelu": "gelu",
	"Selu": "selu", "HardSigmoid": "hard_sigmoid", "HardSilu": "hard_silu", "HardTanh": "hard_tanh", "LogSigmoid": "log_sigmoid", "Exp": "exp", "Log": "log",
	"Log1p": "log1p", "Expm1": "expm1", "Sqrt": "sqrt", "Square": "square", "Absolute": "abs", "Abs": "abs", "Sign": "sign", "Sin": "sin", "Cos": "cos",
	"Floor": "floor", "Erf": "erf",
}

// reductions are the operations that reduce dimensions.
var reductions = map[string]string{"Mean": "mean", "Sum": "sum", "Max": "max", "Min": "min", "Prod": "prod"}

// joining are the operations that join two values, one of which may be a number.
var joining = map[string]string{"Add": " + ", "Subtract": " - ", "Multiply": " * ", "TrueDivide": " / ", "Divide": " / ", "Power": "^"}

// operand is a value, in parentheses where an operator could take part of it.
func (g *graph) operand(v any) string {
	switch v := v.(type) {
	case ref:
		if g.simple[v] {
			return g.value[v]
		}
		return "(" + g.value[v] + ")"
	case float64:
		if v < 0 {
			return "(" + written(v) + ")"
		}
		return written(v)
	}
	return fmt.Sprint(v)
}

// operation writes a call of one of Keras's operations, and of layers that are operators here; ok is false for all others. pipe tells whether
// it may stand in a pipe.
func (g *graph) operation(l *layer, c call) (text string, pipe, ok bool, err error) {
	args := flat(c.args)
	if len(args) == 0 {
		return "", false, false, nil
	}
	x, first := args[0].(ref)
	shape := g.m.shapes[x]
	if fn := elementwise[l.class]; fn != "" && first && len(args) == 1 {
		if approximate, _ := l.config["approximate"].(bool); approximate {
			fn += "(approximate: true)"
		}
		return g.value[x] + " |> " + fn, true, true, nil
	}
	axis := -1 // of those of an example; of several, this one is unused
	if a, has := l.config["axis"].(float64); has && shape != nil {
		if axis = int(a) - 1; a < 0 {
			axis = int(a) + len(shape.dims)
		}
	}
	switch l.class {
	case "Average":
		var all []string
		for _, a := range args {
			all = append(all, g.operand(a))
		}
		return "(" + strings.Join(all, " + ") + ") / " + strconv.Itoa(len(all)), false, true, nil
	case "Add", "Subtract", "Multiply", "TrueDivide", "Divide", "Power":
		if text, ok := g.stretched(l.class, args); ok {
			return text, false, true, nil
		}
		var all []string
		for _, a := range args {
			all = append(all, g.operand(a))
		}
		return strings.Join(all, joining[l.class]), false, true, nil
	case "Maximum", "Minimum":
		text = g.operand(args[0])
		for _, a := range args[1:] {
			text = strings.ToLower(l.class[:3]) + "(" + text + ", " + g.operand(a) + ")"
		}
		return text, false, true, nil
	}
	if !first {
		return "", false, false, nil
	}
	if reduce := reductions[l.class]; reduce != "" && shape != nil {
		text, err = g.reduced(reduce, l.config, shape)
		return g.value[x] + " |> " + text, true, true, err
	}
	switch l.class {
	case "Negative":
		return "-" + g.operand(x), false, true, nil
	case "Rsqrt", "Reciprocal":
		text = g.operand(x)
		if l.class == "Rsqrt" {
			text = "sqrt(" + g.value[x] + ")"
		}
		return "1 / " + text, false, true, nil
	case "Clip":
		low, ok1 := l.config["x_min"].(float64)
		high, ok2 := l.config["x_max"].(float64)
		if !ok1 || !ok2 {
			return "", false, true, errors.New("its limits are no numbers")
		}
		return fmt.Sprintf("clamp(%s, %s, %s)", g.value[x], written(low), written(high)), false, true, nil
	case "Cast":
		switch dtype, _ := l.config["dtype"].(string); {
		case strings.HasPrefix(dtype, "float"):
			return "f32(" + g.value[x] + ")", false, true, nil
		case strings.HasPrefix(dtype, "int"):
			return "i32(" + g.value[x] + ")", false, true, nil
		}
		return "", false, true, fmt.Errorf("dtype is %v", l.config["dtype"])
	case "OnesLike":
		g.helpers["ones_like"] = "// 1 for each element.\nfn ones_like(x: f32[...s]) -> f32[...s] = 0 * x + 1\nfn ones_like(x: i32[...s]) -> i32[...s] = 0 * x + 1"
		return g.value[x] + " |> ones_like", true, true, nil
	case "Cumsum":
		if shape == nil || len(shape.dims) != 1 || axis != 0 {
			return "", false, true, errors.New("it sums along one of several dimensions")
		}
		g.helpers["cumsum"] = "// The sums of the elements up to each one.\nfn cumsum(x: f32[t]) -> f32[t] = [i] => sum[j] where(j <= i, x[j], 0)\nfn cumsum(x: i32[t]) -> i32[t] = [i] => sum[j] where(j <= i, x[j], 0)"
		return g.value[x] + " |> cumsum", true, true, nil
	case "Flip":
		if axis != 0 {
			return "", false, true, errors.New("only the first dimension of an example can be reversed")
		}
		return g.value[x] + " |> reverse", true, true, nil
	case "Take":
		k, isNumber := last(args).(float64)
		if !isNumber || axis != 0 {
			return "", false, true, errors.New("it takes elements by a tensor, or not along the first dimension of an example")
		}
		text, err = g.item(shape, []any{k})
		return g.value[x] + " |> " + text, true, true, err
	case "GetItem":
		items, isList := last(c.args).([]any)
		if !isList || shape == nil || len(items) == 0 || !whole(items[0]) {
			return "", false, true, errors.New("it cuts the batch, or by what is no constant")
		}
		text, err = g.item(shape, items[1:])
		return g.value[x] + " |> " + text, true, true, err
	case "Split":
		parts, isNumber := l.config["indices_or_sections"].(float64)
		if shape == nil || !isNumber || axis != len(shape.dims)-1 {
			return "", false, true, errors.New("only the last dimension can be split, into equal parts")
		}
		return fmt.Sprintf("split(%s, %s)", g.value[x], written(parts)), false, true, nil
	case "Dot":
		other, second := args[min(1, len(args)-1)].(ref)
		if !second || shape == nil || len(shape.dims) != 1 || l.config["normalize"] == true {
			return "", false, true, errors.New("only the products of vectors are written")
		}
		g.helpers["dot"] = "// The product of two vectors, as a vector of one element.\nfn dot(x: f32[n], y: f32[n]) -> f32[1] = [k < 1] => sum[i] x[i] * y[i]"
		return "dot(" + g.value[x] + ", " + g.value[other] + ")", false, true, nil
	case "Concatenate":
		var all []string
		for _, a := range args {
			r, _ := a.(ref)
			all = append(all, g.value[r])
		}
		axis, has := l.config["axis"].(float64)
		if !has || axis == -1 || g.lastAxis(l, axis) || shape != nil && int(axis) == len(shape.dims) {
			return "concat(" + strings.Join(all, ", ") + ")", false, true, nil
		}
		if axis != 1 && (shape == nil || int(axis) != -len(shape.dims)) {
			return "", false, true, fmt.Errorf("axis is %v, and only the first and the last dimension of examples are joined", axis)
		}
		text = all[0]
		for _, v := range all[1:] {
			text = "append(" + text + ", " + v + ")"
		}
		return text, false, true, nil
	}
	return "", false, false, nil
}

// stretched is an operator on two tensors, one of which has a dimension of 1 where the other one has more; ok is false for others.
func (g *graph) stretched(class string, args []any) (text string, ok bool) {
	if len(args) != 2 {
		return "", false
	}
	x, ok1 := args[0].(ref)
	y, ok2 := args[1].(ref)
	a, b := g.m.shapes[x], g.m.shapes[y]
	if !ok1 || !ok2 || a == nil || b == nil || len(a.dims) != len(b.dims) || len(a.dims) > 8 || slices.Equal(a.dims, b.dims) {
		return "", false
	}
	name := strings.ToLower(class)
	var left, right, result, i, at, bt []string
	for k := range a.dims {
		dim, index := string(rune('a'+k)), string(rune('i'+k))
		l, r, li, ri := dim, dim, index, index
		switch {
		case a.dims[k] == b.dims[k]:
			name += "_"
		case b.dims[k] == 1.0:
			r, ri = "1", "0"
			name += "_r"
		case a.dims[k] == 1.0:
			l, li = "1", "0"
			name += "_l"
		default:
			return "", false
		}
		left, right, result = append(left, l), append(right, r), append(result, dim)
		i, at, bt = append(i, index), append(at, li), append(bt, ri)
	}
	g.helpers[name] = fmt.Sprintf("fn %s(x: %s, y: %s) -> %s = [%s] => x[%s]%sy[%s]", name, typed("f32", left), typed("f32", right), typed("f32", result),
		strings.Join(i, ", "), strings.Join(at, ", "), joining[class], strings.Join(bt, ", "))
	return name + "(" + g.value[x] + ", " + g.value[y] + ")", true
}

// flat lists the arguments in lists and outside of them.
func flat(args []any) (all []any) {
	for _, a := range args {
		if list, ok := a.([]any); ok {
			all = append(all, flat(list)...)
		} else if a != nil {
			all = append(all, a)
		}
	}
	return all
}

func last(args []any) any { return args[len(args)-1] }

// whole tells whether an item between brackets takes all of a dimension.
func whole(item any) bool {
	s, ok := sliceOf(item)
	return ok && s["start"] == nil && s["stop"] == nil && (s["step"] == nil || s["step"] == 1.0)
}

func sliceOf(item any) (config map[string]any, ok bool) {
	o, _ := item.(map[string]any)
	config, _ = o["config"].(map[string]any)
	return config, o["class_name"] == "__slice__"
}

// reduced is a fn that reduces some dimensions.
func (g *graph) reduced(word string, config config, shape *tensorShape) (string, error) {
	n := len(shape.dims)
	var over []int
	switch v := config["axis"].(type) {
	case float64:
		over = []int{int(v)}
	case []any:
		for _, one := range v {
			f, _ := one.(float64)
			over = append(over, int(f))
		}
	}
	for i, axis := range over {
		if over[i] = axis - 1; axis < 0 {
			over[i] = axis + n
		}
		if over[i] < 0 || over[i] >= n {
			return "", fmt.Errorf("axis is %v, and only dimensions of examples can be reduced", config["axis"])
		}
	}
	if len(over) == 0 || n > 8 {
		return "", errors.New("it reduces the batch")
	}
	keep := config["keepdims"] == true
	name := word
	var dims, result, out, in, index []string
	for k := range n {
		dims = append(dims, string(rune('a'+k)))
		index = append(index, string(rune('i'+k)))
		if !slices.Contains(over, k) {
			result, out = append(result, dims[k]), append(out, index[k])
			continue
		}
		name += "_" + strconv.Itoa(k+1)
		in = append(in, index[k])
		if keep {
			result, out = append(result, "1"), append(out, "o"+index[k]+" < 1")
		}
	}
	name += "_of_" + strconv.Itoa(n)
	if keep {
		name += "_kept"
	}
	body := fmt.Sprintf("%s[%s] x[%s]", word, strings.Join(in, ", "), strings.Join(index, ", "))
	if len(out) > 0 {
		body = "[" + strings.Join(out, ", ") + "] => " + body
	}
	g.helpers[name] = fmt.Sprintf("fn %s(x: f32[%s]) -> %s = %s", name, strings.Join(dims, ", "), typed("f32", result), body)
	return name, nil
}

func typed(kind string, dims []string) string {
	if len(dims) == 0 {
		return kind
	}
	return kind + "[" + strings.Join(dims, ", ") + "]"
}

// item is a fn that takes elements and ranges of dimensions, given an item for each of the first ones.
func (g *graph) item(shape *tensorShape, items []any) (string, error) {
	if shape == nil || len(items) > len(shape.dims) || len(shape.dims) > 8 {
		return "", errors.New("it cuts a tensor of an unknown shape")
	}
	if len(items) == 1 && items[0] == -1.0 {
		return "last", nil
	}
	name := "items"
	var dims, result, out, at []string
	for k := range shape.dims {
		dim, index := string(rune('a'+k)), string(rune('i'+k))
		dims = append(dims, dim)
		from := func(v any) string { // counts from the end where it is negative
			f, _ := v.(float64)
			if f < 0 {
				return dim + " - " + written(-f)
			}
			return written(f)
		}
		label := func(v any) string {
			return strings.ReplaceAll(strings.ReplaceAll(fmt.Sprint(v), "-", "m"), "<nil>", "")
		}
		switch {
		case k >= len(items) || whole(items[k]):
			name += "_"
			result, out, at = append(result, dim), append(out, index), append(at, index)
		default:
			if f, ok := items[k].(float64); ok {
				name += "_" + label(f)
				at = append(at, from(f))
				continue
			}
			s, ok := sliceOf(items[k])
			if !ok || s["step"] != nil && s["step"] != 1.0 {
				return "", fmt.Errorf("it cuts with %v", items[k])
			}
			name += "_" + label(s["start"]) + "to" + label(s["stop"])
			size, place := dim, index
			if s["stop"] != nil {
				size = from(s["stop"])
			}
			if s["start"] != nil {
				size += " - (" + from(s["start"]) + ")"
				place += " + " + from(s["start"])
			}
			result, out, at = append(result, size), append(out, index+" < "+size), append(at, place)
		}
	}
	body := "x[" + strings.Join(at, ", ") + "]"
	if len(out) > 0 {
		body = "[" + strings.Join(out, ", ") + "] => " + body
	}
	kind := "f32"
	if !shape.float {
		kind, name = "i32", name+"_i32"
	}
	g.helpers[name] = fmt.Sprintf("fn %s(x: %s) -> %s = %s", name, typed(kind, dims), typed(kind, result), body)
	return name, nil
}
