package data

import (
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var tiny = ImageSpec{Height: 1, Width: 1, Channels: 1}

// writeShades writes one gray pixel per path, a PNG whatever the name says; values count from first.
func writeShades(t *testing.T, root string, first int, paths ...string) {
	t.Helper()
	for i, p := range paths {
		img := image.NewGray(image.Rect(0, 0, 1, 1))
		img.SetGray(0, 0, color.Gray{uint8(first + i)})
		path := filepath.Join(root, filepath.FromSlash(p))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := png.Encode(f, img); err != nil {
			t.Fatal(err)
		}
	}
}

func writeText(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, cfg ImageFolderConfig) *Dataset {
	t.Helper()
	ds, err := ImageFolder(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

// names returns the names of all examples of a source.
func names(s Source) []string {
	all := make([]string, s.Len())
	for i := range all {
		all[i] = s.Name(i)
	}
	return all
}

// shades returns the first number and the label of every example.
func shades(t *testing.T, s Source) (values []float32, labels []int32) {
	t.Helper()
	batch := NewBatch(s.Fields(), 1)
	for i := range s.Len() {
		if err := s.At(i, batch, 0); err != nil {
			t.Fatal(err)
		}
		values, labels = append(values, batch[0].F32[0]), append(labels, batch[1].I32[0])
	}
	return values, labels
}

// generatorGolden is what Keras's generator yields for a folder of photos.
type generatorGolden struct {
	Filenames    []string
	Classes      []int32
	PerImageMean []float64 `json:"per_image_mean"`
	FirstBatch   struct {
		First8 []float64
	} `json:"first_batch"`
}

func readGenerator(t *testing.T) (g generatorGolden) {
	t.Helper()
	file, err := os.ReadFile("testdata/generator_test.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(file, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestOrderIsKeras(t *testing.T) {
	want := readGenerator(t)
	root := t.TempDir()
	reversed := slices.Clone(want.Filenames)
	slices.Reverse(reversed)
	writeShades(t, root, 0, reversed...)
	ds := open(t, ImageFolderConfig{ImageSpec: tiny, Root: root, Test: "."})
	_, labels := shades(t, ds.Test)
	if diff := cmp.Diff(want.Filenames, names(ds.Test)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want.Classes, labels); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"cats", "dogs"}, ds.Labels); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"test: cats 20, dogs 20"}, ds.Notes); diff != "" {
		t.Error(diff)
	}
}

func TestPhotosAreKerasGenerators(t *testing.T) {
	want := readGenerator(t)
	ds := open(t, ImageFolderConfig{ImageSpec: ImageSpec{Height: 150, Width: 150, Channels: 3}, Root: "testdata", Test: "photos"})
	batch := NewBatch(ds.Test.Fields(), 1)
	if got := batch[0].String() + " " + batch[1].String(); got != "f32[1, 150, 150, 3] i32[1]" {
		t.Errorf("a batch is %s", got)
	}
	for i := range ds.Test.Len() {
		name := ds.Test.Name(i)
		k := slices.Index(want.Filenames, name)
		if err := ds.Test.At(i, batch, 0); err != nil {
			t.Fatal(err)
		}
		mean := 0.0
		for _, v := range batch[0].F32 {
			mean += float64(v) / 255 / float64(batch[0].Len())
		}
		// The roundings of two decoders cancel out over 67,500 numbers.
		if math.Abs(mean-want.PerImageMean[k]) > 1e-4 || batch[1].I32[0] != want.Classes[k] {
			t.Errorf("%s: mean %.5f, label %d, want %.5f, %d", name, mean, batch[1].I32[0], want.PerImageMean[k], want.Classes[k])
		}
		if k == 0 {
			for j, v := range want.FirstBatch.First8 {
				if math.Abs(v*255-float64(batch[0].F32[j])) > 3 {
					t.Errorf("number %d of %s is %v, want %v", j, name, batch[0].F32[j], v*255)
				}
			}
		}
	}
}

func TestFoldersBelowAreKerasOrder(t *testing.T) {
	root := t.TempDir()
	writeShades(t, root, 10, "train/a/z.png", "train/a/b/y.png", "train/a/a-b/x.PNG", "train/a/b/c/w.jpeg", "train/a/no-extension",
		"train/a/a-b/q/v.png",
		"train/b/1.png", "train/.hidden/1.png", "train/b/.2.png")
	writeText(t, filepath.Join(root, "train/b/notes.txt"), "BMP is a format")
	writeText(t, filepath.Join(root, "train/README"), "x")
	ds := open(t, ImageFolderConfig{ImageSpec: tiny, Root: root, Train: "train"})
	want := []string{"a/no-extension", "a/z.png", "a/a-b/x.PNG", "a/a-b/q/v.png", "a/b/y.png", "a/b/c/w.jpeg", "b/1.png"}
	if diff := cmp.Diff(want, names(ds.Train)); diff != "" {
		t.Error(diff)
	}
	notes := []string{
		"training: a 6, b 1",
		filepath.Join(root, "train") + ": 2 files are not JPEG, PNG, GIF or BMP and ignored",
	}
	if diff := cmp.Diff(notes, ds.Notes); diff != "" {
		t.Error(diff)
	}
	values, labels := shades(t, ds.Train)
	if diff := cmp.Diff([]float32{14, 10, 12, 15, 11, 13, 16}, values); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int32{0, 0, 0, 0, 0, 0, 1}, labels); diff != "" {
		t.Error(diff)
	}
}

func TestListedClassesGiveTheIDs(t *testing.T) {
	root := t.TempDir()
	writeShades(t, root, 0, "a/1.png", "b/1.png", "c/1.png")
	ds := open(t, ImageFolderConfig{ImageSpec: tiny, Train: root, Classes: []string{"c", "a"}})
	values, labels := shades(t, ds.Train)
	if diff := cmp.Diff([]float32{2, 0}, values); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int32{0, 1}, labels); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"training: c 1, a 1", root + ": 1 folder is not among the listed classes and ignored"}, ds.Notes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"c", "a"}, ds.Train.Fields()[1].Labels); diff != "" {
		t.Error(diff)
	}
}

func TestSplitIsStratifiedAndSeeded(t *testing.T) {
	root := t.TempDir()
	var paths []string
	for i := range 30 {
		paths = append(paths, fmt.Sprintf("cats/%02d.png", i))
	}
	for i := range 11 {
		paths = append(paths, fmt.Sprintf("dogs/%02d.png", i))
	}
	writeShades(t, root, 0, paths...)
	cfg := ImageFolderConfig{ImageSpec: tiny, Path: root, Division: Division{Fractions: [3]float64{0.8, 0.1, 0.1}, Seed: 1}}
	ds := open(t, cfg)
	if diff := cmp.Diff([]string{"cats 30, dogs 11: 33 training, 4 validation, 4 test (split by seed 1)"}, ds.Notes); diff != "" {
		t.Error(diff)
	}
	var all []string
	for _, s := range []Source{ds.Train, ds.Validation, ds.Test} {
		own := names(s)
		if !slices.IsSorted(own) {
			t.Errorf("not in order: %v", own)
		}
		if !strings.HasPrefix(own[len(own)-1], "dogs") || !strings.HasPrefix(own[0], "cats") {
			t.Errorf("a class is missing: %v", own)
		}
		all = append(all, own...)
	}
	slices.Sort(all)
	if diff := cmp.Diff(paths, all); diff != "" {
		t.Errorf("not every example is in one split: %s", diff)
	}
	again := open(t, cfg)
	if diff := cmp.Diff(names(ds.Test), names(again.Test)); diff != "" {
		t.Errorf("the same seed splits otherwise: %s", diff)
	}
	cfg.Seed = 2
	if other := open(t, cfg); slices.Equal(names(other.Train), names(ds.Train)) {
		t.Error("another seed gives the same split")
	}
	cfg.Fractions = [3]float64{0.7, 0, 0.3}
	if ds := open(t, cfg); ds.Validation != nil || ds.Train.Len() != 29 || ds.Test.Len() != 12 {
		t.Errorf("0.7, 0, 0.3 gives %v", ds.Notes)
	}
	cfg.Division = Division{Fractions: [3]float64{1}, Folds: 4}
	var tests []string
	for cfg.Fold = 1; cfg.Fold <= cfg.Folds; cfg.Fold++ {
		tests = append(tests, names(open(t, cfg).Test)...)
	}
	slices.Sort(tests)
	if diff := cmp.Diff(paths, tests); diff != "" {
		t.Errorf("not every example is in one fold: %s", diff)
	}
}

func TestLayoutErrors(t *testing.T) {
	root := t.TempDir()
	writeShades(t, root, 0, "train/cats/1.png", "train/dogs/1.png", "other/cat/1.png", "other/dog/1.png", "flat/1.png", "flat/2.png", "one/a/1.png")
	for _, d := range []string{"empty", "void/cats", "text/cats"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	writeText(t, filepath.Join(root, "text/cats/a.txt"), "x")
	writeText(t, filepath.Join(root, "file"), "x")
	expected := func(dir string) string {
		return fmt.Sprintf("expected one folder of images per class, such as ROOT/%s/cats/1.jpg and ROOT/%s/dogs/1.jpg", dir, dir)
	}
	for _, c := range []struct {
		name string
		cfg  ImageFolderConfig
		want string
	}{
		{"missing", ImageFolderConfig{Train: "no"}, "training images: there is no folder ROOT/no; " + expected("no")},
		{"file", ImageFolderConfig{Train: "file"}, "training images: cannot read the folder ROOT/file"},
		{"flat", ImageFolderConfig{Path: "flat", Division: Division{Fractions: [3]float64{1}}}, "ROOT/flat holds 2 images but no class folders; " + expected("flat")},
		{"empty", ImageFolderConfig{Test: "empty"}, "test images: ROOT/empty holds no class folders; " + expected("empty")},
		{"empty class", ImageFolderConfig{Test: "void"}, "test images: the class folder ROOT/void/cats holds no images; " + expected("void")},
		{"no images", ImageFolderConfig{Test: "text"}, "test images: the class folder ROOT/text/cats holds no images (1 file is not JPEG, PNG, GIF or BMP); " + expected("text")},
		{"classes differ", ImageFolderConfig{Train: "train", Validation: "other"}, "the splits have different classes: ROOT/train has cats, dogs, ROOT/other has cat, dog"},
		{"class not there", ImageFolderConfig{Train: "train", Classes: []string{"cats", "birds"}}, `training images: ROOT/train has no class folder "birds"; it has cats, dogs`},
		{"class twice", ImageFolderConfig{Train: "train", Classes: []string{"cats", "cats"}}, `class "cats" is listed twice`},
		{"class outside", ImageFolderConfig{Train: "train", Classes: []string{"../other"}}, `class "../other" is not the name of a folder`},
		{"nothing", ImageFolderConfig{}, "no folder of images is given: name a training folder, or one folder to be split"},
		{"both", ImageFolderConfig{Path: "one", Train: "train"}, "both one folder to be split (one) and separate folders are given: use one or the other"},
		{"fractions", ImageFolderConfig{Path: "one", Division: Division{Fractions: [3]float64{0.5, 0.2, 0.2}}}, "the fractions [0.5 0.2 0.2] (training, validation, test) add up to 0.9, not to 1"},
		{"negative", ImageFolderConfig{Path: "one", Division: Division{Fractions: [3]float64{1.5, -0.5, 0}}}, "a fraction of 1.5 for training: it must lie between 0 and 1"},
		{"too few", ImageFolderConfig{Path: "one", Division: Division{Fractions: [3]float64{0.8, 0.2, 0}}}, "ROOT/one: a 1, too few to give validation a fraction of 0.2"},
		{"resize", ImageFolderConfig{ImageSpec: ImageSpec{Height: 1, Width: 1, Channels: 1, Resize: "cubic"}}, `resize "cubic": it is "nearest" or "bilinear"`},
		{"orientation", ImageFolderConfig{ImageSpec: ImageSpec{Height: 1, Width: 1, Channels: 1, Orientation: "x"}}, `orientation "x": it is "exif" or "keep"`},
		{"channels", ImageFolderConfig{ImageSpec: ImageSpec{Height: 1, Width: 1, Channels: 4}}, "4 channels: an image has 3 (RGB) or 1 (gray)"},
		{"size", ImageFolderConfig{ImageSpec: ImageSpec{Width: 1, Channels: 1}}, "image size 0 × 1: each side must be between 1 and 16384"},
		{"on corrupt", ImageFolderConfig{Train: "train", OnCorrupt: "x"}, `on_corrupt "x": it is "skip" or "fail"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.cfg.Root = root
			if c.cfg.ImageSpec == (ImageSpec{}) {
				c.cfg.ImageSpec = tiny
			}
			_, err := ImageFolder(c.cfg)
			if err == nil {
				t.Fatal("no error")
			}
			got := strings.ReplaceAll(err.Error(), root, "ROOT")
			if c.name == "file" { // what comes next is the operating system's
				got = got[:min(len(got), len(c.want))]
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// brokenFolder has four good images of classes a and b, one image in each that breaks when decoded, and one that is none.
func brokenFolder(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	writeShades(t, root, 1, "a/1.png", "a/2.png", "a/3.png", "b/4.png", "b/5.png", "b/6.png")
	for _, p := range []string{"a/2.png", "b/6.png"} {
		if err := os.Truncate(filepath.Join(root, p), 50); err != nil {
			t.Fatal(err)
		}
	}
	writeText(t, filepath.Join(root, "a/0.jpg"), "")
	return root
}

func TestBrokenFilesAreSkipped(t *testing.T) {
	ds := open(t, ImageFolderConfig{ImageSpec: tiny, Train: brokenFolder(t)})
	for range 2 {
		values, labels := shades(t, ds.Train)
		// The next good one stands in, and the first one for the last one.
		if diff := cmp.Diff([]float32{1, 3, 3, 4, 5, 1}, values); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]int32{0, 0, 0, 1, 1, 0}, labels); diff != "" {
			t.Error(diff)
		}
		want := []string{"a/0.jpg: the file is empty", "a/2.png: the PNG file is truncated", "b/6.png: the PNG file is truncated"}
		if diff := cmp.Diff(want, ds.Train.(SkipReporter).Skipped()); diff != "" {
			t.Error(diff)
		}
	}
}

func TestBrokenFilesAreFatal(t *testing.T) {
	root := brokenFolder(t)
	cfg := ImageFolderConfig{ImageSpec: tiny, Train: root, OnCorrupt: Fail}
	if _, err := ImageFolder(cfg); err == nil || err.Error() != "broken image a/0.jpg: the file is empty" {
		t.Errorf("%v", err)
	}
	if err := os.Remove(filepath.Join(root, "a/0.jpg")); err != nil {
		t.Fatal(err)
	}
	ds := open(t, cfg)
	err := ds.Train.At(1, NewBatch(ds.Train.Fields(), 1), 0)
	if want := "broken image " + filepath.Join(root, "a/2.png") + ": the PNG file is truncated"; err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}

func TestNoImageCanBeRead(t *testing.T) {
	root := t.TempDir()
	writeText(t, filepath.Join(root, "x"), "")
	writeShades(t, root, 0, "a/1.png", "a/2.png")
	for _, p := range []string{"a/1.png", "a/2.png"} {
		if err := os.Truncate(filepath.Join(root, p), 50); err != nil {
			t.Fatal(err)
		}
	}
	ds := open(t, ImageFolderConfig{ImageSpec: tiny, Train: root})
	err := ds.Train.At(1, NewBatch(ds.Train.Fields(), 1), 0)
	if want := root + ": none of 2 images can be read; the first is a/1.png: the PNG file is truncated"; err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}

func TestLinksAreFollowedOnce(t *testing.T) {
	root, elsewhere := t.TempDir(), t.TempDir()
	writeShades(t, elsewhere, 0, "cats/1.png")
	writeShades(t, root, 5, "dogs/2.png")
	for link, to := range map[string]string{
		"cats": filepath.Join(elsewhere, "cats"), "dogs/loop": filepath.Join(root, "dogs"), "dogs/3.png": filepath.Join(elsewhere, "cats/1.png"),
	} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Skip("no symbolic links here:", err)
		}
	}
	ds := open(t, ImageFolderConfig{ImageSpec: tiny, Train: root})
	if diff := cmp.Diff([]string{"cats/1.png", "dogs/2.png", "dogs/3.png"}, names(ds.Train)); diff != "" {
		t.Error(diff)
	}
}

func TestCacheSparesDecoding(t *testing.T) {
	for _, c := range []struct {
		bytes int64
		want  []float32
	}{
		{0, []float32{1, 2, 3}}, // the default: all are kept
		{2, []float32{1, 2}},    // two pixels' worth: the third file is missed
		{-1, nil},               // none
	} {
		root := t.TempDir()
		writeShades(t, root, 1, "a/1.png", "a/2.png", "a/3.png")
		ds := open(t, ImageFolderConfig{ImageSpec: tiny, Train: root, CacheBytes: c.bytes})
		shades(t, ds.Train)
		if err := os.RemoveAll(filepath.Join(root, "a")); err != nil {
			t.Fatal(err)
		}
		batch := NewBatch(ds.Train.Fields(), 1)
		for i := range 3 {
			err := ds.Train.At(i, batch, 0)
			switch {
			case i < len(c.want):
				if err != nil || batch[0].F32[0] != c.want[i] {
					t.Errorf("cache of %d bytes: image %d is %v, %v", c.bytes, i+1, batch[0].F32, err)
				}
			case !errors.Is(err, errVanished):
				t.Errorf("cache of %d bytes: a file that is gone is passed over: %v", c.bytes, err)
			}
		}
	}
}

func TestLoadImage(t *testing.T) {
	for _, channels := range []int{1, 3} {
		img, err := LoadImage("testdata/images/gray.png", ImageSpec{Height: 40, Width: 40, Channels: channels})
		if err != nil {
			t.Fatal(err)
		}
		want := readGoldens(t)["gray.png.40_nearest"].pix
		for i, v := range img.F32 {
			if v != float32(want[i*3/channels]) {
				t.Fatalf("%d channels: number %d is %v, want %v", channels, i, v, want[i*3/channels])
			}
		}
		if diff := cmp.Diff([]int{1, 40, 40, channels}, img.Shape); diff != "" {
			t.Error(diff)
		}
	}
	if _, err := LoadImage("testdata/README.md", tiny); err == nil || err.Error() != "testdata/README.md: not a JPEG, PNG, GIF or BMP image" {
		t.Errorf("%v", err)
	}
	if _, err := LoadImage("testdata", tiny); err == nil || err.Error() != "testdata: not a regular file" {
		t.Errorf("%v", err)
	}
}

func TestOnlyGoodImagesAreMeasured(t *testing.T) {
	ds := open(t, ImageFolderConfig{ImageSpec: tiny, Train: brokenFolder(t)})
	for name, src := range map[string]Source{"folder": ds.Train, "subset": Subset(ds.Train, []int32{0, 1, 2, 3, 4, 5})} {
		// Batches of 2 from a/1, a/2 (broken), a/3, b/4, b/5, b/6 (broken); of 1, so that one is empty; and one of all.
		for batch, want := range map[int][][]int32{2: {{0}, {2, 3}, {4}}, 1: {{0}, nil, {2}, {3}, {4}, nil}, 6: {{0, 2, 3, 4}}} {
			var got [][]int32
			for _, s := range take(t, load(t, src, Options{Batch: batch, OnlyGood: true}), 10) {
				got = append(got, s.Examples)
				if len(s.Y) != len(s.Examples) || s.Shape[0] != len(s.Examples) {
					t.Errorf("%s: %d examples with the shape %v and %d labels", name, len(s.Examples), s.Shape, len(s.Y))
				}
				for row, i := range s.Examples {
					if shade := float32([]int{1, 0, 3, 4, 5}[i]); s.X[row*len(s.X)/len(s.Y)] != shade {
						t.Errorf("%s, batches of %d: example %d has not the shade %v", name, batch, i, shade)
					}
					if s.Y[row] != min(i/3, 1) {
						t.Errorf("%s, batches of %d: example %d has label %d", name, batch, i, s.Y[row])
					}
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, batches of %d: %s", name, batch, diff)
			}
		}
	}
	fatal := open(t, ImageFolderConfig{ImageSpec: tiny, Train: ds.Train.(*imageSource).root, OnCorrupt: Skip})
	fatal.Train.(*imageSource).fail = true
	if _, err := load(t, fatal.Train, Options{Batch: 6, OnlyGood: true}).Next(); err == nil || !strings.Contains(err.Error(), "broken image") {
		t.Errorf("on_corrupt: fail gives %v", err)
	}
}
