package conformance

import (
	"bytes"
	"fmt"
	"image/color"
	"image/png"
	"os"
	"strings"
	"testing"
	"time"
)

// brightening has a weight that is 0.1 greater after each epoch, and draws it in three ways: a picture of each of the four examples of the
// validation split that is grey, one that is in colour, and a parameter, which is the same for all.
const brightening = `option epochs = 2
data Dots {
    source: synthetic(train: 2, validation: 4)
    map:    { image: [i < 2, j < 3] => 0.25 * f32(i) + 0.125 * f32(j) }
    batch:  4
}
model Brighter(image: f32[2, 3]) -> f32[2, 3] {
    param w: f32[2, 3] = zeros
    image + w
}
train on Dots {
    let seen = Brighter(image)
    minimize -sum(seen) over Brighter using sgd(0.1)
    epochs:  epochs
    %s
    samples: seen, [i < 2, j < 3, c < 3] => where(c == 1, 2, seen[i, j] - 0.5), Brighter.w to "dots.png"
}
`

// Pictures stand beside each other in a grid, enlarged, black at 0 and white at 1; the file has those of the last epoch, or of the kept one.
func TestSamples(t *testing.T) {
	for _, c := range []struct {
		settings string
		added    float64
	}{{"", 0.2}, {"keep: highest val_loss", 0.1}, {"average: ema(0.5)", 0.15}} {
		for _, b := range backends {
			t.Run(c.settings+"/"+b.Name(), func(t *testing.T) {
				folder := smallFolder(t, fmt.Sprintf(brightening, c.settings))
				run(t, folder, "run", "small.nn", "--backend", b.Name(), "--no-save")
				im, err := png.Decode(bytes.NewReader(read(t, folder, "dots.png")))
				if err != nil {
					t.Fatal(err)
				}
				const factor, gap = 32, 2 // 2 pixels become 64
				wide, high := 3*factor+gap, 2*factor+gap
				// Of 4 examples with 3 pictures each, the grid nearest to a square has one beneath the other.
				if size := im.Bounds().Size(); size.X != 3*wide+gap || size.Y != 4*high+gap {
					t.Fatalf("the grid is %d × %d", size.X, size.Y)
				}
				level := func(v float64) uint8 { return uint8(min(max(v, 0), 1)*255 + 0.5) }
				for example := range 4 {
					for picture := range 3 {
						for pixel := range 6 {
							v := 0.25*float64(pixel/3) + 0.125*float64(pixel%3) + c.added
							want := [][3]uint8{{level(v), level(v), level(v)}, {level(v - 0.5), 255, level(v - 0.5)}, {level(c.added), level(c.added), level(c.added)}}[picture]
							for _, corner := range []int{0, factor - 1} {
								x, y := gap+picture*wide+pixel%3*factor+corner, gap+example*high+pixel/3*factor+corner
								got := color.NRGBAModel.Convert(im.At(x, y)).(color.NRGBA)
								for k, g := range []uint8{got.R, got.G, got.B} {
									if d := int(g) - int(want[k]); d < -1 || d > 1 { // of single precision
										t.Fatalf("example %d, picture %d, pixel %d is %v, not %v", example, picture, pixel, got, want)
									}
								}
							}
						}
					}
				}
			})
		}
	}
}

// What is drawn at random is the same in each epoch, whether a run was interrupted or not, and on each backend.
func TestSamplesRepeat(t *testing.T) {
	program := `option epochs = 1
data Dots { source: synthetic(train: 4), map: { x: normal[2] }, batch: 2, order: "streams" }
model Net(x: f32[2]) -> f32 {
    param w: f32[2] = zeros
    sum(w * x)
}
train on Dots {
    stream seen: f32 = zeros
    seen <- seen + 1
    minimize (Net(x) - 1)^2 over Net using sgd(0.001)
    epochs:  epochs
    metrics: { seen: seen }
    samples: [i < 4, j < 4] => seen / 10 + 0.5 * uniform[]() to "noise.png"
}
`
	var first []byte
	for _, b := range backends {
		for _, epochs := range []string{"1", "3"} {
			folder := smallFolder(t, program)
			o := run(t, folder, "run", "small.nn", "--backend", b.Name(), "--set", "epochs="+epochs, "--no-save")
			if !strings.Contains(o.out, "seen: 1.5000") { // 1 in the first step of an epoch, 2 in the second: the pictures did not count
				t.Errorf("streams are not as they were: %s", o.out)
			}
			got := read(t, folder, "noise.png")
			if first == nil {
				first = got
			}
			if !bytes.Equal(got, first) {
				t.Errorf("%s: the pictures after %s epochs are others", b.Name(), epochs)
			}
		}
	}
	whole := smallFolder(t, fmt.Sprintf(brightening, ""))
	run(t, whole, "run", "small.nn", "--set", "epochs=300")
	folder := smallFolder(t, fmt.Sprintf(brightening, ""))
	if o := stopAfter(t, command(t, folder, "run", "small.nn", "--set", "epochs=300"), 3, time.Millisecond, os.Interrupt); o.code != 1 {
		t.Fatalf("exit code %d: %s", o.code, o.err)
	}
	run(t, folder, "run", "small.nn", "--set", "epochs=300", "--resume")
	if !bytes.Equal(read(t, folder, "dots.png"), read(t, whole, "dots.png")) {
		t.Error("the pictures of a run that was interrupted differ")
	}
}
