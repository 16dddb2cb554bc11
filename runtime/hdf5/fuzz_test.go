package hdf5

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// readAll reads whatever a file has and returns how many elements and bytes of strings that were.
func readAll(data []byte) (total int) {
	f, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return 0
	}
	read := func(a *Array, err error) {
		if err != nil {
			return
		}
		if a.Type.IsString() {
			all, _ := a.Strings()
			total += len(all)
			return
		}
		if all, err := a.Float64s(); err == nil {
			total += len(all)
		}
		if all, err := a.Int64s(); err == nil {
			total += len(all)
		}
	}
	f.Walk(func(o *Object) error {
		names, _ := o.AttrNames()
		for _, name := range names {
			read(o.Attr(name))
		}
		if o.IsDataset() {
			read(o.Dataset())
		}
		return nil
	})
	return total
}

// FuzzRead demands that no bytes make the reader panic, hang, or return much more than there is.
func FuzzRead(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.h5")
	if err != nil || len(paths) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, path := range paths {
		if path == "testdata/sparse.h5" { // large
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) { readAll(data) })
}

// Every file cut short anywhere, and every file with some byte changed, is read without a panic.
func TestDamage(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.h5")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		whole := readAll(data)
		if whole == 0 && path != "testdata/groups.h5" && path != "testdata/ordered.h5" {
			t.Errorf("%s: nothing to read", path)
		}
		step := len(data)/300 + 1
		if path == "testdata/sparse.h5" { // which takes long to read
			step = len(data)/40 + 1
		}
		for n := 0; n < len(data); n += step {
			readAll(data[:n])
			damaged := bytes.Clone(data)
			for _, b := range []byte{0, 0xff, data[n] ^ 1} {
				damaged[n] = b
				readAll(damaged)
			}
		}
	}
}
