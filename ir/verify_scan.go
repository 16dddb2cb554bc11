package ir

import (
	"slices"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// scan checks the types that a scan's operands, its body and its results must share; see Scan.
func (v *verifier) scan(in *Instr) error {
	s := in.Scan
	if s == nil || s.Body == nil {
		return v.errorf("the scan's body is missing")
	}
	if err := v.dim(s.Trip); err != nil {
		return v.errorf("%v", err)
	}
	args, body := in.Args, s.Body
	if s.Carried < 0 || s.Slices < 0 || s.Carried+s.Slices > len(args) {
		return v.errorf("%d operands for %d carried values and %d sequences", len(args), s.Carried, s.Slices)
	}
	if s.Length {
		if len(args) == s.Carried+s.Slices {
			return v.errorf("the lengths are missing")
		}
		last := args[len(args)-1]
		if last.Type.DType != tensor.I32 || len(last.Type.Shape) != 1 {
			return v.errorf("lengths are i32[B], not %s", last.Type)
		}
		if len(body.Params) == len(args) {
			args = args[:len(args)-1] // the body does not take them
		}
	}
	if len(body.Params) != 1+len(args) {
		return v.errorf("the body has %d parameters, not the counter and %d others", len(body.Params), len(args))
	}
	want := []Type{Scalar(tensor.I32)}
	for i, a := range args {
		t := a.Type
		if i >= s.Carried && i < s.Carried+s.Slices {
			if s.Axis < 0 || s.Axis >= len(t.Shape) {
				return v.errorf("%s has no dimension %d to step through", t, s.Axis)
			}
			if !NonNegative(t.Shape[s.Axis].Sub(s.Trip)) {
				return v.errorf("sequence %s may have fewer than %v elements", v.value(a), s.Trip)
			}
			t.Shape = slices.Delete(slices.Clone(t.Shape), s.Axis, s.Axis+1)
		}
		want = append(want, t)
	}
	for i, p := range body.Params {
		if !p.Type.Equal(want[i]) {
			return v.errorf("parameter %d of the body is %s, not %s", i+1, p.Type, want[i])
		}
	}
	if len(body.Results) < s.Carried || len(in.Results) != len(body.Results) {
		return v.errorf("%d results for %d of the body and %d carried values", len(in.Results), len(body.Results), s.Carried)
	}
	for i, r := range body.Results {
		t := r.Type
		if i < s.Carried {
			if !t.Equal(want[1+i]) {
				return v.errorf("carried value %d begins as %s and goes on as %s", i+1, want[1+i], t)
			}
		} else {
			if s.Axis < 0 || s.Axis > len(t.Shape) {
				return v.errorf("%s cannot be stacked along dimension %d", t, s.Axis)
			}
			t.Shape = slices.Insert(slices.Clone(t.Shape), s.Axis, s.Trip)
		}
		if !in.Results[i].Type.Equal(t) {
			return v.errorf("result %d is %s, not %s", i+1, t, in.Results[i].Type)
		}
	}
	return v.function(body)
}
