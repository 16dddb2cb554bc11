package lang

import (
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// mapping is a dataset inside a function: its fields are parameters of the function, made when they are first used.
type mapping struct {
	*dataset
	base frame
	part int // its number, from 1, where there are several data; 0 where there is one
	raw  map[string]*array
	old  *scope // the fields as the source gives them, and the data's lets
}

// fields binds the fields of a dataset in f's scope: parameters of the function with the map applied, made when they are first
// used.
func (f *frame) fields(d *dataset) { f.fieldsOf(d, 0) }

// examples are the fields of one of several data that a train is on, as values.
type examples struct {
	data  *dataset
	scope *scope
}

func (e *examples) describe() string { return "an example of " + e.data.decl.Name.Name }

// severalFields binds the names of several datasets to their examples.
func (f *frame) severalFields(list []*dataset) {
	for k, d := range list {
		inner := f.nested()
		inner.fieldsOf(d, k+1)
		f.scope.set(d.decl.Name.Name, &examples{d, inner.scope}, d.decl.Name.Span())
	}
}

// fieldsOf is fields of the data with that number, if there are several.
func (f *frame) fieldsOf(d *dataset, part int) {
	m := &mapping{dataset: d, base: *f, part: part, raw: map[string]*array{}, old: newScope(d.scope)}
	m.old.set("standardise", &builtin{name: "standardise", call: m.standardise}, diag.Span{})
	for _, field := range d.plan.Fields {
		m.old.set(field.Name, &deferred{find: func() value { return m.param(field.Name) }}, d.decl.Name.Span())
		f.scope.set(field.Name, &deferred{find: func() value { return m.param(field.Name) }}, d.decl.Name.Span())
	}
	for _, l := range d.lets {
		m.let(l)
	}
	if d.mapped != nil {
		m.mapFields(f)
	}
	if d.varied != nil {
		m.augment(f)
	}
}

// mapFields binds the fields of the map in f's scope.
func (m *mapping) mapFields(f *frame) {
	for _, e := range m.mapped.Fields {
		if e.Name == nil {
			f.errorf(e.Span(), diag.InvalidValue, "each entry of `map` needs a name, as in { image: image / 255 }")
			continue
		}
		f.scope.set(e.Name.Name, &deferred{find: func() value {
			inner := m.entry(e.Name.Name)
			v := inner.eval(e.Value)
			if isPoison(v) {
				return poison{}
			}
			a, ok := inner.asArray(e.Value, v, tensor.F32)
			if !ok {
				return poison{}
			}
			return inner.store(a).named(e.Name.Name, e.Span())
		}}, e.Name.Span())
	}
}

// augment binds fields in f's scope that differ while the program trains, as augment says; it sees them as they are after the map.
func (m *mapping) augment(f *frame) {
	plain := newScope(m.old)
	for name, b := range f.scope.names {
		plain.names[name] = b
	}
	for _, e := range m.varied.Fields {
		if e.Name == nil {
			f.errorf(e.Span(), diag.InvalidValue, "each entry of `augment` needs a name, as in { image: image |> flip }")
			continue
		}
		name := e.Name.Name
		if !m.has(name) {
			d := f.errorf(e.Name.Span(), diag.UnknownField, "%s has no field `%s` that could be augmented", m.decl.Name.Name, name)
			if near := suggestion(name, m.fieldNames()); near != "" {
				d.Fix = "did you mean `" + near + "`?"
			} else {
				d.Fix = "it has " + joinNames(m.fieldNames())
			}
			continue
		}
		if !f.training {
			continue
		}
		f.scope.set(name, &deferred{find: func() value {
			inner := m.base
			inner.scope, inner.inst = newScope(plain), nil
			before, ok := f.resolve(plain.names[name], e.Name.Span(), name).(*array)
			v := inner.eval(e.Value)
			if !ok || isPoison(v) {
				return poison{}
			}
			a, ok := inner.asArray(e.Value, v, before.dtype)
			if !ok {
				return poison{}
			}
			if a.dtype != before.dtype || !slices.EqualFunc(a.shape, before.shape, ir.Affine.Equal) {
				f.errorf(e.Value.Span(), diag.TypeMismatch, "augmented, %s stays %s, and this is %s", name, before.typ(), a.typ())
				return poison{}
			}
			return inner.store(a).named(name, e.Span())
		}}, e.Name.Span())
	}
}

// entry is a frame in which an entry of the map, or a let, is computed.
func (m *mapping) entry(name string) *frame {
	inner := m.base
	inner.scope = newScope(m.old)
	inner.inst = nil
	if m.plan.Source.Synthetic != nil {
		inner.formula = &formula{mapping: m, place: m.decl.Name.Name + "." + name}
	}
	return &inner
}

// let binds the names of a let; its value is computed when one of them is first used.
func (m *mapping) let(l *syntax.Let) {
	var found *scope
	find := func() *scope {
		if found == nil {
			inner := m.entry(l.Names[0].Name)
			inner.let(l)
			found = inner.scope
		}
		return found
	}
	for _, name := range l.Names {
		m.old.set(name.Name, &deferred{find: func() value { return find().names[name.Name].value }}, name.Span())
	}
}

// param is a field as the source yields it: a parameter of the function.
func (m *mapping) param(name string) value {
	if a := m.raw[name]; a != nil {
		return a
	}
	f, field := &m.base, m.dataset.raw(name)
	shape := []ir.Affine{f.batch.extent}
	for _, n := range field.Shape {
		switch n {
		case -1:
			shape = append(shape, m.lengthOf(field))
		case unknownSize:
			f.errorf(m.decl.Name.Span(), diag.DataError, "how many columns %s.%s has is not known, since the data could not be read", m.decl.Name.Name, name)
			return poison{}
		default:
			shape = append(shape, ir.Int(n))
		}
	}
	v := f.b.Param(m.dataset.fieldParam(name, m.part), ir.Type{DType: field.DType, Shape: shape})
	if n := len(field.Labels); n > 0 {
		f.ids[v] = n
	}
	m.raw[name] = f.arrayOf(v, []*axis{f.batch}).named(name, diag.Span{})
	return m.raw[name]
}

// fieldParam is the name of the parameter that holds a field: that of the field, behind the data's where there are several.
func (d *dataset) fieldParam(field string, part int) string {
	if part == 0 {
		return field
	}
	return d.decl.Name.Name + "." + field
}

// unknownSize is a dimension of a field that only the data can tell.
const unknownSize = 0

// lengthOf is the dimension of a field that is each example's own length, see Note [Own lengths]. The function gets a parameter with
// the lengths.
func (m *mapping) lengthOf(field plan.Field) ir.Affine {
	f, symbol := &m.base, "L"+field.Name
	if m.part > 0 {
		symbol = fmt.Sprintf("L%d_%s", m.part, field.Name)
	}
	if f.lengths[symbol] == nil {
		v := f.b.Param(m.dataset.fieldParam(plan.LengthField(field.Name), m.part), ir.Type{DType: tensor.I32, Shape: []ir.Affine{f.batch.extent}})
		f.operand(v)
		f.lengths[symbol] = v
	}
	return ir.Symbol(symbol)
}

// standardise is (x - mean) / deviation of a field, with the numbers of the training split. A number that is the same in all examples
// becomes 0.
func (m *mapping) standardise(f *frame, site *callSite) value {
	vs, ok := f.take(site, "standardise", 1)
	if !ok || isPoison(vs[0]) {
		return poison{}
	}
	name, ok := site.args[0].node.(*syntax.Name)
	if !ok || !slices.ContainsFunc(m.plan.Fields, func(p plan.Field) bool { return p.Name == name.Name }) {
		f.errorf(site.args[0].node.Span(), diag.InvalidValue, "standardise is given a field as the source has it").Fix = "write the field alone, as in standardise(x)"
		return poison{}
	}
	field := m.dataset.raw(name.Name)
	if field.Mean == nil {
		if !m.measured(name.Name) {
			d := f.errorf(site.at, diag.InvalidValue, "standardise is for columns of numbers, and %s is none", name.Name)
			d.Fix = "scale other fields with numbers of your own, as in image / 127.5 - 1"
			return poison{}
		}
		f.errorf(site.at, diag.DataError, "the mean of %s.%s is not known, since the data could not be read", m.decl.Name.Name, name.Name)
		return poison{}
	}
	mean, deviation := &list{span: site.at}, &list{span: site.at}
	for k, x := range field.Mean {
		by := field.Deviation[k]
		if by == 0 {
			by = 1
		}
		mean.elems, deviation.elems = append(mean.elems, inexact(x)), append(deviation.elems, inexact(by))
	}
	var from, by value = mean, deviation
	if len(field.Shape) == 0 {
		from, by = mean.elems[0], deviation.elems[0]
	}
	centred := f.operate("-", site.node, site.node, site.node, vs[0], from)
	return f.operate("/", site.node, site.node, site.node, centred, by)
}

// measured reports whether a field's mean is measured when its data is read.
func (m *mapping) measured(name string) bool {
	c := m.plan.Source.CSV
	return c != nil && slices.ContainsFunc(c.Columns, func(c plan.Column) bool {
		return c.Field == name && (c.Kind == "f32" || c.Kind == "rest")
	})
}

// standardiseElsewhere is standardise where there are no fields.
func standardiseElsewhere(f *frame, site *callSite) value {
	d := f.errorf(site.at, diag.Misplaced, "standardise belongs into the `map` of data: its numbers are those of a field")
	d.Fix = "write map: { x: standardise(x) } in the data"
	return poison{}
}

// formula is an entry of data by formula. Its random numbers are keyed by the data's seed, the split, the example and their place, so
// that an example is the same in each epoch and in each function.
type formula struct {
	*mapping
	place string // "Roads.bend"
	draws int    // so far
}

// drawExample fills out with random numbers of the example at hand.
func (f *frame) drawExample(op ir.Op, out *array) *array {
	k := f.formula
	hash := fnv.New32a()
	fmt.Fprintf(hash, "%s %d %s", k.place, k.draws, f.round)
	k.draws++
	counter := ir.Int(0)
	for i, id := range out.own {
		if i > 0 {
			c, ok := counter.Mul(f.axes[id].extent)
			if !ok {
				c = counter.Scale(1 << 16)
			}
			counter = c
		}
		counter = counter.Add(ir.Loop(id))
	}
	read := func(name string) *ir.Expr {
		v, _ := k.param(name).(*array).stored()
		return ir.ReadOf(tensor.I32, v, ir.Loop(f.batch.id))
	}
	split := ir.Apply(ir.OpMul, read(plan.FieldSplit), ir.Const(tensor.I32, 0x2545F491))
	place := ir.Apply(ir.OpAdd, f.roundKey(int32(hash.Sum32())), split)
	seed := ir.Const(tensor.I32, float64(int32(k.plan.Source.Synthetic.Seed)))
	out.body = ir.Apply(op, seed, place, read(plan.FieldExample), ir.IndexValue(counter))
	return f.store(out)
}
