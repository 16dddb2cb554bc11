package gopkg

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/runtime/exec"
)

// batchSize is how many examples the rows for batches compute at once.
const batchSize = 16

// spaceInputs is the number of the first input among the spaces of template/native_amd64.go, which the weights follow.
const spaceInputs = 2

// nativeFiles writes the machine code of a function as Go assembly, and the rows that use it for one example and for batches.
func (v *view) nativeFiles(p *exec.Program, fn string) (map[string][]byte, error) {
	src := &source{}
	src.line("package %s", v.Package)
	src.line("")
	tables := map[string]*exec.Table{}
	arena, scratch, words, depth := 0, 0, exec.WordResult, 1
	for name, batch := range map[string]int{"rowsOne": 1, "rowsBatch": batchSize} {
		t, err := p.Table(fn, map[string]int{"B": batch})
		if err != nil {
			return nil, err
		}
		tables[name] = t
		arena, scratch, words = max(arena, t.Arena), max(scratch, t.Scratch), max(words, t.Words)
		open := 0
		for _, r := range t.Rows {
			switch {
			case r.Loop != nil:
				open++
			case r.Next != nil:
				open--
			}
			depth = max(depth, open)
		}
	}
	image := slices.Clone(p.Code)
	image = append(image, make([]byte, -len(image)&63)...)
	constsAt := len(image)
	image = append(image, p.Consts...)
	src.line("// Sizes of what the machine code needs.")
	src.line("const (")
	src.line("needsAVX512 = %t", p.Level == "x86-64-v4")
	src.line("spaces = %d", spaceInputs+len(v.Inputs)+len(v.Cells))
	src.line("maxWords = %d", words)
	src.line("maxDepth = %d", depth)
	src.line("scratchBytes = %d", scratch)
	src.line("constsAt = %d", constsAt)
	src.line("batchSize = %d", batchSize)
	src.line("arenaOne = %d", tables["rowsOne"].Arena)
	src.line("arenaBatch = %d", tables["rowsBatch"].Arena)
	src.line(")")
	for _, name := range []string{"rowsOne", "rowsBatch"} {
		src.line("")
		src.line("var %s = []row{", name)
		for _, r := range tables[name].Rows {
			src.line("{%s},", v.rowText(r))
		}
		src.line("}")
	}
	v.calls(src, tables)
	rows, err := src.formatted()
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{"rows_amd64.go": append([]byte(head), rows...)}
	asm := strings.Replace(templateText("native_amd64.s"), "$CONSTS", fmt.Sprintf("$%d", constsAt), 1)
	files["native_amd64.s"] = []byte(head + asm + assembly(image))
	files["native_amd64.go"] = v.fixed("native_amd64.go")
	files["native_other.go"] = []byte(head + v.otherPlatforms())
	return files, nil
}

// assembly writes an image as the text of a function that nobody calls as a whole.
func assembly(image []byte) string {
	var b strings.Builder
	b.WriteString("TEXT ·image(SB), NOSPLIT|NOFRAME, $0-0\n\tPCALIGN $64\n")
	image = append(image, make([]byte, -len(image)&7)...)
	for k := 0; k < len(image); k += 8 {
		fmt.Fprintf(&b, "\tQUAD $%#x\n", binary.LittleEndian.Uint64(image[k:]))
	}
	return b.String()
}

// refText writes where memory lies.
func (v *view) refText(r exec.Ref) string {
	space := 0
	switch r.Place {
	case exec.Const:
		space = 1
	case exec.Param:
		space = spaceInputs + r.Index
	case exec.Cell:
		space = spaceInputs + len(v.Inputs) + r.Index
	}
	return fmt.Sprintf("{%d, %d, %d}", space, r.Offset, r.Bytes)
}

func (v *view) refsText(refs []exec.Ref) string {
	all := make([]string, len(refs))
	for k, r := range refs {
		all[k] = v.refText(r)
	}
	return "[]ref{" + strings.Join(all, ", ") + "}"
}

// rowText writes a row without its outer brackets; fields that are zero are left out.
func (v *view) rowText(r exec.Row) string {
	var fields []string
	set := func(name string, n int) {
		if n != 0 {
			fields = append(fields, fmt.Sprintf("%s: %d", name, n))
		}
	}
	text := func(layout string, args ...any) { fields = append(fields, fmt.Sprintf(layout, args...)) }
	switch {
	case r.Kernel != nil:
		k := r.Kernel
		text("kind: rowKernel, results: %s, args: %s", v.refsText(k.Results), v.refsText(k.Args))
		set("entry", k.Entry)
		if len(k.Sizes) > 0 {
			text("sizes: []uint64{%s}", strings.Trim(strings.ReplaceAll(fmt.Sprint(k.Sizes), " ", ", "), "[]"))
		}
		if k.Clear {
			text("clear: true")
		}
		set("points", k.Points)
		set("perChunk", k.PerChunk)
		set("splits", k.Splits)
		set("perRound", k.PerRound)
		set("rounds", k.Rounds)
		set("stride", k.Stride)
		text("what: %q", k.What)
	case r.Fill != nil:
		text("kind: rowFill, results: %s, element: %q", v.refsText([]exec.Ref{r.Fill.To}), r.Fill.Element)
	case r.Copy != nil:
		c := r.Copy
		text("kind: rowCopy, results: %s, args: %s", v.refsText([]exec.Ref{c.To}), v.refsText([]exec.Ref{c.From}))
		set("outer", c.Outer)
		set("inner", c.Inner)
		set("toStep", c.ToStep)
		set("fromStep", c.FromStep)
		set("toRound", c.ToRound)
		set("fromRound", c.FromRound)
	case r.Loop != nil:
		text("kind: rowLoop, results: %s", v.refsText([]exec.Ref{r.Loop.Counter}))
		set("trip", r.Loop.Trip)
		set("end", r.Loop.End)
		if r.Loop.Reversed {
			text("reversed: true")
		}
	default:
		text("kind: rowNext")
		set("end", r.Next.Loop)
	}
	return strings.Join(fields, ", ")
}

// calls writes the functions that the interface calls.
func (v *view) calls(src *source, tables map[string]*exec.Table) {
	slicesOf := v.list(func(i input) string { return i.Go + " []" + i.Elem })
	src.line("")
	src.line("// nativeOne computes the model for one example.")
	src.line("func (w *weights) nativeOne(fr *frame, %s, out []%s) error {", slicesOf, v.Output.Elem)
	src.line("f := &fr.native")
	src.line("f.prepare(arenaOne)")
	for k, in := range v.Inputs {
		src.line("f.base[%d] = unsafe.Pointer(unsafe.SliceData(%s))", spaceInputs+k, in.Go)
	}
	v.bases(src)
	src.line("err := f.run(rowsOne)")
	src.line("if err == nil {")
	src.line("copy(out, unsafe.Slice((*%s)(f.address(ref%s)), %d))", v.Output.Elem, v.refText(tables["rowsOne"].Results[0]), v.Output.Len)
	src.line("}")
	src.line("f.release()")
	src.line("return err")
	src.line("}")
	src.line("")
	src.line("// nativeBatch computes the model for many examples.")
	src.line("func (w *weights) nativeBatch(fr *frame, %s, out []%s) error {", v.BatchParams(), v.Output.Result())
	src.line("for len(out) >= batchSize {")
	src.line("f := &fr.native")
	src.line("f.prepare(arenaBatch)")
	for k, in := range v.Inputs {
		src.line("f.base[%d] = unsafe.Pointer(unsafe.SliceData(%s))", spaceInputs+k, in.Go)
	}
	v.bases(src)
	src.line("if err := f.run(rowsBatch); err != nil {")
	src.line("return err")
	src.line("}")
	src.line("copy(out, unsafe.Slice((*%s)(f.address(ref%s)), batchSize))", v.Output.Result(), v.refText(tables["rowsBatch"].Results[0]))
	src.line("f.release()")
	for _, in := range v.Inputs {
		src.line("%s = %s[batchSize:]", in.Go, in.Go)
	}
	src.line("out = out[batchSize:]")
	src.line("}")
	src.line("for k := range out {")
	src.line("if err := w.nativeOne(fr, %s, %s); err != nil {", v.list(func(i input) string { return i.BatchSlice() }), v.Output.slice())
	src.line("return err")
	src.line("}")
	src.line("}")
	src.line("return nil")
	src.line("}")
	src.lines[1] = "import \"unsafe\"\n"
}

// slice is result k of PredictBatch's as a slice.
func (o output) slice() string {
	if o.Len == 1 {
		return "out[k : k+1]"
	}
	return "out[k][:]"
}

func (v *view) bases(src *source) {
	for k, c := range v.Cells {
		src.line("f.base[%d] = unsafe.Pointer(unsafe.SliceData(w.%s))", spaceInputs+len(v.Inputs)+k, c.Go)
	}
}

// otherPlatforms is the file for processors that the machine code is not for.
func (v *view) otherPlatforms() string {
	src := &source{}
	src.line("//go:build !amd64")
	src.line("")
	src.line("package %s", v.Package)
	src.line("")
	src.line("// hasNative says that there is no machine code for this processor: the Go text in compute.go computes.")
	src.line("const hasNative = false")
	src.line("")
	src.line("type nativeFrame struct{}")
	src.line("")
	src.line("func (w *weights) nativeOne(f *frame, %s, out []%s) error {", v.list(func(i input) string { return i.Go + " []" + i.Elem }), v.Output.Elem)
	src.line("return w.compute(&f.scratch, %s%s, out)", v.SymbolArgs(), v.Args())
	src.line("}")
	src.line("")
	src.line("func (w *weights) nativeBatch(f *frame, %s, out []%s) error {", v.BatchParams(), v.Output.Result())
	src.line("for k := range out {")
	src.line("if err := w.nativeOne(f, %s, %s); err != nil {", v.list(func(i input) string { return i.BatchSlice() }), v.Output.slice())
	src.line("return err")
	src.line("}")
	src.line("}")
	src.line("return nil")
	src.line("}")
	text, err := src.formatted()
	if err != nil {
		panic("BUG: gopkg: " + err.Error())
	}
	return string(text)
}

// Predictor returns a module that has nothing but a model's function and the cells that it reads, for a backend to compile.
func Predictor(m *ir.Module, fn string) *ir.Module {
	f := m.Func(fn)
	out := ir.NewModule()
	var walk func(body []*ir.Instr)
	walk = func(body []*ir.Instr) {
		for _, in := range body {
			switch {
			case in.Op == ir.OpScan:
				walk(in.Scan.Body.Body)
			case in.Op == ir.OpRead && out.Cell(in.Cell.Name) == nil:
				out.AddCell(in.Cell)
			}
		}
	}
	walk(f.Body)
	out.AddFunc(f)
	return out
}
