package data

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// idxBytes returns an IDX file of bytes with the given dimensions.
func idxBytes(elements []byte, dims ...uint32) []byte {
	b := []byte{0, 0, 8, byte(len(dims))}
	for _, d := range dims {
		b = binary.BigEndian.AppendUint32(b, d)
	}
	return append(b, elements...)
}

func zipped(b []byte) []byte {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(b)
	w.Close()
	return z.Bytes()
}

// digits returns files of n images of 2 × 3 pixels, all as bright as the number of the image, which is labelled n mod 10.
func digits(n int) (images, labels []byte) {
	var pix, ids []byte
	for i := range n {
		pix = append(pix, bytes.Repeat([]byte{byte(i)}, 6)...)
		ids = append(ids, byte(i%10))
	}
	return idxBytes(pix, uint32(n), 2, 3), idxBytes(ids, uint32(n))
}

func writeAll(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	for name, contents := range files {
		if err := os.WriteFile(filepath.Join(dir, name), contents, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func TestIDX(t *testing.T) {
	dir := t.TempDir()
	images, labels := digits(20)
	testImages, testLabels := digits(3)
	writeAll(t, dir, map[string][]byte{
		"images": images, "labels.gz": zipped(labels), "images.gz": zipped(images), "test-images": testImages, "test-labels": testLabels,
	})
	for _, train := range []IDXFiles{{"images", "labels.gz"}, {"images.gz", "labels.gz"}} {
		ds, err := IDX(IDXConfig{Root: dir, Train: train, Test: IDXFiles{"test-images", "test-labels"}, ValidationFraction: 0.2, Seed: 7})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"16 training, 4 validation (split by seed 7), 3 test"}, ds.Notes); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(strings.Split("0123456789", ""), ds.Labels); diff != "" {
			t.Error(diff)
		}
		if got := NewBatch(ds.Train.Fields(), 5); got[0].String()+" "+got[1].String() != "f32[5, 2, 3, 1] i32[5]" {
			t.Errorf("a batch is %v", got)
		}
		var all []float32
		for _, s := range []Source{ds.Train, ds.Validation} {
			values, ids := shades(t, s)
			for i, v := range values {
				if ids[i] != int32(v)%10 {
					t.Errorf("image %v is labelled %d", v, ids[i])
				}
			}
			all = append(all, values...)
		}
		slices.Sort(all)
		for i, v := range all {
			if v != float32(i) {
				t.Fatalf("training and validation together are %v", all)
			}
		}
		if got, want := ds.Test.Name(2), "test-images, image 2"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		batch := NewBatch(ds.Test.Fields(), 3)
		if err := ds.Test.At(2, batch, 1); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]float32{0, 0, 0, 0, 0, 0, 2, 2, 2, 2, 2, 2, 0, 0, 0, 0, 0, 0}, batch[0].F32); diff != "" {
			t.Error(diff)
		}
	}
}

func TestIDXLabelsBeyondNine(t *testing.T) {
	dir := t.TempDir()
	writeAll(t, dir, map[string][]byte{"images": idxBytes([]byte{1, 2}, 2, 1, 1), "labels": idxBytes([]byte{11, 0}, 2)})
	ds, err := IDX(IDXConfig{Root: dir, Train: IDXFiles{"images", "labels"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(ds.Labels) != 12 || ds.Labels[11] != "11" {
		t.Errorf("%v", ds.Labels)
	}
}

func TestIDXErrors(t *testing.T) {
	images, labels := digits(4)
	for _, c := range []struct {
		name           string
		images, labels []byte
		want           string
	}{
		{"text", []byte("hello, this is text"), labels, "DIR/images: not an IDX file: it begins with 68 65 6c 6c"},
		{"empty", nil, labels, "DIR/images: 0 bytes are too few for an IDX file"},
		{"header only", images[:10], labels, "DIR/images: the file ends within its header"},
		{"truncated", images[:30], labels, "DIR/images: the header says [4 2 3], which takes 24 bytes, but 14 follow"},
		{"longer", append(slices.Clone(images), 1), labels, "DIR/images: the header says [4 2 3], which takes 24 bytes, but 25 follow"},
		{"zipped, truncated", zipped(images)[:25], labels, "DIR/images: the file ends within its header"},
		{"zipped, truncated inside", zipped(images[:30]), labels, "DIR/images: the file is truncated: the header says [4 2 3], which takes 24 bytes, but 14 follow"},
		{"zipped, longer", zipped(append(slices.Clone(images), 1)), labels, "DIR/images: the header says [4 2 3], which takes 24 bytes, but more follow"},
		{"bomb", zipped(idxBytes(nil, 60000, 28, 28)), labels, "DIR/images: the header says [60000 28 28], more than SIZE compressed bytes can hold"},
		{"overflow", idxBytes(nil, 1<<31, 1<<31, 4), labels, "DIR/images: its header says dimensions of [2147483648 2147483648] and more, beyond any file"},
		{"floats", []byte{0, 0, 0x0d, 1, 0, 0, 0, 0}, labels, "DIR/images: its elements have type 0x0d; only bytes (0x08) are read"},
		{"swapped", labels, images, "images has 1 dimensions, not the 3 of a file of images (examples, height, width)"},
		{"two images", images, images, "labels has 3 dimensions, not the 1 of a file of labels"},
		{"counts", images, idxBytes([]byte{1, 2, 3}, 3), "images holds 4 images, but labels holds 3 labels"},
		{"none", idxBytes(nil, 0, 2, 3), idxBytes(nil, 0), "images holds no images"},
		{"no pixels", idxBytes(nil, 1, 0, 3), idxBytes([]byte{1}, 1), "images holds images of 0 × 3 pixels"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			writeAll(t, dir, map[string][]byte{"images": c.images, "labels": c.labels})
			_, err := IDX(IDXConfig{Root: dir, Train: IDXFiles{"images", "labels"}})
			if err == nil {
				t.Fatal("no error")
			}
			want := "training data: " + strings.ReplaceAll(c.want, "DIR", dir)
			want = strings.ReplaceAll(want, "SIZE", plural(len(c.images), "", "")[:len(plural(len(c.images), "", ""))-1])
			if diff := cmp.Diff(want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestIDXConfigErrors(t *testing.T) {
	dir := t.TempDir()
	images, labels := digits(4)
	writeAll(t, dir, map[string][]byte{"images": images, "labels": labels, "wide": idxBytes([]byte{1}, 1, 1, 1), "one": idxBytes([]byte{1}, 1)})
	pair := IDXFiles{"images", "labels"}
	for _, c := range []struct {
		cfg  IDXConfig
		want string
	}{
		{IDXConfig{}, "no IDX files for training are given"},
		{IDXConfig{Train: IDXFiles{Images: "images"}}, "training data: the images images have no file of labels beside them"},
		{IDXConfig{Train: IDXFiles{"no", "labels"}}, "training data: cannot read " + filepath.Join(dir, "no") + ": no such file or directory"},
		{IDXConfig{Train: pair, ValidationFraction: 1}, "a validation fraction of 1: it must be at least 0 and below 1"},
		{IDXConfig{Train: pair, ValidationFraction: 0.01}, "4 training examples are too few for a validation fraction of 0.01"},
		{IDXConfig{Train: pair, Validation: pair, ValidationFraction: 0.1}, "both validation files and a fraction of the training examples for validation are given: use one or the other"},
		{IDXConfig{Train: pair, Test: IDXFiles{"wide", "one"}}, "images holds images of [2 3 1], wide of [1 1 1]"},
	} {
		c.cfg.Root = dir
		if _, err := IDX(c.cfg); err == nil || err.Error() != c.want {
			t.Errorf("%v\nwant %s", err, c.want)
		}
	}
}

func TestIDXFileThatShrinks(t *testing.T) {
	dir := t.TempDir()
	images, labels := digits(4)
	writeAll(t, dir, map[string][]byte{"images": images, "labels": labels})
	ds, err := IDX(IDXConfig{Root: dir, Train: IDXFiles{"images", "labels"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "images"), 30); err != nil {
		t.Skip(err)
	}
	err = ds.Train.At(3, NewBatch(ds.Train.Fields(), 1), 0)
	if want := "images, image 3: the file has become shorter"; err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}

func FuzzIDX(f *testing.F) {
	images, labels := digits(4)
	for _, file := range [][]byte{images, labels, zipped(images), images[:20], zipped(images)[:30], idxBytes(nil, 1<<31, 1<<31, 4), zipped(idxBytes(nil, 60000, 28, 28))} {
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		idx, err := newIDXFile(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			return
		}
		size := 1
		for _, d := range idx.dims {
			size *= d
		}
		if size > len(file)*maxInflation {
			t.Errorf("%v from %d bytes", idx.dims, len(file))
		}
		if got, err := idx.read(0, size, nil); err != nil || len(got) != size {
			t.Errorf("%v: %d elements, %v", idx.dims, len(got), err)
		}
	})
}
