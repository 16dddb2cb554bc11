package ir

import (
	"fmt"
	"math"
	"strings"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// Op names a row of the op table.
type Op uint8

// The ops. A constant's place in this list is its row's place in the table.
const (
	OpInvalid Op = iota

	// Instructions.
	OpNest    // the loop nest
	OpReshape // the same elements in row-major order under another shape
	OpConst   // a tensor known at compile time
	OpRead    // the value of a cell
	OpWrite   // gives a cell a new value
	OpCall    // a call of a function of the module; the inline pass replaces it
	OpGrad    // gradients of the first operand, a scalar, with respect to the others; the grad pass replaces it
	OpScan    // a loop with carried state and a body of its own

	// Scalar functions, used in the bodies of nests.
	OpAdd
	OpSub
	OpMul
	OpDiv
	OpMod
	OpPow
	OpMin
	OpMax
	OpNeg
	OpAbs
	OpSign
	OpFloor
	OpExp
	OpLog
	OpLog1p
	OpExpm1
	OpSqrt
	OpSquare
	OpSin
	OpCos
	OpTanh
	OpErf
	OpSigmoid
	OpRelu
	OpLess
	OpLessEqual
	OpEqual
	OpNotEqual
	OpAnd
	OpOr
	OpNot
	OpSelect
	OpToF32
	OpToI32
	OpStop
	OpUniform
	OpNormal

	opCount
)

// Class says which part of a backend implements an op.
type Class uint8

// The classes.
const (
	ClassNest   Class = iota // loop nests: map, reduce, contract, gather, scatter
	ClassScalar              // the body of a nest
	ClassView                // no arithmetic
	ClassEffect              // cells
	ClassRegion              // functions inside functions
)

var classNames = [...]string{"nest", "scalar", "view", "effect", "region"}

// String returns the class's name.
func (c Class) String() string { return classNames[c] }

// Row is everything that is known about an op. Backends, the checker, documentation and tests all read it here.
type Row struct {
	Name  string
	Class Class
	Sig   string // types: T is f32 or i32 and A any type (the same one throughout), otherwise the type itself
	Doc   string

	// Params names a scalar op's operands in Expr and Grad.
	Params []string

	// Expr defines a scalar op by other rows; then it needs nothing else in any backend. Ops without it are primitive.
	Expr string

	// Eval computes a primitive scalar op in float64; the result is rounded to the working precision. Rows of type T wrap around
	// on i32, where backends compute with integers.
	Eval func(x []float64) float64

	// Grad holds, for each operand, the factor's text: the operand's cotangent as an expression of the operands, the result z
	// and its cotangent dz. "0" says that nothing flows back.
	Grad []string
}

// Row returns op's row.
func (o Op) Row() *Row { return &table[o] }

// String returns the op's name.
func (o Op) String() string { return table[o].Name }

// Ops calls f for every op, in the table's order.
func Ops(f func(Op)) {
	for o := OpInvalid + 1; o < opCount; o++ {
		f(o)
	}
}

// OpNamed returns the op of that name.
func OpNamed(name string) (Op, bool) {
	o, ok := byName[name]
	return o, ok
}

var byName = func() map[string]Op {
	m := map[string]Op{}
	for o := OpInvalid + 1; o < opCount; o++ {
		m[table[o].Name] = o
	}
	return m
}()

func unary(f func(float64) float64) func([]float64) float64 {
	return func(x []float64) float64 { return f(x[0]) }
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// table has one row an op. Gradients are text in the IR's own scalar syntax, since rows that named ops in Go would make the table
// refer to itself.
var table = [opCount]Row{
	OpInvalid: {Name: "invalid"},

	OpNest:    {Name: "nest", Class: ClassNest, Doc: "computes a scalar expression at every point of a loop nest and combines the points"},
	OpReshape: {Name: "reshape", Class: ClassView, Sig: "(T[…]) -> T[…]", Doc: "gives the same elements, in row-major order, another shape"},
	OpConst:   {Name: "const", Class: ClassView, Sig: "() -> T[…]", Doc: "is a tensor known at compile time"},
	OpRead:    {Name: "read", Class: ClassEffect, Sig: "() -> T[…]", Doc: "is the value of a cell"},
	OpWrite:   {Name: "write", Class: ClassEffect, Sig: "(T[…]) -> ()", Doc: "gives a cell a new value, which later reads see"},
	OpCall:    {Name: "call", Class: ClassRegion, Doc: "calls a function of the module"},
	OpGrad:    {Name: "grad", Class: ClassRegion, Sig: "(f32[], f32[…]…) -> f32[…]…", Doc: "is the gradient of its first operand with respect to each of the others"},
	OpScan:    {Name: "scan", Class: ClassRegion, Doc: "runs its body once for each step of a sequence, with carried values"},

	OpAdd: {
		Name: "add", Class: ClassScalar, Sig: "(T, T) -> T", Params: []string{"a", "b"}, Doc: "a + b",
		Eval: func(x []float64) float64 { return x[0] + x[1] }, Grad: []string{"dz", "dz"},
	},
	OpSub: {
		Name: "sub", Class: ClassScalar, Sig: "(T, T) -> T", Params: []string{"a", "b"}, Doc: "a − b",
		Eval: func(x []float64) float64 { return x[0] - x[1] }, Grad: []string{"dz", "neg(dz)"},
	},
	OpMul: {
		Name: "mul", Class: ClassScalar, Sig: "(T, T) -> T", Params: []string{"a", "b"}, Doc: "a · b",
		Eval: func(x []float64) float64 { return x[0] * x[1] }, Grad: []string{"mul(dz, b)", "mul(dz, a)"},
	},
	OpDiv: {
		Name: "div", Class: ClassScalar, Sig: "(T, T) -> T", Params: []string{"a", "b"}, Doc: "a / b; rounds down for i32, and is 0 where b is 0 there",
		Eval: func(x []float64) float64 { return x[0] / x[1] }, Grad: []string{"div(dz, b)", "neg(div(mul(dz, z), b))"},
	},
	OpMod: {
		Name: "mod", Class: ClassScalar, Sig: "(T, T) -> T", Params: []string{"a", "b"}, Doc: "a − b·⌊a/b⌋; 0 for i32 where b is 0",
		Eval: func(x []float64) float64 { return x[0] - x[1]*math.Floor(x[0]/x[1]) }, Grad: []string{"dz", "neg(mul(dz, floor(div(a, b))))"},
	},
	OpPow: {
		Name: "pow", Class: ClassScalar, Sig: "(f32, f32) -> f32", Params: []string{"a", "b"}, Doc: "a to the power b",
		Eval: func(x []float64) float64 { return math.Pow(x[0], x[1]) },
		Grad: []string{"select(equal(b, 0), 0, mul(dz, mul(b, pow(a, sub(b, 1)))))", "select(less(0, a), mul(dz, mul(z, log(select(less(0, a), a, 1)))), 0)"},
	},
	OpMin: {
		Name: "min", Class: ClassScalar, Sig: "(T, T) -> T", Params: []string{"a", "b"}, Doc: "the lesser; a not-a-number wins; on a tie the gradient goes to a",
		Eval: func(x []float64) float64 { return min(x[0], x[1]) },
		Grad: []string{"select(less_equal(a, b), dz, 0)", "select(less_equal(a, b), 0, dz)"},
	},
	OpMax: {
		Name: "max", Class: ClassScalar, Sig: "(T, T) -> T", Params: []string{"a", "b"}, Doc: "the greater; a not-a-number wins; on a tie the gradient goes to a",
		Eval: func(x []float64) float64 { return max(x[0], x[1]) },
		Grad: []string{"select(less_equal(b, a), dz, 0)", "select(less_equal(b, a), 0, dz)"},
	},
	OpNeg: {
		Name: "neg", Class: ClassScalar, Sig: "(T) -> T", Params: []string{"a"}, Doc: "−a",
		Eval: func(x []float64) float64 { return -x[0] }, Grad: []string{"neg(dz)"},
	},
	OpAbs: {
		Name: "abs", Class: ClassScalar, Sig: "(T) -> T", Params: []string{"a"}, Doc: "|a|; its gradient is 0 at 0",
		Eval: unary(math.Abs), Grad: []string{"mul(dz, sign(a))"},
	},
	OpSign: {
		Name: "sign", Class: ClassScalar, Sig: "(T) -> T", Params: []string{"a"}, Doc: "−1, 0 or 1",
		Eval: unary(func(a float64) float64 {
			if a != a {
				return a
			}
			return truth(a > 0) - truth(a < 0)
		}), Grad: []string{"0"},
	},
	OpFloor: {
		Name: "floor", Class: ClassScalar, Sig: "(f32) -> f32", Params: []string{"a"}, Doc: "the greatest whole number not above a",
		Eval: unary(math.Floor), Grad: []string{"0"},
	},
	OpExp: {
		Name: "exp", Class: ClassScalar, Sig: "(f32) -> f32", Params: []string{"a"}, Doc: "e to the power a",
		Eval: unary(math.Exp), Grad: []string{"mul(dz, z)"},
	},
	OpLog: {
		Name: "log", Class: ClassScalar, Sig: "(f32) -> f32", Params: []string{"a"}, Doc: "the natural logarithm",
		Eval: unary(math.Log), Grad: []string{"div(dz, a)"},
	},
	OpLog1p: {
		Name: "log1p", Class: ClassScalar, Sig: "(f32) -> f32", Params: []string{"a"}, Doc: "log(1 + a), exact for small a",
		Eval: unary(math.Log1p), Grad: []string{"div(dz, add(a, 1))"},
	},
	OpExpm1: {
		Name: "expm1", Class: ClassScalar, Sig: "(f32) -> f32", Params: []string{"a"}, Doc: "exp(a) − 1, exact for small a",
		Eval: unary(math.Expm1), Grad: []string{"mul(dz, add(z, 1))"},
	},
	OpSqrt: {
		Name: "sqrt", Class: ClassScalar, Sig: "(f32) -> f32", Params: []string{"a"}, Doc: "the square root",
		Eval: unary(math.Sqrt), Grad: []string{"div(mul(dz, 0.5), z)"},
	},
	OpSquare: {
		Name: "square", Class: ClassScalar, Sig: "(f32) -> f32", Params: []string{"a"}, Doc: "a · a",
		Expr: "mul(a, a)", Grad: []string{"mul(dz, mul(2, a))"},
	},
	OpSin: {
		Name: "sin", Class: ClassScalar, Sig: "(f32) -> f32", Params: []string{"a"}, Doc: "the sine of a in radians",
		Eval: unary(math.Sin), Grad: []string{"mul(dz, cos(a))"},
	},
	OpCos: {
		Name: "cos", Class: ClassScalar, Sig: "(f32) -> f32", Params: []string{"a"}, Doc: "the cosine of a in radians",
		Eval: unary(math.Cos), Grad: []string{"neg(mul(dz, sin(a)))"},
	},
	OpTanh: {
		Name: "tanh", Class: ClassScalar, Sig: "(f32) -> f32", Params: []string{"a"}, Doc: "the hyperbolic tangent",
		Eval: unary(math.Tanh), Grad: []string{"mul(dz, sub(1, mul(z, z)))"},
	},
	OpErf: {
		Name: "erf", Class: ClassScalar, Sig: "(f32) -> f32", Params: []string{"a"}, Doc: "the error function",
		Eval: unary(math.Erf), Grad: []string{"mul(dz, mul(1.1283791670955126, exp(neg(mul(a, a)))))"},
	},
	OpSigmoid: {
		Name: "sigmoid", Class: ClassScalar, Sig: "(f32) -> f32", Params: []string{"a"}, Doc: "1 / (1 + exp(−a))",
		Expr: "div(1, add(1, exp(neg(a))))", Grad: []string{"mul(dz, mul(z, sub(1, z)))"},
	},
	OpRelu: {
		Name: "relu", Class: ClassScalar, Sig: "(f32) -> f32", Params: []string{"a"}, Doc: "max(a, 0); its gradient is 0 at 0",
		Expr: "max(a, 0)", Grad: []string{"select(less(0, z), dz, 0)"},
	},
	OpLess: {
		Name: "less", Class: ClassScalar, Sig: "(T, T) -> bool", Params: []string{"a", "b"}, Doc: "a < b",
		Eval: func(x []float64) float64 { return truth(x[0] < x[1]) }, Grad: []string{"0", "0"},
	},
	OpLessEqual: {
		Name: "less_equal", Class: ClassScalar, Sig: "(T, T) -> bool", Params: []string{"a", "b"}, Doc: "a ≤ b",
		Eval: func(x []float64) float64 { return truth(x[0] <= x[1]) }, Grad: []string{"0", "0"},
	},
	OpEqual: {
		Name: "equal", Class: ClassScalar, Sig: "(A, A) -> bool", Params: []string{"a", "b"}, Doc: "a = b",
		Eval: func(x []float64) float64 { return truth(x[0] == x[1]) }, Grad: []string{"0", "0"},
	},
	OpNotEqual: {
		Name: "not_equal", Class: ClassScalar, Sig: "(A, A) -> bool", Params: []string{"a", "b"}, Doc: "a ≠ b",
		Eval: func(x []float64) float64 { return truth(x[0] != x[1]) }, Grad: []string{"0", "0"},
	},
	OpAnd: {
		Name: "and", Class: ClassScalar, Sig: "(bool, bool) -> bool", Params: []string{"a", "b"}, Doc: "both",
		Eval: func(x []float64) float64 { return truth(x[0] != 0 && x[1] != 0) }, Grad: []string{"0", "0"},
	},
	OpOr: {
		Name: "or", Class: ClassScalar, Sig: "(bool, bool) -> bool", Params: []string{"a", "b"}, Doc: "at least one",
		Eval: func(x []float64) float64 { return truth(x[0] != 0 || x[1] != 0) }, Grad: []string{"0", "0"},
	},
	OpNot: {
		Name: "not", Class: ClassScalar, Sig: "(bool) -> bool", Params: []string{"a"}, Doc: "the opposite",
		Eval: func(x []float64) float64 { return truth(x[0] == 0) }, Grad: []string{"0"},
	},
	OpSelect: {
		Name: "select", Class: ClassScalar, Sig: "(bool, A, A) -> A", Params: []string{"c", "a", "b"}, Doc: "a where c, else b; the side not chosen has no influence, whatever its value, and no gradient",
		Eval: func(x []float64) float64 {
			if x[0] != 0 {
				return x[1]
			}
			return x[2]
		}, Grad: []string{"0", "select(c, dz, 0)", "select(c, 0, dz)"},
	},
	OpToF32: {
		Name: "to_f32", Class: ClassScalar, Sig: "(A) -> f32", Params: []string{"a"}, Doc: "a as an f32; true is 1",
		Eval: func(x []float64) float64 { return x[0] }, Grad: []string{"dz"},
	},
	OpToI32: {
		Name: "to_i32", Class: ClassScalar, Sig: "(A) -> i32", Params: []string{"a"}, Doc: "a as an i32, towards zero, limited to its range; not-a-number is 0",
		Eval: func(x []float64) float64 {
			if x[0] != x[0] {
				return 0
			}
			return math.Trunc(min(max(x[0], math.MinInt32), math.MaxInt32))
		}, Grad: []string{"0"},
	},
	OpStop: {
		Name: "stop", Class: ClassScalar, Sig: "(f32) -> f32", Params: []string{"a"}, Doc: "a, a constant to gradients",
		Eval: func(x []float64) float64 { return x[0] }, Grad: []string{"0"},
	},
	OpUniform: {
		Name: "uniform", Class: ClassScalar, Sig: "(i32, i32, i32, i32) -> f32", Params: []string{"k0", "k1", "c0", "c1"},
		Doc:  "a number in [0, 1), the same for the same key (k0, k1) and counter (c0, c1): Philox4x32-10, first lane, its upper 24 bits. Source: Salmon et al., SC 2011",
		Eval: func(x []float64) float64 { return Uniform(int32(x[0]), int32(x[1]), int32(x[2]), int32(x[3])) }, Grad: []string{"0", "0", "0", "0"},
	},
	OpNormal: {
		Name: "normal", Class: ClassScalar, Sig: "(i32, i32, i32, i32) -> f32", Params: []string{"k0", "k1", "c0", "c1"},
		Doc:  "a standard normal number from the same kind of key and counter. Source: Box and Muller 1958",
		Expr: "mul(sqrt(mul(-2, log(sub(1, uniform(k0, k1, c0, c1))))), cos(mul(6.283185307179586, uniform(k0, add(k1, 1), c0, c1))))",
		Grad: []string{"0", "0", "0", "0"},
	},
}

// ResultDType returns the element type of a scalar op's result for operands of these types, by the row's signature. An f64
// operand stands for f32 under double precision and does not occur in IR.
func (o Op) ResultDType(args []tensor.DType) (tensor.DType, error) {
	row := o.Row()
	if row.Class != ClassScalar {
		return tensor.Invalid, fmt.Errorf("%s is no scalar op", row.Name)
	}
	in, out, _ := strings.Cut(strings.TrimPrefix(row.Sig, "("), ") -> ")
	want := strings.Split(in, ", ")
	if len(want) != len(args) {
		return tensor.Invalid, fmt.Errorf("%s takes %d operands, not %d", row.Name, len(want), len(args))
	}
	var variable tensor.DType
	for i, w := range want {
		ok := false
		switch w {
		case "T":
			ok = args[i] == tensor.F32 || args[i] == tensor.I32
		case "A":
			ok = args[i] != tensor.Invalid
		default:
			d, _ := tensor.ParseDType(w)
			ok = d == args[i]
		}
		if w == "T" || w == "A" {
			if variable == tensor.Invalid {
				variable = args[i]
			}
			ok = ok && args[i] == variable
		}
		if !ok {
			return tensor.Invalid, fmt.Errorf("%s takes %s, not %v as operand %d", row.Name, row.Sig, args[i], i+1)
		}
	}
	if out == "T" || out == "A" {
		return variable, nil
	}
	d, _ := tensor.ParseDType(out)
	return d, nil
}
