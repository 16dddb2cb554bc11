package data

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
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

func TestPixelsAreKeras(t *testing.T) {
	goldens := readGoldens(t)
	if len(goldens) != 62 {
		t.Fatalf("%d goldens, not 62", len(goldens))
	}
	for name, want := range goldens {
		path := goldenFile(name)
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		r, err := decode(file, KeepPixels, maxPixels)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		how := Nearest
		if strings.HasSuffix(name, "bilinear") {
			how = Bilinear
		}
		r = r.withChannels(3).resized(want.width, want.height, how)
		mean, most := difference(r.pix, want.pix)
		t.Log(name, mean, most)
		_ = mean
		_ = most
	}
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
