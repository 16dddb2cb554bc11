package exec

import (
	"fmt"
	"math/bits"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/runtime"
)

// Size is a number that is known when the sizes of a call are: a dimension, or a number of tiles.
type Size struct {
	Dim  ir.Affine // over symbols
	Of   Poly      // of tiles: what they cover
	Tile int       // 0: the size is Dim; else it is ⌈Of / Tile⌉
	Rows bool      // the last tile overlaps those before; if there are fewer rows than a tile has, each is a tile: then the size is Of
	Less bool      // the size is 1 if Of is less than Tile, and else 0
}

// Poly is a polynomial over a kernel's sizes: the sum of its terms.
type Poly []Term

// Term is Coef times the product of the sizes of these numbers.
type Term struct {
	Coef  int
	Sizes []int
}

// Whole returns the polynomial n.
func Whole(n int) Poly {
	if n == 0 {
		return nil
	}
	return Poly{{Coef: n}}
}

// evalSizes computes a kernel's sizes for given symbols.
func evalSizes(sizes []Size, bind map[string]int) ([]int, error) {
	values := make([]int, 0, len(sizes))
	for k := range sizes {
		s := &sizes[k]
		if s.Tile == 0 {
			n, err := evalDim(s.Dim, bind)
			if err != nil {
				return nil, err
			}
			values = append(values, n)
			continue
		}
		n, err := s.Of.eval(values)
		if err != nil {
			return nil, err
		}
		switch {
		case s.Less && n < s.Tile:
			n = 1
		case s.Less:
			n = 0
		case !s.Rows || n >= s.Tile:
			n = (n + s.Tile - 1) / s.Tile
		}
		values = append(values, n)
	}
	return values, nil
}

// eval computes p for given sizes.
func (p Poly) eval(sizes []int) (int, error) {
	sum := 0
	for _, t := range p {
		n := t.Coef
		for _, k := range t.Sizes {
			var ok bool
			if n, ok = times(n, sizes[k]); !ok {
				return 0, runtime.ErrTooLarge
			}
		}
		if sum += n; sum > maxCount || sum < -maxCount {
			return 0, runtime.ErrTooLarge
		}
	}
	return sum, nil
}

// maxCount bounds what is counted in 64 bits.
const maxCount = 1 << 60

// times returns a·b unless that is too large to count.
func times(a, b int) (int, bool) {
	hi, lo := bits.Mul64(abs(a), abs(b))
	if hi != 0 || lo > maxCount {
		return 0, false
	}
	return a * b, true
}

func abs(a int) uint64 {
	if a < 0 {
		return -uint64(a)
	}
	return uint64(a)
}

func evalDim(d ir.Affine, bind map[string]int) (int, error) {
	var err error
	n := d.EvalDim(func(s string) int {
		n, ok := bind[s]
		if !ok && err == nil {
			err = fmt.Errorf("the size of %s is not known", s)
		}
		return n
	})
	return n, err
}

// evalShape returns the dimensions for given symbols.
func evalShape(shape []ir.Affine, bind map[string]int) ([]int, error) {
	dims := make([]int, len(shape))
	elems := 1
	for i, d := range shape {
		n, err := evalDim(d, bind)
		if err != nil {
			return nil, err
		}
		if n < 0 {
			return nil, fmt.Errorf("a dimension, %v, would be %d", d, n)
		}
		if elems *= n; n > runtime.MaxElements || elems > runtime.MaxElements {
			return nil, runtime.ErrTooLarge
		}
		dims[i] = n
	}
	return dims, nil
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
