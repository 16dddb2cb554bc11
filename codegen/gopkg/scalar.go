package gopkg

import (
	"fmt"
	"math"
	"strconv"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// goType returns the Go type of an element.
func goType(d tensor.DType) string {
	switch d {
	case tensor.I32:
		return "int32"
	case tensor.Bool:
		return "bool"
	}
	return "float32"
}

// literal returns v as a Go expression of element type d.
func literal(d tensor.DType, v float64) string {
	switch {
	case d == tensor.Bool:
		return strconv.FormatBool(v != 0)
	case d == tensor.I32:
		return fmt.Sprintf("int32(%d)", int32(v))
	case math.IsNaN(v) || math.IsInf(v, 0) || math.Abs(v) > math.MaxFloat32 || v == 0 && math.Signbit(v):
		return fmt.Sprintf("math.Float32frombits(%#x)", math.Float32bits(float32(v)))
	}
	return "float32(" + strconv.FormatFloat(float64(float32(v)), 'g', -1, 32) + ")"
}

// scalarForms are the Go expressions of the primitive ops on f32; those of other element types are in i32Forms and boolForms. Operands
// are variables or literals that are not all constant, so that Go computes when the program runs, and as it does with variables.
var scalarForms = map[ir.Op]string{
	ir.OpAdd: "(%s + %s)", ir.OpSub: "(%s - %s)", ir.OpMul: "(%s * %s)", ir.OpDiv: "(%s / %s)", ir.OpMod: "remainder(%s, %s)",
	ir.OpPow: "power(%s, %s)", ir.OpMin: "min(%s, %s)", ir.OpMax: "max(%s, %s)",
	ir.OpNeg: "(-%s)", ir.OpAbs: "float32(math.Abs(float64(%s)))", ir.OpSign: "sign(%s)",
	ir.OpFloor: "float32(math.Floor(float64(%s)))", ir.OpExp: "float32(math.Exp(float64(%s)))", ir.OpLog: "float32(math.Log(float64(%s)))",
	ir.OpLog1p: "float32(math.Log1p(float64(%s)))", ir.OpExpm1: "float32(math.Expm1(float64(%s)))",
	ir.OpSqrt: "float32(math.Sqrt(float64(%s)))", ir.OpSin: "float32(math.Sin(float64(%s)))", ir.OpCos: "float32(math.Cos(float64(%s)))",
	ir.OpTanh: "float32(math.Tanh(float64(%s)))", ir.OpErf: "float32(math.Erf(float64(%s)))",
	ir.OpLess: "(%s < %s)", ir.OpLessEqual: "(%s <= %s)", ir.OpEqual: "(%s == %s)", ir.OpNotEqual: "(%s != %s)",
	ir.OpAnd: "(%s && %s)", ir.OpOr: "(%s || %s)", ir.OpNot: "(!%s)",
	ir.OpToF32: "%s", ir.OpToI32: "whole(%s)", ir.OpStop: "%s",
	ir.OpUniform: "uniform(%s, %s, %s, %s)",
}

var i32Forms = map[ir.Op]string{
	ir.OpDiv: "quotient32(%s, %s)", ir.OpMod: "remainder32(%s, %s)", ir.OpAbs: "max(%[1]s, -%[1]s)", ir.OpSign: "sign32(%s)",
	ir.OpToF32: "float32(%s)", ir.OpToI32: "%s",
}

var boolForms = map[ir.Op]string{ir.OpToF32: "float32(truth(%s))", ir.OpToI32: "truth(%s)"}

// scalar returns the Go expression of e; what it needs is computed in lines before.
func (w *nestWriter) scalar(e *ir.Expr) string {
	switch e.Leaf {
	case ir.LeafConst:
		return literal(e.DType, e.Value)
	case ir.LeafRead:
		return w.read(e.Read)
	case ir.LeafIndex:
		return "int32(" + w.affine(*e.Affine) + ")"
	}
	if def := e.Op.Expand(e.Args); def != nil {
		return w.scalar(def)
	}
	args := make([]any, len(e.Args))
	constant := true
	for i, a := range e.Args {
		_, isConst := a.IsConst()
		constant = constant && isConst
		args[i] = w.scalar(a)
	}
	if constant || e.Op == ir.OpSelect { // the operands are needed as variables
		for i := range args {
			v := w.src.name("c")
			w.src.line("%s := %s", v, args[i])
			args[i] = v
		}
	}
	if e.Op == ir.OpSelect {
		w.src.line("if !%s { %s = %s }", args[0], args[1], args[2])
		return args[1].(string)
	}
	form, ok := scalarForms[e.Op]
	switch e.Args[0].DType {
	case tensor.I32:
		if f, has := i32Forms[e.Op]; has {
			form = f
		}
	case tensor.Bool:
		if f, has := boolForms[e.Op]; has {
			form = f
		}
	}
	if !ok {
		panic("BUG: gopkg: no Go text for the op " + e.Op.String())
	}
	return fmt.Sprintf(form, args...)
}
