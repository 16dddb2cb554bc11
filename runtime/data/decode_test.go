package data

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// golden is one entry of testdata/images/decoded.safetensors: what Keras's load_img made of a file.
type golden struct {
	height, width int
	pix           []byte
}

func readGoldens(t *testing.T) map[string]golden {
	t.Helper()
	file, err := os.ReadFile("testdata/images/decoded.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	n := 8 + binary.LittleEndian.Uint64(file)
	var entries map[string]struct {
		Shape   []int
		Offsets [2]int `json:"data_offsets"`
	}
	if err := json.Unmarshal(file[8:n], &entries); err != nil {
		t.Fatal(err)
	}
	goldens := map[string]golden{}
	for name, e := range entries {
		goldens[name] = golden{e.Shape[0], e.Shape[1], file[n:][e.Offsets[0]:e.Offsets[1]]}
	}
	return goldens
}

// goldenFile returns the image file that a golden's name, such as rgb.png.native, speaks of.
func goldenFile(name string) string {
	switch {
	case strings.HasPrefix(name, "catdog.cat"):
		return "testdata/photos/cats/Abyssinian_128.jpg"
	case strings.HasPrefix(name, "catdog.dog"):
		return "testdata/photos/dogs/american_bulldog_117.jpg"
	}
	return filepath.Join("testdata/images", strings.TrimSuffix(name, filepath.Ext(name)))
}

func decodeFile(t *testing.T, path string, o Orientation) raster {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := decode(file, o, maxPixels)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return r
}

func TestPixelsAreKeras(t *testing.T) {
	goldens := readGoldens(t)
	if len(goldens) != 62 {
		t.Fatalf("%d goldens, not 62", len(goldens))
	}
	for name, want := range goldens {
		path := goldenFile(name)
		how := Nearest
		if strings.HasSuffix(name, "bilinear") {
			how = Bilinear
		}
		got := decodeFile(t, path, KeepPixels).withChannels(3)
		if strings.HasSuffix(name, "native") && (got.width != want.width || got.height != want.height) {
			t.Errorf("%s: %d × %d pixels, want %d × %d", name, got.width, got.height, want.width, want.height)
			continue
		}
		got = got.resized(want.width, want.height, how)
		// Lossless files must be equal, however they are resized. In a JPEG the inverse cosine transforms of image/jpeg
		// and of libjpeg round differently: by at most 1 in a component, so by at most 3 after mixing colours, and seldom.
		maxMean, maxMost := 0.0, 0
		if strings.HasSuffix(path, ".jpg") {
			maxMean, maxMost = 0.1, 3
		}
		if mean, most := difference(got.pix, want.pix); mean > maxMean || most > maxMost {
			t.Errorf("%s: pixels differ by %.3f in the mean and %d at most, want %.3f and %d", name, mean, most, maxMean, maxMost)
		}
	}
}

func TestEXIFTurnsPixels(t *testing.T) {
	stored := decodeFile(t, "testdata/images/exif_orientation6.jpg", KeepPixels)
	got := decodeFile(t, "testdata/images/exif_orientation6.jpg", UprightEXIF)
	if got.width != stored.height || got.height != stored.width {
		t.Fatalf("%d × %d pixels from %d × %d", got.width, got.height, stored.width, stored.height)
	}
	// 6: the camera's top is the scene's right side.
	for y := range stored.height {
		for x := range stored.width {
			a := stored.pix[(y*stored.width+x)*3:][:3]
			b := got.pix[(x*got.width+got.width-1-y)*3:][:3]
			if !bytes.Equal(a, b) {
				t.Fatalf("stored pixel (%d, %d) is %v, shown it is %v", x, y, a, b)
			}
		}
	}
}

func TestOrientations(t *testing.T) {
	// Stored as ab, cd, ef: each case is what a viewer shows.
	stored := raster{2, 3, 1, []byte("abcdef")}
	for orientation, want := range []string{
		0: "ab/cd/ef", 1: "ab/cd/ef", 2: "ba/dc/fe", 3: "fe/dc/ba", 4: "ef/cd/ab",
		5: "ace/bdf", 6: "eca/fdb", 7: "fdb/eca", 8: "bdf/ace", 9: "ab/cd/ef",
	} {
		r := stored.upright(orientation)
		var rows []string
		for y := range r.height {
			rows = append(rows, string(r.pix[y*r.width:][:r.width]))
		}
		if got := strings.Join(rows, "/"); got != want {
			t.Errorf("orientation %d: %s, want %s", orientation, got, want)
		}
	}
}

func TestOrientationIsFoundInPNG(t *testing.T) {
	var file bytes.Buffer
	if err := png.Encode(&file, image.NewGray(image.Rect(0, 0, 4, 2))); err != nil {
		t.Fatal(err)
	}
	tiff := []byte("MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x08\x00\x00")
	const afterIHDR = 8 + 25
	b := slices.Insert(file.Bytes(), afterIHDR, pngChunk("eXIf", tiff)...)
	r, err := decode(b, UprightEXIF, maxPixels)
	if err != nil {
		t.Fatal(err)
	}
	if r.width != 2 || r.height != 4 {
		t.Errorf("%d × %d pixels, want 2 × 4", r.width, r.height)
	}
}

// pngChunk returns a chunk with its checksum.
func pngChunk(kind string, contents []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(contents)))
	b = append(append(b, kind...), contents...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

func TestGrayIsPillows(t *testing.T) {
	// (299 R + 587 G + 114 B) / 1000, rounded.
	rgb := raster{4, 1, 3, []byte{255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30}}
	if diff := cmp.Diff([]byte{76, 150, 29, 18}, rgb.withChannels(1).pix); diff != "" {
		t.Error(diff)
	}
}

func TestTransparentGIFKeepsItsColours(t *testing.T) {
	// A picture of 1 × 1 at (1, 1) on a canvas of 3 × 2, whose palette's entry 1 is red and transparent.
	red, blue := color.RGBA{255, 0, 0, 255}, color.RGBA{0, 0, 255, 255}
	picture := image.NewPaletted(image.Rect(1, 1, 2, 2), color.Palette{blue, red})
	picture.Pix[0] = 0
	var file bytes.Buffer
	err := gif.EncodeAll(&file, &gif.GIF{
		Image: []*image.Paletted{picture}, Delay: []int{0},
		Config: image.Config{ColorModel: picture.Palette, Width: 3, Height: 2},
	})
	if err != nil {
		t.Fatal(err)
	}
	extension := []byte{'!', 0xf9, 4, 1, 0, 0, 1, 0}
	at := bytes.IndexByte(file.Bytes()[19:], ',') + 19
	r, err := decode(slices.Insert(file.Bytes(), at, extension...), KeepPixels, maxPixels)
	if err != nil {
		t.Fatal(err)
	}
	want := raster{3, 2, 3, slices.Repeat([]byte{255, 0, 0}, 6)}
	copy(want.pix[4*3:], []byte{0, 0, 255})
	if diff := cmp.Diff(want, r, cmp.AllowUnexported(raster{})); diff != "" {
		t.Error(diff)
	}
}

func TestBrokenFilesAreErrors(t *testing.T) {
	files, err := filepath.Glob("testdata/images/*.*")
	if err != nil || len(files) != 20 {
		t.Fatal(len(files), err)
	}
	for _, path := range files {
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f := formatOf(file)
		if f == "" {
			continue // decoded.safetensors, index.json
		}
		end := len(file)
		if f == formatGIF {
			end -= 2 // the terminator of the pixels and the trailer add nothing to the picture
		}
		for cut := 0; cut < end; cut += 1 + end/97 {
			if _, err := decode(file[:cut], KeepPixels, maxPixels); err == nil {
				t.Errorf("%s cut to %d of %d bytes decodes", path, cut, len(file))
			}
		}
		if f != formatJPEG {
			continue
		}
		for _, cut := range []int{end - 2, end - 1} {
			if _, err := decode(file[:cut], KeepPixels, maxPixels); err == nil {
				t.Errorf("%s without its end marker decodes", path)
			}
		}
		// As left by a program that closes a download that broke off.
		half := append(slices.Clone(file[:end*3/4]), 0xff, 0xd9)
		if _, err := decode(half, KeepPixels, maxPixels); err == nil {
			t.Errorf("%s cut in the middle, with an end marker, decodes", path)
		}
	}
}

func TestImplausibleSizesAreRefused(t *testing.T) {
	read := func(name string) []byte {
		file, err := os.ReadFile("testdata/images/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	pngFile := read("rgb.png")
	binary.BigEndian.PutUint32(pngFile[16:], 9000)
	binary.BigEndian.PutUint32(pngFile[20:], 9000)
	binary.BigEndian.PutUint32(pngFile[29:], crc32.ChecksumIEEE(pngFile[12:29]))
	jpegFile := read("q95_444.jpg")
	frame := bytes.Index(jpegFile, []byte{0xff, 0xc0})
	binary.BigEndian.PutUint16(jpegFile[frame+5:], 65000)
	binary.BigEndian.PutUint16(jpegFile[frame+7:], 65000)
	gifFile := read("pal.gif")
	binary.LittleEndian.PutUint16(gifFile[6:], 9001)
	binary.LittleEndian.PutUint16(gifFile[8:], 9001)
	bmpFile := read("rgb.bmp")
	binary.LittleEndian.PutUint32(bmpFile[18:], 5000)
	binary.LittleEndian.PutUint32(bmpFile[22:], 5000)
	for _, c := range []struct {
		name, want string
		file       []byte
		limit      int64
	}{
		{"png", "the PNG header says 9000 × 9000 pixels, more than a file of 5007 bytes can hold", pngFile, maxPixels},
		{"jpeg", "the JPEG header says 65000 × 65000 pixels; more than 100000000 in all are refused", jpegFile, maxPixels},
		{"gif", "the GIF header says 9001 × 9001 pixels, more than a file of 2058 bytes can hold", gifFile, maxPixels},
		{"bmp", "the BMP header says 5000 × 5000 pixels, more than a file of 8702 bytes can hold", bmpFile, maxPixels},
		{"limit", "the PNG header says 61 × 47 pixels; more than 1000 in all are refused", read("rgb.png"), 1000},
	} {
		_, err := decode(c.file, KeepPixels, c.limit)
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: %v\nwant %s", c.name, err, c.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/images/*.[jpgb][pnim][gpf]")
	if err != nil || len(files) == 0 {
		f.Fatal(err)
	}
	for _, path := range files {
		file, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file)
	}
	const limit = 1 << 16
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := decode(file, UprightEXIF, limit)
		if err != nil {
			return
		}
		if r.width*r.height > limit || len(r.pix) != r.width*r.height*r.channels {
			t.Errorf("%d × %d × %d pixels in %d bytes", r.width, r.height, r.channels, len(r.pix))
		}
		for _, how := range []Resize{Nearest, Bilinear} {
			if s := r.withChannels(3).resized(7, 5, how); len(s.pix) != 7*5*3 {
				t.Errorf("%s: %d bytes", how, len(s.pix))
			}
		}
	})
}

// difference returns the mean and the greatest absolute difference.
func difference(a, b []byte) (mean float64, most int) {
	sum := 0
	for i := range b {
		d := int(a[i]) - int(b[i])
		d = max(d, -d)
		sum += d
		most = max(most, d)
	}
	return float64(sum) / float64(len(b)), most
}
