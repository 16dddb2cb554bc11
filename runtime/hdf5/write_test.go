package hdf5

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	oracle "github.com/scigolib/hdf5"
)

// tree is a file with everything that the writer can write.
func tree(t *testing.T) *Node {
	t.Helper()
	root := NewGroup()
	root.SetAttr("text", "höhe")
	root.SetAttr("long", strings.Repeat("0123456789", 30_000))
	root.SetAttr("empty", "")
	root.SetAttr("texts", []string{"a", "", "höhe", "a"})
	root.SetAttr("notexts", []string{})
	root.SetAttr("int", int64(-3))
	root.SetAttr("ints", []int64{1, math.MinInt64})
	root.SetAttr("real", 0.25)
	root.SetAttr("reals", []float64{1, math.Inf(1)})
	for path, data := range map[string]any{
		"a/f32": []float32{1, 2, 3, 4, 5, 6},
		"a/f64": []float64{1, 2, 3, 4, 5, 6},
		"a/i32": []int32{1, 2, 3, 4, 5, -6},
		"a/i64": []int64{1, 2, 3, 4, 5, -6},
	} {
		if _, err := root.Dataset(path, []int{2, 3}, data); err != nil {
			t.Fatal(err)
		}
	}
	scalar, err := root.Dataset("a/b/scalar", nil, []float32{7})
	if err != nil {
		t.Fatal(err)
	}
	scalar.SetAttr("unit", "m")
	if _, err := root.Dataset("none", []int{0, 3}, []float32{}); err != nil {
		t.Fatal(err)
	}
	for i := range 700 {
		g, err := root.Group(fmt.Sprintf("many/g%d", i))
		if err != nil {
			t.Fatal(err)
		}
		g.SetAttr("names", []string{fmt.Sprint("x", i), "y"})
	}
	return root
}

func written(t *testing.T, root *Node) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, root); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWriteRead(t *testing.T) {
	f := openBytes(t, written(t, tree(t)))
	attr := func(path, name string) *Array {
		o := f.Root()
		if path != "" {
			var err error
			if o, err = o.Lookup(path); err != nil {
				t.Fatal(err)
			}
		}
		a, err := o.Attr(name)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	equal(t, "text", "höhe")(attr("", "text").String())
	equal(t, "long", strings.Repeat("0123456789", 30_000))(attr("", "long").String())
	equal(t, "empty", "")(attr("", "empty").String())
	equal(t, "texts", []string{"a", "", "höhe", "a"})(attr("", "texts").Strings())
	equal(t, "notexts", []string{})(attr("", "notexts").Strings())
	equal(t, "int", []int64{-3})(attr("", "int").Int64s())
	equal(t, "ints", []int64{1, math.MinInt64})(attr("", "ints").Int64s())
	equal(t, "real", []float64{0.25})(attr("", "real").Float64s())
	equal(t, "reals", []float64{1, math.Inf(1)})(attr("", "reals").Float64s())
	equal(t, "unit", "m")(attr("a/b/scalar", "unit").String())
	equal(t, "f32", []float32{1, 2, 3, 4, 5, 6})(dataset(t, f, "a/f32").Float32s())
	equal(t, "f64", []float64{1, 2, 3, 4, 5, 6})(dataset(t, f, "a/f64").Float64s())
	equal(t, "i32", []int64{1, 2, 3, 4, 5, -6})(dataset(t, f, "a/i32").Int64s())
	equal(t, "i64", []int64{1, 2, 3, 4, 5, -6})(dataset(t, f, "a/i64").Int64s())
	equal(t, "scalar", []float32{7})(dataset(t, f, "a/b/scalar").Float32s())
	equal(t, "none", []float32{})(dataset(t, f, "none").Float32s())
	for i := range 700 {
		equal(t, "many", []string{fmt.Sprint("x", i), "y"})(attr(fmt.Sprintf("many/g%d", i), "names").Strings())
	}
}

// Another library must see the same file.
func TestWriteOracle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.h5")
	if err := os.WriteFile(path, written(t, tree(t)), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := oracle.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	groups, numbers := 0, map[string][]float64{}
	f.Walk(func(path string, o oracle.Object) {
		switch o := o.(type) {
		case *oracle.Group:
			groups++
		case *oracle.Dataset:
			if path == "/none" {
				return
			}
			values, err := o.Read()
			if err != nil {
				t.Errorf("%s: %v", path, err)
			}
			numbers[path] = values
		}
	})
	want := map[string][]float64{
		"/a/f32": {1, 2, 3, 4, 5, 6}, "/a/f64": {1, 2, 3, 4, 5, 6}, "/a/i32": {1, 2, 3, 4, 5, -6}, "/a/i64": {1, 2, 3, 4, 5, -6},
		"/a/b/scalar": {7},
	}
	if diff := cmp.Diff(want, numbers); diff != "" {
		t.Errorf("numbers: %s", diff)
	}
	if groups != 1+1+1+1+700 {
		t.Errorf("%d groups", groups)
	}
}

// The other library's view of the files from h5py must be ours.
func TestReadOracle(t *testing.T) {
	for _, name := range []string{"old.h5", "chunked.h5"} {
		other, err := oracle.Open(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		f, compared := open(t, name), 0
		other.Walk(func(path string, o oracle.Object) {
			set, ok := o.(*oracle.Dataset)
			if !ok || path == "/part" || path == "/unwritten" {
				return // it takes what was never written as zero and not as the fill value
			}
			want, err := set.Read()
			if err != nil || len(want) == 0 {
				return // strings and half precision are beyond it
			}
			equal(t, path, want)(dataset(t, f, strings.Trim(path, "/")).Float64s())
			compared++
		})
		if compared < 5 {
			t.Errorf("%s: only %d datasets were compared", name, compared)
		}
	}
}

func TestWriteErrors(t *testing.T) {
	root := NewGroup()
	if _, err := root.Dataset("a", nil, []float32{1}); err != nil {
		t.Fatal(err)
	}
	if _, err := root.Dataset("a", nil, []float32{1}); err == nil {
		t.Error("a name was taken twice")
	}
	for _, path := range []string{"a/b", "", "x//y", "."} {
		if _, err := root.Group(path); err == nil {
			t.Errorf("group at %q", path)
		}
	}
	root.SetAttr("long", make([]string, 5000))
	if err := Write(&bytes.Buffer{}, root); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("a long attribute: %v", err)
	}
}
