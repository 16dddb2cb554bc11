package hdf5

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// open opens a file of testdata, which make.py wrote.
func open(t *testing.T, name string) *File {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return openBytes(t, data)
}

func openBytes(t *testing.T, data []byte) *File {
	t.Helper()
	f, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// dataset returns the dataset at a path.
func dataset(t *testing.T, f *File, path string) *Array {
	t.Helper()
	o, err := f.Root().Lookup(path)
	if err != nil {
		t.Fatal(err)
	}
	a, err := o.Dataset()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// grid5x7 are the numbers of the datasets of 5 rows and 7 columns.
func grid5x7[T float32 | float64]() []T {
	a := make([]T, 35)
	for i := range a {
		a[i] = T(i) - 3.5
	}
	return a
}

// equal reports a difference, or an error.
func equal[T any](t *testing.T, what string, want T) func(got T, err error) {
	return func(got T, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: want (-), got (+):\n%s", what, diff)
		}
	}
}

func TestFull(t *testing.T) {
	for _, name := range []string{"old.h5", "new.h5"} {
		t.Run(name, func(t *testing.T) {
			f := open(t, name)
			attr := func(name string) *Array {
				a, err := f.Root().Attr(name)
				if err != nil {
					t.Fatal(err)
				}
				return a
			}
			equal(t, "title", "höhe")(attr("title").String())
			equal(t, "fixed", "abc")(attr("fixed").String())
			equal(t, "names", []string{"one", "", "three"})(attr("names").Strings())
			equal(t, "fixednames", []string{"one", "three"})(attr("fixednames").Strings())
			equal(t, "number", []int64{-5})(attr("number").Int64s())
			equal(t, "number", []float32{-5})(attr("number").Float32s())
			equal(t, "reals", []float64{0.5, -2})(attr("reals").Float64s())
			equal(t, "flag", []int64{1})(attr("flag").Int64s())
			equal(t, "none", []float64{})(attr("none").Float64s())
			if _, err := f.Root().Attr("missing"); !errors.Is(err, ErrNotFound) {
				t.Errorf("missing attribute: %v", err)
			}
			if _, err := attr("title").Float32s(); err == nil {
				t.Error("a string was read as a number")
			}

			g, err := f.Root().Lookup("a/b")
			if err != nil {
				t.Fatal(err)
			}
			if !g.IsGroup() || g.IsDataset() || g.Path() != "a/b" {
				t.Error("a/b is not a group")
			}
			if _, err := g.Lookup("c"); !errors.Is(err, ErrNotFound) {
				t.Errorf("missing member: %v", err)
			}
			deep, err := g.Attr("deep")
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "deep", "yes")(deep.String())

			for _, typ := range []string{"f2", "f4", "f8", "F2", "F4", "F8"} {
				a := dataset(t, f, "float/"+typ)
				if diff := cmp.Diff([]int{5, 7}, a.Shape); diff != "" {
					t.Errorf("%s: shape: %s", typ, diff)
				}
				equal(t, typ, grid5x7[float32]())(a.Float32s())
				equal(t, typ, grid5x7[float64]())(a.Float64s())
				if _, err := a.Int64s(); err == nil {
					t.Errorf("%s was read as integers", typ)
				}
			}
			for _, typ := range []string{"i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"} {
				want := []int64{0, -1, -100, -127}
				if typ[0] == 'u' {
					want = []int64{0, 1, 100, 127}
				}
				equal(t, typ, want)(dataset(t, f, "int/"+typ).Int64s())
				equal(t, strings.ToUpper(typ), want)(dataset(t, f, "int/"+strings.ToUpper(typ)).Int64s())
			}
			equal(t, "scalar", []float32{2.5})(dataset(t, f, "scalar").Float32s())
			if a := dataset(t, f, "scalar"); len(a.Shape) != 0 || a.Len() != 1 {
				t.Errorf("scalar of shape %v", a.Shape)
			}
			equal(t, "bool", []int64{1, 0})(dataset(t, f, "bool").Int64s())
			equal(t, "empty", []float32{})(dataset(t, f, "empty").Float32s())
			equal(t, "strings", []string{"x", "", "zürich"})(dataset(t, f, "strings").Strings())
			equal(t, "fixedstrings", []string{"x", "yyy"})(dataset(t, f, "fixedstrings").Strings())
			equal(t, "unwritten", []float32{1.5, 1.5, 1.5, 1.5})(dataset(t, f, "unwritten").Float32s())
		})
	}
}

func TestChunked(t *testing.T) {
	part := make([]float32, 35)
	for i := range part {
		part[i] = 9
		if row, column := i/7, i%7; row >= 2 && row < 4 && column >= 3 && column < 6 {
			part[i] = float32(i) - 3.5
		}
	}
	count := func(n int) []int64 {
		a := make([]int64, n)
		for i := range a {
			a[i] = int64(i)
		}
		return a
	}
	for _, name := range []string{"chunked.h5", "chunked_new.h5"} {
		f := open(t, name)
		for _, path := range []string{"plain", "gzip", "shuffle", "fletcher", "all", "grows"} {
			equal(t, name+" "+path, grid5x7[float32]())(dataset(t, f, path).Float32s())
		}
		equal(t, name+" part", part)(dataset(t, f, "part").Float32s())
		equal(t, name+" many", count(200))(dataset(t, f, "many").Int64s())
		equal(t, name+" three", count(60))(dataset(t, f, "three").Int64s())
	}
	f := open(t, "chunked_new.h5")
	equal(t, "single", grid5x7[float32]())(dataset(t, f, "single").Float32s())
	equal(t, "implicit", grid5x7[float32]())(dataset(t, f, "implicit").Float32s())
	equal(t, "paged", count(3000))(dataset(t, f, "paged").Int64s())
	equal(t, "deep", count(1500))(dataset(t, f, "deep").Int64s())
	row, err := f.Root().Lookup("row")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := row.Dataset(); err == nil || !strings.Contains(err.Error(), "not supported") {
		t.Errorf("an extensible array: %v", err)
	}
}

// A checksum that does not fit its data is an error and not a wrong number.
func TestFletcher32Damage(t *testing.T) {
	data, err := os.ReadFile("testdata/chunked.h5")
	if err != nil {
		t.Fatal(err)
	}
	// The first chunk of "fletcher" begins as that of "plain"; damage every copy of its first number.
	damaged := bytes.ReplaceAll(data, []byte{0, 0, 0x60, 0xc0, 0, 0, 0x20, 0xc0}, []byte{0, 0, 0x60, 0xc1, 0, 0, 0x20, 0xc0})
	_, err = dataset(t, openBytes(t, damaged), "fletcher").Float32s()
	if err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("error: %v", err)
	}
}

func TestUserBlock(t *testing.T) {
	equal(t, "x", []float32{1, 2})(dataset(t, open(t, "userblock.h5"), "x").Float32s())
}

func TestManyMembers(t *testing.T) {
	var want []string
	for i := range 300 {
		want = append(want, fmt.Sprintf("g%03d", i))
	}
	equal(t, "names", want)(open(t, "groups.h5").Root().Names())
}

// Names come in the order of creation where the file has it, and links that lead up do not make Walk run forever.
func TestOrderAndLinks(t *testing.T) {
	f := open(t, "ordered.h5")
	equal(t, "names", []string{"g3", "g1", "g2", "soft", "hard"})(f.Root().Names())
	if _, err := f.Root().Lookup("soft"); err == nil || !strings.Contains(err.Error(), "link") {
		t.Errorf("soft link: %v", err)
	}
	var paths []string
	err := f.Walk(func(o *Object) error {
		paths = append(paths, o.Path())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"", "g3", "g1", "g2"}, paths); diff != "" {
		t.Error(diff)
	}
}

// Many links, many attributes and a large one lie in fractal heaps.
func TestDense(t *testing.T) {
	var want []string
	for i := range 300 {
		want = append(want, fmt.Sprintf("g%03d", i*7%300))
	}
	f := open(t, "dense.h5")
	equal(t, "names", want)(f.Root().Names())
	g, err := f.Root().Lookup("g000")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		a, err := g.Attr(fmt.Sprintf("attr%02d", i))
		if err != nil {
			t.Fatal(err)
		}
		if a.Len() != i {
			t.Errorf("attribute %d has %d elements", i, a.Len())
		}
	}
	huge, err := g.Attr("huge")
	if err != nil {
		t.Fatal(err)
	}
	if all, err := huge.Int64s(); err != nil || len(all) != 5000 || all[4999] != 4999 {
		t.Errorf("large attribute: %d elements, %v", len(all), err)
	}
}

func TestAttributes(t *testing.T) {
	f := open(t, "attributes.h5")
	for i := range 40 {
		a, err := f.Root().Attr(fmt.Sprintf("attr%02d", i))
		if err != nil {
			t.Fatal(err)
		}
		if a.Len() != i {
			t.Errorf("attribute %d has %d elements", i, a.Len())
		}
	}
	equal(t, "committed", []float32{1, 2})(dataset(t, f, "committed").Float32s())
	for _, path := range []string{"compound", "vlen"} {
		if _, err := dataset(t, f, path).Float64s(); err == nil {
			t.Errorf("%s was read as numbers", path)
		}
	}
}
