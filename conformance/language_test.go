package conformance

import (
	"path/filepath"
	"testing"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/lang"
)

// A tensor that is the beginning of another one is not taken for the whole of it.
func TestBeginnings(t *testing.T) {
	const program = `
test "beginnings" {
    let x = [1, 2, 3, 4]
    let a = [k < 2] => x[k]
    expect sum(a) == 3
    expect reshape(a, [1, 2]) == [[1, 2]]
    let (p, q) = split(x, 2)
    expect sum(p) == 3
    expect p == [1, 2]
    expect q == [3, 4]
}
`
	onEach(t, func(t *testing.T, s setting) {
		c := compile(t, diag.NewFile("beginnings.nn", program), lang.Options{}, s)
		test := c.plan.Tests[0]
		results := c.call(t, test.Func, nil)
		for _, x := range test.Expects {
			compare(t, x.Text, results[x.Left], results[x.Right], double)
		}
	})
}

// What the library has beside the layers and functions that goldens exist for, as testdata/layers/library.nn expects it.
func TestLibraryInTheLanguage(t *testing.T) {
	onEach(t, func(t *testing.T, s setting) {
		c := compile(t, source(t, filepath.Join("testdata", "layers", "library.nn")), lang.Options{}, s)
		for _, test := range c.plan.Tests {
			c.init(t, 0)
			results := c.call(t, test.Func, nil)
			for _, x := range test.Expects {
				left, right := results[x.Left], results[x.Right]
				if x.Op == ">" {
					if !(left.At(0) > right.At(0)) {
						t.Errorf("%s: expect %s: %v and %v", test.Name, x.Text, left, right)
					}
					continue
				}
				compare(t, test.Name+": "+x.Text, left, right, tolerance{max(x.Within, 1e-6), 0})
			}
		}
	})
}
