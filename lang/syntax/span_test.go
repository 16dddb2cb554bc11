package syntax

import (
	"reflect"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/ir/diag"
)

// walk calls visit for every node below v.
func walk(v reflect.Value, visit func(Node)) {
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		if v.IsNil() || v.Type() == reflect.TypeFor[*diag.File]() {
			return
		}
		if n, ok := v.Interface().(Node); ok && v.Kind() == reflect.Pointer {
			visit(n)
		}
		walk(v.Elem(), visit)
	case reflect.Slice:
		for i := range v.Len() {
			walk(v.Index(i), visit)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[At]() {
			return
		}
		for i := range v.NumField() {
			walk(v.Field(i), visit)
		}
	}
}

// reparse reads the text of n's span alone, as the kind of node that it is. ok is false where the text is not such a node by itself.
func reparse(n Node, text string) (got any, ok bool, list *diag.List) {
	file := func(text string) *File {
		f, l := Parse(diag.NewFile("span", text))
		list = l
		return f
	}
	switch n := n.(type) {
	case *Ellipsis:
		return nil, false, nil
	case Expr:
		if t, isTuple := n.(*Tuple); isTuple && !strings.HasPrefix(text, "(") {
			return t, false, nil // the values of a clause
		}
		x, l := ParseExpr(diag.NewFile("span", text))
		return x, true, l
	case *Let:
		if !strings.HasPrefix(text, "let ") {
			return nil, false, nil
		}
	case *Cell:
		if !strings.HasPrefix(text, n.Kind+" ") {
			return nil, false, nil
		}
	case Stmt:
	case *TopLet:
		return nil, false, nil
	case Decl:
		if f := file(text); len(f.Decls) == 1 {
			return f.Decls[0], true, list
		}
		return nil, true, list
	case *Type:
		if f := file("fn f(x: " + text + ") = x"); !list.HasErrors() {
			return f.Decls[0].(*Fn).Params[0].Type, true, list
		}
		return nil, true, list
	default:
		return nil, false, nil
	}
	f := file("test \"t\" {\n" + text + "\n}")
	if list.HasErrors() {
		return nil, true, list
	}
	return f.Decls[0].(*Test).Body.Stmts[0], true, list
}

// A node's span is the text it was read from: read alone, it gives the same node.
func TestSpansReparse(t *testing.T) {
	for _, src := range sources(t, "testdata/drafts/*.nn") {
		t.Run(src.Name, func(t *testing.T) {
			f, _ := Parse(src)
			count := 0
			walk(reflect.ValueOf(f.Decls), func(n Node) {
				span := n.Span()
				if span.File != src || span.Text() == "" || strings.TrimSpace(span.Text()) != span.Text() {
					t.Errorf("%T has the span %s %q", n, span, span.Text())
					return
				}
				got, ok, list := reparse(n, span.Text())
				if !ok {
					return
				}
				count++
				if want := dump(n); got == nil || reflect.ValueOf(got).IsNil() || dump(got) != want {
					t.Errorf("%s: %T %q does not read as itself: %v", span, n, span.Text(), list)
				}
			})
			if count == 0 {
				t.Error("nothing was checked")
			}
		})
	}
}

// Operators' places are recorded for messages.
func TestOperatorSpans(t *testing.T) {
	src := diag.NewFile("x.nn", "a + b*c")
	x, list := ParseExpr(src)
	if list.HasErrors() {
		t.Fatal(list)
	}
	sum := x.(*Binary)
	if got := sum.OpPos.Text(); got != "+" {
		t.Errorf("place of the sum's operator holds %q", got)
	}
	if got := sum.Y.(*Binary).OpPos.Start; got != 5 {
		t.Errorf("the product's operator is at %d, want 5", got)
	}
}
