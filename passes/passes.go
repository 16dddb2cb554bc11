// Package passes rewrites IR modules on their way from the front end to a backend. Each pass is one file; its comment states the
// rule it follows and where that comes from. The passes are rows of a table, and their order is a list of names whose reasons
// are written down as constraints.
package passes

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nnc-lang/nnc/ir"
)

// Pass is one rewriting of a module.
type Pass struct {
	Name     string
	Doc      string // one line
	Required bool   // backends need what it does
	Run      func(*ir.Module) error
}

// table names every pass once.
var table = []Pass{
	{"inline", "replaces calls by the bodies of the functions they call", true, inline},
	{"shapes", "computes the types of all results anew and checks them", true, shapes},
	{"simplify", "folds constants, drops needless guards, copies and factors", false, simplify},
	{"logs", "takes logarithms of quotients, exponentials and sigmoids apart", false, logs},
	{"cse", "merges equal instructions", false, cse},
	{"unroll", "replaces scans of one round by their bodies", false, unroll},
	{"hoist", "moves what is the same in every round out of scans", true, hoist},
	{"lift", "computes products of sequences for all rounds of a scan at once", false, lift},
	{"onehot", "turns products with one-hot vectors into reads of rows", false, onehot},
	{"grad", "replaces grad by the instructions that compute gradients", true, grad},
	{"gather", "turns scatters into gathers", false, gather},
	{"dce", "drops instructions whose results nobody uses", false, dce},
	{"sink", "computes only the rows of a value that are read", false, sink},
	{"split", "divides functions into stages that compute a batch in parts", false, split},
}

// pipeline is the order in which the passes run; a pass may run twice.
var pipeline = []string{"inline", "shapes", "simplify", "logs", "cse", "unroll", "hoist", "lift", "onehot", "grad", "gather", "dce", "sink", "simplify", "cse", "dce", "split"}

// constraint demands that the first run of one pass comes before the last run of another.
type constraint struct{ before, after, because string }

var constraints = []constraint{
	{"inline", "shapes", "a call's symbols get their meaning from the place of the call"},
	{"inline", "grad", "gradients are taken of straight lines, not through calls"},
	{"inline", "cse", "two layers on the same input become equal instructions only then"},
	{"inline", "hoist", "a model called in a scan reads its parameters there"},
	{"hoist", "grad", "parameters have to be operands of a scan to get a gradient"},
	{"unroll", "hoist", "what is left of a scan inside another one may be the same in every round"},
	{"hoist", "lift", "what a product needs that no round changes has to be an operand of the scan"},
	{"lift", "grad", "the gradients of what is computed for all rounds at once are so, too"},
	{"lift", "onehot", "the elements of a sequence of one-hot vectors are known as such outside the scan"},
	{"onehot", "grad", "the gradient of a row is a row"},
	{"onehot", "dce", "the vectors themselves may be left without use"},
	{"simplify", "grad", "what is folded before needs no gradient"},
	{"simplify", "logs", "a copy in between would hide what a logarithm is taken of"},
	{"logs", "grad", "the gradient of the exact form is exact too"},
	{"simplify", "cse", "equal instructions look alike only in simplified form"},
	{"cse", "grad", "a merged forward instruction has one gradient instead of two that are added"},
	{"grad", "gather", "gradients of reads are scatters"},
	{"gather", "simplify", "inverted index maps have guards that the extents of the loops decide"},
	{"grad", "cse", "gradients compute parts of the forward pass again"},
	{"grad", "dce", "only then is known which forward values and which cotangents are used"},
	{"dce", "sink", "a use that is dead reads more rows than are needed"},
	{"sink", "simplify", "a slice in front of a reshape becomes a copy"},
	{"grad", "split", "what is added up over the parts is gradients above all"},
	{"dce", "split", "a sum that nobody uses would be added up"},
	{"cse", "dce", "merging leaves instructions that nobody uses"},
}

// Options say which passes run and who watches. The zero Options run the whole pipeline and verify what it made.
type Options struct {
	Disable    []string // optional passes to leave out
	Only       []string // any sequence of passes to run instead of the pipeline
	VerifyEach bool     // verify after every pass, which takes longer than the passes

	// Observe, if not nil, is called after every pass.
	Observe func(pass string, m *ir.Module, elapsed time.Duration)
}

// All returns the table of passes.
func All() []Pass { return slices.Clone(table) }

// Pipeline returns the names of the passes in the order in which they run.
func Pipeline() []string { return slices.Clone(pipeline) }

// Run runs the passes that opts choose on m, in place.
//
// Errors: a name that is no pass, a required pass that opts disable, or a program that a pass cannot handle. A module that
// is malformed after a pass is a bug of the compiler; that error names the pass and holds the IR text.
func Run(m *ir.Module, opts Options) error {
	names := pipeline
	if opts.Only != nil {
		names = opts.Only
	}
	for _, name := range opts.Disable {
		p, err := named(name)
		if err != nil {
			return err
		}
		if p.Required {
			return fmt.Errorf("pass %s cannot be disabled: it %s", name, p.Doc)
		}
	}
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(opts.Disable, name) })
	for k, name := range names {
		p, err := named(name)
		if err != nil {
			return err
		}
		start := time.Now()
		if err := p.Run(m); err != nil {
			return err
		}
		elapsed := time.Since(start)
		if opts.VerifyEach || k == len(names)-1 {
			if err := ir.Verify(m); err != nil {
				return fmt.Errorf("BUG: after pass %s: %w\n%s", name, err, ir.Print(m))
			}
		}
		if opts.Observe != nil {
			opts.Observe(name, m, elapsed)
		}
	}
	return nil
}

func named(name string) (Pass, error) {
	i := slices.IndexFunc(table, func(p Pass) bool { return p.Name == name })
	if i < 0 {
		names := make([]string, len(table))
		for k, p := range table {
			names[k] = p.Name
		}
		return Pass{}, fmt.Errorf("%q is no pass; the passes are %s", name, strings.Join(names, ", "))
	}
	return table[i], nil
}
