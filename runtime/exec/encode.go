package exec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// magic starts the tables of a program; its number changes with the format.
const magic = "nnc program 5\n"

// Tables returns all of p but Code and Consts, and of the module its cells and the functions' signatures. Decode is the inverse.
//
// The format is for one version of this program: a binary carries the tables that the compiler in it made. Whoever stores them keeps a
// checksum, since damage need not show.
func (p *Program) Tables() []byte {
	c := &codec{bytes: []byte(magic), known: map[string]int{}}
	c.program(p)
	if c.err != nil {
		panic("BUG: exec: " + c.err.Error())
	}
	return c.bytes
}

// Decode returns the program that Tables were made of, with this code and these constants, which it keeps and does not copy.
//
// Errors: tables of another version, tables that do not hold together.
func Decode(tables, code, consts []byte) (*Program, error) {
	rest, ok := strings.CutPrefix(string(tables), magic)
	if !ok {
		return nil, errors.New("these are not the tables of a program, or they are of another version of nnc")
	}
	c := &codec{bytes: []byte(rest), reading: true}
	p := &Program{Module: ir.NewModule(), Code: code, Consts: consts}
	c.program(p)
	if c.err == nil && len(c.bytes) > 0 {
		c.fail("there are %d bytes behind the end", len(c.bytes))
	}
	if c.err == nil {
		c.err = p.Check()
	}
	if c.err != nil {
		return nil, fmt.Errorf("tables of a program: %w", c.err)
	}
	return p, nil
}

// codec writes and reads: what a method does to the value that it is given is to append it, or to set it, so that one text describes both
// directions. After an error nothing more is read.
type codec struct {
	reading bool
	bytes   []byte // written, or not yet read
	err     error
	known   map[string]int // texts written before
	texts   []string       // texts read before
	depth   int            // of nested dimensions
}

func (c *codec) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
		c.bytes = nil
	}
}

func (c *codec) int(v *int) {
	if !c.reading {
		c.bytes = binary.AppendVarint(c.bytes, int64(*v))
		return
	}
	x, n := binary.Varint(c.bytes)
	if n <= 0 {
		c.fail("a number is cut short or too large")
		return
	}
	*v, c.bytes = int(x), c.bytes[n:]
}

// small is int for a number in [0, limit).
func small[T ~uint8](c *codec, v *T, limit int) {
	n := int(*v)
	c.int(&n)
	if n < 0 || n >= limit {
		c.fail("%d is not below %d", n, limit)
		return
	}
	*v = T(n)
}

func (c *codec) flag(v *bool) {
	var n uint8
	if *v {
		n = 1
	}
	small(c, &n, 2)
	*v = n == 1
}

// text writes a text that occurred before as its number.
func (c *codec) text(v *string) {
	if !c.reading {
		n, again := c.known[*v]
		c.int(&n)
		if !again {
			c.known[*v] = len(c.known) + 1
			b := []byte(*v)
			c.raw(&b)
		}
		return
	}
	var n int
	if c.int(&n); n < 0 || n > len(c.texts) {
		c.fail("there is no text %d", n)
		return
	}
	if n > 0 {
		*v = c.texts[n-1]
		return
	}
	var b []byte
	c.raw(&b)
	*v = string(b)
	c.texts = append(c.texts, *v)
}

func (c *codec) raw(v *[]byte) {
	n := len(*v)
	c.int(&n)
	if !c.reading {
		c.bytes = append(c.bytes, *v...)
		return
	}
	if n < 0 || n > len(c.bytes) {
		c.fail("%d bytes are announced where there are %d", n, len(c.bytes))
		return
	}
	if n > 0 {
		*v = append([]byte(nil), c.bytes[:n]...)
	}
	c.bytes = c.bytes[n:]
}

// list does item to each element; every one takes a byte at least.
func list[T any](c *codec, v *[]T, item func(*T)) {
	n := len(*v)
	c.int(&n)
	if !c.reading {
		for k := range *v {
			item(&(*v)[k])
		}
		return
	}
	if n < 0 || n > len(c.bytes) {
		c.fail("a list of %d is announced where there are %d bytes", n, len(c.bytes))
		return
	}
	*v = nil
	for k := 0; k < n && c.err == nil; k++ {
		var x T
		item(&x)
		*v = append(*v, x)
	}
}

func (c *codec) ints(v *[]int) { list(c, v, c.int) }

func (c *codec) dtype(v *tensor.DType) { small(c, v, int(tensor.U8)+1) }

func (c *codec) typ(v *ir.Type) {
	c.dtype(&v.DType)
	list(c, &v.Shape, c.dim)
}

// dim is a dimension: symbols and quotients of them.
func (c *codec) dim(v *ir.Affine) {
	const most = 64
	if c.depth++; c.depth > most {
		c.fail("dimensions are nested too deep")
	}
	defer func() { c.depth-- }()
	c.int(&v.Const)
	list(c, &v.Terms, func(t *ir.Term) {
		c.int(&t.Coef)
		quotient := t.Atom.Kind == ir.AtomQuotient
		c.flag(&quotient)
		if !quotient {
			t.Atom.Kind = ir.AtomSymbol
			c.text(&t.Atom.Symbol)
			return
		}
		t.Atom.Kind = ir.AtomQuotient
		if c.reading {
			t.Atom.Num = &ir.Affine{}
		}
		c.dim(t.Atom.Num)
		if c.int(&t.Atom.Den); t.Atom.Den < 2 {
			c.fail("a dimension is divided by %d", t.Atom.Den)
		}
	})
	if c.reading && c.err == nil { // in the form that equal dimensions share
		*v = v.Rewrite(func(ir.Atom) (ir.Affine, bool) { return ir.Affine{}, false })
	}
}

func (c *codec) loc(v *ir.Loc) {
	c.text(&v.File)
	c.int(&v.Line)
	c.int(&v.Col)
	c.text(&v.Scope)
}

func (c *codec) program(p *Program) {
	c.text(&p.Level)
	c.module(p.Module)
	list(c, &p.Kernels, c.kernel)
	list(c, &p.Funcs, c.fn)
}

// module is the cells and the functions' signatures.
func (c *codec) module(m *ir.Module) {
	cells, funcs := m.Cells, m.Funcs
	list(c, &cells, func(v **ir.Cell) {
		if c.reading {
			*v = &ir.Cell{}
		}
		c.text(&(*v).Name)
		c.typ(&(*v).Type)
		kind := string((*v).Kind)
		c.text(&kind)
		(*v).Kind = ir.CellKind(kind)
		c.flag(&(*v).Half)
		if c.reading && m.Cell((*v).Name) != nil {
			c.fail("there are two cells %s", (*v).Name)
		} else if c.reading {
			m.AddCell(*v)
		}
	})
	list(c, &funcs, func(v **ir.Func) {
		if c.reading {
			*v = &ir.Func{}
		}
		f := *v
		c.text(&f.Name)
		values := func(v **ir.Value) {
			if c.reading {
				*v = &ir.Value{}
			}
			c.text(&(*v).Name)
			c.typ(&(*v).Type)
		}
		list(c, &f.Params, values)
		list(c, &f.Results, values)
		list(c, &f.ResultNames, c.text)
		c.flag(&f.Finite)
		list(c, &f.Stages, func(s *ir.Stage) {
			name := ""
			if s.Func != nil {
				name = s.Func.Name
			}
			c.text(&name)
			c.int(&s.Size)
			c.int(&s.Most)
			if s.Func = m.Func(name); s.Func == nil {
				c.fail("there is no function %s further up", name)
			}
		})
		if c.reading && m.Func(f.Name) != nil {
			c.fail("there are two functions %s", f.Name)
		} else if c.reading {
			m.AddFunc(f)
		}
	})
}

func (c *codec) poly(v *Poly) {
	list(c, (*[]Term)(v), func(t *Term) {
		c.int(&t.Coef)
		c.ints(&t.Sizes)
	})
}

func (c *codec) kernel(k *Kernel) {
	c.text(&k.Name)
	c.int(&k.Entry)
	list(c, &k.Results, c.dtype)
	c.int(&k.Operands)
	list(c, &k.Sizes, func(s *Size) {
		c.dim(&s.Dim)
		c.poly(&s.Of)
		c.int(&s.Tile)
		c.flag(&s.Rows)
		c.flag(&s.Less)
	})
	list(c, &k.Extents, c.poly)
	c.poly(&k.Points)
	c.poly(&k.Group)
	c.poly(&k.Splits)
	c.poly(&k.Work)
	c.poly(&k.Scratch)
	c.int(&k.Cost)
	c.int(&k.Products)
	c.flag(&k.Clear)
	c.int(&k.Merge)
	c.flag(&k.Vectors)
	c.flag(&k.Across)
	c.raw(&k.Identity)
}

func (c *codec) fn(f *Func) {
	list(c, &f.Slots, func(s *Slot) {
		c.typ(&s.Type)
		small(c, &s.Place, int(places))
		c.int(&s.Index)
	})
	list(c, &f.Steps, c.step)
	c.int(&f.Doubt)
	c.int(&f.Gate)
	c.ints(&f.Results)
	list(c, &f.Commits, func(m *Commit) {
		c.int(&m.Cell)
		c.int(&m.Slot)
	})
	list(c, &f.Checks, func(k *Check) {
		c.int(&k.Slot)
		c.text(&k.What)
		c.int(&k.First)
		c.int(&k.End)
		proof := k.Proof != nil
		if c.flag(&proof); proof {
			alternative(c, &k.Proof, c.proof)
		}
	})
}

func (c *codec) proof(p *Proof) {
	list(c, &p.Facts, func(f *Fact) {
		small(c, &f.Kind, int(factKinds))
		c.number(&f.Value)
		c.int(&f.Slot)
		c.int(&f.Cell)
		c.op(&f.Op)
		c.ints(&f.Args)
		list(c, &f.Count, c.dim)
	})
	list(c, &p.Cells, func(b *Bounded) {
		c.int(&b.Cell)
		c.int(&b.Fact)
	})
}

func (c *codec) number(v *float64) {
	n := int(math.Float64bits(*v))
	c.int(&n)
	*v = math.Float64frombits(uint64(n))
}

// op is a scalar op, or none.
func (c *codec) op(v *ir.Op) {
	name := v.String()
	c.text(&name)
	op, ok := ir.OpNamed(name)
	if !ok && *v != ir.OpInvalid || c.reading && !ok && name != ir.OpInvalid.String() {
		c.fail("there is no op %q", name)
	}
	*v = op
}

func (c *codec) step(s *Step) {
	kinds := []func(){
		func() { alternative(c, &s.Launch, c.launch) },
		func() { alternative(c, &s.Move, func(m *Move) { c.int(&m.To); c.int(&m.From) }) },
		func() { alternative(c, &s.Scan, c.scan) },
		func() {
			alternative(c, &s.Store, func(s *Store) { c.int(&s.To); c.int(&s.From); c.int(&s.At); c.int(&s.Axis) })
		},
	}
	var kind uint8
	switch {
	case s.Move != nil:
		kind = 1
	case s.Scan != nil:
		kind = 2
	case s.Store != nil:
		kind = 3
	}
	if small(c, &kind, len(kinds)); c.err == nil {
		kinds[kind]()
	}
}

func alternative[T any](c *codec, v **T, item func(*T)) {
	if c.reading {
		*v = new(T)
	}
	item(*v)
}

func (c *codec) launch(l *Launch) {
	c.int(&l.Kernel)
	c.ints(&l.Args)
	c.ints(&l.Results)
	c.loc(&l.Loc)
	c.text(&l.What)
	c.int(&l.Sized)
}

func (c *codec) scan(s *Scan) {
	c.dim(&s.Trip)
	c.flag(&s.Reversed)
	c.int(&s.Axis)
	c.int(&s.End)
	c.int(&s.Counter)
	for _, l := range []*[]int{&s.State, &s.Next, &s.Staged, &s.Whole, &s.Slices, &s.Yields, &s.Stacked} {
		c.ints(l)
	}
	c.int(&s.Lengths)
}
