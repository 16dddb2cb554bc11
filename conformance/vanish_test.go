package conformance

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang"
	"github.com/nnc-lang/nnc/runtime/data"
	"github.com/nnc-lang/nnc/runtime/train"
)

// Pictures that go away during a training, of which nothing is kept in memory, end it with an error that names one of them and says how to go
// on; when they are back the run goes on from its checkpoint, and ends with the parameters of a run that nothing happened to.
func TestVanishedData(t *testing.T) {
	for _, b := range backends {
		t.Run(b.Name(), func(t *testing.T) {
			folder := smallFolder(t, smallProgram)
			file := filepath.Join(folder, "small.nn")
			pictures, away := filepath.Join(folder, "data", "train", "dark"), filepath.Join(folder, "away")
			// run trains, takes the pictures away after an epoch if that is not 0, and returns the parameters.
			run := func(resume bool, vanish int) ([]byte, error) {
				c, err := build(diag.NewFile(file, smallProgram), lang.Options{Set: map[string]string{"epochs": "6"}, Schema: fields(
					plan.Field{Name: "image", DType: tensor.F32, Shape: []int{6, 6, 3}},
					plan.Field{Name: "label", DType: tensor.I32, Labels: []string{"dark", "light"}},
				)}, setting{backend: b, precision: tensor.F32})
				if err != nil {
					t.Fatal(err)
				}
				c.init(t, 1)
				ds, err := data.ImageFolder(data.ImageFolderConfig{
					ImageSpec: data.ImageSpec{Height: 6, Width: 6, Channels: 3}, Root: folder, Train: "data/train", Validation: "data/validation", CacheBytes: -1,
				})
				if err != nil {
					t.Fatal(err)
				}
				_, err = train.Run(context.Background(), c, c.plan, c.plan.Trains[0], train.Options{
					Seed: 1, Data: ds, Resume: resume, NoSave: true, CheckpointSteps: 1, KeepCheckpoint: vanish > 0,
					Epoch: func(h []map[string]float64) {
						if len(h) == vanish {
							if err := os.Rename(pictures, away); err != nil {
								t.Error(err)
							}
						}
					},
				})
				var bits bytes.Buffer
				for _, cell := range c.Module().Cells {
					bits.WriteString(c.cell(t, cell.Name).String())
				}
				return bits.Bytes(), err
			}
			want, err := run(false, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err = run(false, 3); err == nil {
				t.Fatal("the run ended well without its pictures")
			}
			if text := err.Error(); !strings.Contains(text, pictures) || !strings.Contains(text, "--resume") {
				t.Errorf("the error is %q", text)
			}
			if err := os.Rename(away, pictures); err != nil {
				t.Fatal(err)
			}
			got, err := run(true, 0)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Error("the parameters are not those of a run that nothing happened to")
			}
		})
	}
}
