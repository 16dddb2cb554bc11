package syntax

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/nnc-lang/nnc/ir/diag"
)

// dump writes a tree as an S-expression, one declaration or statement a line, without spans. Two trees are equal if their dumps are.
func dump(n any) string {
	var d dumper
	d.value(reflect.ValueOf(n), 0)
	return d.b.String()
}

type dumper struct{ b strings.Builder }

func (d *dumper) value(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		if v.IsNil() {
			d.b.WriteString("nil")
			return
		}
		if id, ok := v.Interface().(*Ident); ok {
			d.b.WriteString(id.Name)
			return
		}
		d.value(v.Elem(), depth)
	case reflect.Slice:
		d.b.WriteByte('[')
		for i := range v.Len() {
			elem := v.Index(i)
			_, stmt := elem.Interface().(Stmt)
			_, decl := elem.Interface().(Decl)
			switch {
			case stmt || decl:
				d.b.WriteString("\n" + strings.Repeat("  ", depth+1))
				d.value(elem, depth+1)
				continue
			case i > 0:
				d.b.WriteByte(' ')
			}
			d.value(elem, depth)
		}
		d.b.WriteByte(']')
	case reflect.Struct:
		d.node(v, depth)
	case reflect.String:
		d.b.WriteString(strconv.Quote(v.String()))
	default:
		fmt.Fprint(&d.b, v.Interface())
	}
}

// node writes `(Kind field …)`; fields that are empty are left out, the others but the first expression are named.
func (d *dumper) node(v reflect.Value, depth int) {
	switch n := v.Interface().(type) {
	case Name:
		d.b.WriteString(n.Name)
		return
	case Number:
		d.b.WriteString(n.Text)
		return
	case String:
		d.b.WriteString(strconv.Quote(n.Value))
		return
	}
	d.b.WriteString("(" + v.Type().Name())
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Type == reflect.TypeFor[At]() || f.Type == reflect.TypeFor[diag.Span]() || f.Type == reflect.TypeFor[*diag.File]() {
			continue
		}
		if v.Field(i).IsZero() {
			continue
		}
		d.b.WriteString(" " + strings.ToLower(f.Name) + "=")
		d.value(v.Field(i), depth)
	}
	d.b.WriteByte(')')
}
