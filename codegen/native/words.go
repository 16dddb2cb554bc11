package native

import (
	"fmt"
	"strings"

	"github.com/llir/llvm/ir/types"
	"github.com/llir/llvm/ir/value"

	"github.com/nnc-lang/nnc/runtime/exec"
)

// words are the arguments of a kernel while it is written: see Note [Arguments of a kernel] in package exec.
type words struct {
	top      *scope // the function's entry
	args     value.Value
	pointers int // the number of addresses, of results and operands
	names    *sizes
}

// word returns word k of the arguments.
func (w *words) word(k int) value.Value {
	return w.top.memo(fmt.Sprintf("word %d", k), func() value.Value {
		return w.top.load(w.top.at(w.args, int64Const(k)), 1, nil, nil)
	})
}

// pointer returns word k as the address of elements of type t.
func (w *words) pointer(k int, t types.Type) value.Value {
	x := w.word(k)
	return w.top.memo(fmt.Sprintf("pointer %d", k), func() value.Value { return w.top.blk.NewIntToPtr(x, types.NewPointer(t)) })
}

// size returns a polynomial's value.
func (w *words) size(p poly) value.Value {
	if n, ok := p.isConst(); ok {
		return int64Const(n)
	}
	s := w.top
	key := "size " + p.String()
	if v := s.cache[key]; v != nil {
		return v
	}
	var sum value.Value = int64Const(0)
	for _, mono := range p.monomials() {
		var term value.Value = int64Const(p[mono])
		if mono != "" {
			for _, f := range strings.Split(mono, timesSign) {
				term = s.mul(term, w.word(w.sizeWord(f)))
			}
		}
		sum = s.add(sum, term)
	}
	s.cache[key] = sum
	return sum
}

func (w *words) sizeWord(name string) int { return exec.WordResult + w.pointers + w.names.number(name) }
