package data

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image/color"
	"slices"
	"strings"
	"testing"
)

// bmpFile is a file of two rows of three pixels: red, green, blue, and below them blue, red, green, of so many bits each.
func bmpFile(bits, infoSize, gap int, topDown bool) []byte {
	colours := []color.NRGBA{{0xff, 0, 0, 0xff}, {0, 0xff, 0, 0xff}, {0, 0, 0xff, 0xff}}
	rows := [][]int{{2, 0, 1}, {0, 1, 2}}
	height := 2
	if topDown {
		slices.Reverse(rows)
		height = -2
	}
	var palette, pixels []byte
	if bits <= 8 {
		for _, c := range colours {
			palette = append(palette, c.B, c.G, c.R, 0)
		}
	}
	for _, row := range rows {
		var out []byte
		for x, id := range row {
			c := colours[id]
			switch {
			case bits == 24:
				out = append(out, c.B, c.G, c.R)
			case bits == 32:
				out = append(out, c.B, c.G, c.R, 0xff)
			default:
				if x*bits%8 == 0 {
					out = append(out, 0)
				}
				out[len(out)-1] |= byte(id) << (8 - bits - x*bits%8)
			}
		}
		pixels = append(pixels, append(out, make([]byte, (4-len(out)%4)%4)...)...)
	}
	le := binary.LittleEndian
	file := append([]byte("BM"), make([]byte, 12)...)
	le.PutUint32(file[10:], uint32(14+infoSize+len(palette)+gap))
	info := make([]byte, infoSize)
	le.PutUint32(info, uint32(infoSize))
	le.PutUint32(info[4:], 3)
	le.PutUint32(info[8:], uint32(int32(height)))
	le.PutUint16(info[12:], 1)
	le.PutUint16(info[14:], uint16(bits))
	le.PutUint32(info[32:], uint32(len(palette)/4))
	return slices.Concat(file, info, palette, make([]byte, gap), pixels)
}

func TestBMP(t *testing.T) {
	want := []byte{0xff, 0, 0, 0, 0xff, 0, 0, 0, 0xff, 0, 0, 0xff, 0xff, 0, 0, 0, 0xff, 0}
	for _, bits := range []int{2, 4, 8, 24, 32} {
		for _, info := range []int{bmpInfo, bmpInfoV4, bmpInfoV5} {
			for _, topDown := range []bool{false, true} {
				for _, gap := range []int{0, 6} {
					file := bmpFile(bits, info, gap, topDown)
					name := fmt.Sprintf("%d bits, header of %d, %d bytes before the pixels, top down %v", bits, info, gap, topDown)
					r, err := decode(file, KeepPixels, maxPixels)
					if err != nil {
						t.Errorf("%s: %v", name, err)
						continue
					}
					if !bytes.Equal(r.pix, want) {
						t.Errorf("%s: pixels %v", name, r.pix)
					}
					for n := range file {
						if _, err := decode(file[:n], KeepPixels, maxPixels); err == nil {
							t.Errorf("%s: no error after %d of %d bytes", name, n, len(file))
						}
					}
				}
			}
		}
	}
}

func TestBMPErrors(t *testing.T) {
	for _, c := range []struct {
		name, want string
		at         int
		value      uint32
		bits       int
	}{
		{"compressed", "of a kind that is not read", 14 + 16, 1, 24},
		{"16 bits", "of a kind that is not read", 14 + 12, 1 | 16<<16, 24},
		{"colours", "says 5 colours for pixels of 2 bits", 14 + 32, 5, 2},
		{"missing colour", "has colour 2 of 2", 14 + 32, 2, 4},
		{"offset", "begin within its header", 10, 20, 24},
		{"no width", "says 0 × 2 pixels", 14 + 4, 0, 24},
		{"negative width", "says -3 × 2 pixels", 14 + 4, 0xfffffffd, 24},
	} {
		file := bmpFile(c.bits, bmpInfo, 0, false)
		binary.LittleEndian.PutUint32(file[c.at:], c.value)
		if _, err := decode(file, KeepPixels, maxPixels); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
