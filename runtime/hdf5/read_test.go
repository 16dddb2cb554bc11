package hdf5

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
	equal(t, "row", grid5x7[float32]())(dataset(t, f, "row").Float32s())
}

// Every index of chunks, each with limits that the dataset may grow to, with filters, with chunks that lack some of them, with
// chunks that were never written, and with bare chunks over the edge.
func TestIndexes(t *testing.T) {
	f := open(t, "indexes.h5")
	part, none := make([]float32, 35), slices.Repeat([]float32{9}, 35)
	for i := range part {
		part[i] = 9
		if row, column := i/7, i%7; row >= 2 && row < 4 && column >= 3 && column < 6 {
			part[i] = float32(i) - 3.5
		}
	}
	for index, limits := range map[string]int{"single": 1, "fixed": 2, "extensible": 3, "btree": 1} {
		for i := range limits {
			for _, variant := range []string{"plain", "packed", "masked", "edges"} {
				path := fmt.Sprint(index, "/", variant, i)
				equal(t, path, grid5x7[float32]())(dataset(t, f, path).Float32s())
			}
			path, want := fmt.Sprint(index, "/part", i), part
			if index == "single" {
				want = none
			}
			equal(t, path, want)(dataset(t, f, path).Float32s())
		}
	}
	for _, path := range []string{"implicit/plain0", "implicit/plain1"} {
		equal(t, path, grid5x7[float32]())(dataset(t, f, path).Float32s())
	}
	f = open(t, "sparse.h5")
	fixed := slices.Repeat([]int64{5}, 3000)
	for i := range 10 {
		fixed[2500+i] = int64(i)
	}
	equal(t, "fixed", fixed)(dataset(t, f, "fixed").Int64s())
	sparse := slices.Repeat([]int64{5}, 150000)
	for _, at := range []int{0, 3, 4, 5, 19, 20, 35, 36, 100, 1000, 20000} {
		sparse[at] = int64(at % 100)
	}
	for at := 131060; at < len(sparse); at += 2048 {
		sparse[at] = int64(at % 100)
	}
	equal(t, "extensible", sparse)(dataset(t, f, "extensible").Int64s())
}

// indexDamage are changes of bytes behind the signature of a structure of an index, and what the error says of each.
var indexDamage = []struct {
	file, path, signature string
	at                    int // of the signature's first byte
	bytes                 string
	want                  string
}{
	{"indexes.h5", "fixed/plain0", "FAHD", 0, "FAHX", "signature"},
	{"indexes.h5", "fixed/plain0", "FAHD", 6, "\x07", "broken fixed array"},                                    // width of entries
	{"indexes.h5", "fixed/plain0", "FAHD", 7, "\x7f", "broken fixed array"},                                    // size of pages
	{"indexes.h5", "fixed/plain0", "FAHD", 8, "\x01", "has not as many entries"},                               // entries
	{"indexes.h5", "fixed/plain0", "FAHD", 8, "\xff\xff\xff\xff\xff\xff", "longer than the file"},              // entries
	{"indexes.h5", "fixed/plain0", "FAHD", 16, "\x00\x00\x00\x00\x00\x00\x01", "lie outside of the file"},      // place of the entries
	{"indexes.h5", "fixed/packed0", "FADB", 14, "\x00\x00\x00\x00\x00\x00\x01", "lie outside of the file"},     // place of a chunk
	{"indexes.h5", "fixed/packed0", "FADB", 22, "\xff\xff\xff\x7f", "chunks overlap"},                          // its size
	{"indexes.h5", "extensible/plain0", "EAHD", 0, "EAHX", "signature"},                                        //
	{"indexes.h5", "extensible/plain0", "EAHD", 6, "\x00", "broken extensible array"},                          // width of entries
	{"indexes.h5", "extensible/plain0", "EAHD", 7, "\xff", "broken extensible array"},                          // bits of numbers of entries
	{"indexes.h5", "extensible/plain0", "EAHD", 8, "\xff", "lie outside of the file"},                          // entries in the index block
	{"indexes.h5", "extensible/plain0", "EAHD", 9, "\x00", "broken extensible array"},                          // entries of the first data block
	{"indexes.h5", "extensible/plain0", "EAHD", 10, "\x03", "broken extensible array"},                         // data blocks of the first super block
	{"indexes.h5", "extensible/plain0", "EAHD", 11, "\xff", "broken extensible array"},                         // entries of a page
	{"indexes.h5", "extensible/plain0", "EAHD", 60, "\x00\x00\x00\x00\x00\x00\x01", "lie outside of the file"}, // place of the index block
	{"indexes.h5", "extensible/plain0", "EAIB", 0, "EAIX", "signature"},                                        //
	{"indexes.h5", "extensible/plain0", "EAIB", 14, "\x00\x00\x00\x00\x00\x00\x01", "lie outside of the file"}, // place of a chunk
	{"sparse.h5", "extensible", "EAIB", 14 + 4*8, "\x00\x00\x00\x00\x00\x00\x01", "lie outside of the file"},   // place of a data block
	{"sparse.h5", "extensible", "EADB", 0, "EADX", "signature"},                                                //
	{"sparse.h5", "extensible", "EASB", 0, "EASX", "signature"},                                                //
	{"indexes.h5", "btree/plain0", "BTHD", 0, "BTHX", "signature"},                                             //
	{"indexes.h5", "btree/plain0", "BTHD", 5, "\x05", "another kind"},                                          // kind of records
	{"indexes.h5", "btree/plain0", "BTHD", 10, "\x10", "broken B-tree"},                                        // width of records
	{"indexes.h5", "btree/plain0", "BTHD", 12, "\x09", "lacks its signature"},                                  // depth
	{"indexes.h5", "btree/plain0", "BTHD", 24, "\xff\xff", "too small for its records"},                        // records of the root
	{"indexes.h5", "btree/plain0", "BTLF", 6 + 8, "\x09", "outside of its dataset"},                            // row of a chunk
	{"indexes.h5", "btree/packed0", "BTLF", 6 + 8, "\xff\xff\xff\x7f", "chunks overlap"},                       // size of a chunk
}

// An index that was changed is an error that says so, and reads nothing that is not there.
func TestHostileIndexes(t *testing.T) {
	for _, c := range indexDamage {
		whole, err := os.ReadFile(filepath.Join("testdata", c.file))
		if err != nil {
			t.Fatal(err)
		}
		// The structure is that of this dataset if damaging it changes what the dataset gives.
		found := false
		for at := 0; !found; at++ {
			next := bytes.Index(whole[at:], []byte(c.signature))
			if next < 0 {
				break
			}
			at += next
			damaged := bytes.Clone(whole)
			copy(damaged[at:], "XXXX")
			if _, err := dataset(t, openBytes(t, damaged), c.path).Float32s(); err == nil {
				continue
			}
			found = true
			damaged = bytes.Clone(whole)
			copy(damaged[at+c.at:], c.bytes)
			_, err := dataset(t, openBytes(t, damaged), c.path).Float32s()
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %s with %q at %d: error %v, want %q", c.path, c.signature, c.bytes, c.at, err, c.want)
			}
		}
		if !found {
			t.Errorf("%s has no %s", c.path, c.signature)
		}
	}
}

// Every byte of every structure of an index, changed, gives numbers or an error.
func TestDamagedIndexes(t *testing.T) {
	whole, err := os.ReadFile("testdata/indexes.h5")
	if err != nil {
		t.Fatal(err)
	}
	for _, signature := range []string{"FAHD", "FADB", "EAHD", "EAIB", "BTHD", "BTLF"} {
		for at, seen := 0, 0; seen < 2; seen++ {
			next := bytes.Index(whole[at:], []byte(signature))
			if next < 0 {
				break
			}
			at += next + len(signature)
			for i := range 48 {
				for _, b := range []byte{0, 0xff, whole[at+i] ^ 1} {
					damaged := bytes.Clone(whole)
					damaged[at+i] = b
					readAll(damaged)
				}
			}
		}
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
