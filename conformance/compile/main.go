// Command compile measures how long compiling takes: of the networks of conformance/peers and of generated ones of many layers, cold, with no
// object file in the cache, and warm, with all.
//
//	go run ./conformance/compile                       # all
//	go run ./conformance/compile -only catdog
//	go run ./conformance/compile -layers 1000          # one generated network
//	go run ./conformance/compile -layers 1000 -profile cpu.out
//	go run ./conformance/compile -rounds 100           # a step of so many updates
//
// Times are milliseconds: of the front end, of the passes, of machine code, and of the first training step, which lays memory out for its batch.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/codegen/native"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang"
	"github.com/nnc-lang/nnc/passes"
	"github.com/nnc-lang/nnc/runtime/train"
)

func main() {
	layers := flag.Int("layers", 0, "measure a generated network of so many layers only")
	rounds := flag.Int("rounds", 0, "measure a small network that each step updates so many times only")
	only := flag.String("only", "", "measure the network of this name only")
	peers := flag.String("peers", "conformance/peers", "the folder of the networks that other frameworks have, too")
	byPass := flag.Bool("passes", false, "print what each pass takes")
	profile := flag.String("profile", "", "write a processor profile of the warm compilations to this file")
	flag.Parse()
	if err := run(*layers, *rounds, *only, *peers, *byPass, *profile); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// workload is a program whose compilation is measured, and what its data looks like.
type workload struct {
	name, text string
	batch      int
	fields     []plan.Field
}

func run(layers, rounds int, only, peers string, byPass bool, profile string) error {
	var all []workload
	switch {
	case layers > 0:
		all = append(all, generated(layers, manyShapes))
	case rounds > 0:
		all = append(all, repeated(rounds))
	default:
		named, err := ofPeers(peers)
		if err != nil {
			return err
		}
		all = append(named, generated(10, manyShapes), generated(100, manyShapes), generated(1000, manyShapes))
	}
	if only != "" {
		all = slices.DeleteFunc(all, func(w workload) bool { return w.name != only })
	}
	cache, err := os.MkdirTemp("", "nnc-compile-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(cache)
	fmt.Printf("%-12s %-5s %9s %9s %9s %9s %9s\n", "program", "cache", "front", "passes", "code", "together", "step")
	for _, w := range all {
		if err := os.Setenv("NNC_CACHE", filepath.Join(cache, w.name)); err != nil {
			return err
		}
		for _, state := range []string{"cold", "warm"} {
			stop, err := profiled(profile, state == "warm")
			if err != nil {
				return err
			}
			t, err := w.compile()
			stop()
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			fmt.Printf("%-12s %-5s %9.1f %9.1f %9.1f %9.1f %9.1f\n", w.name, state, ms(t.front), ms(t.passes), ms(t.code), ms(t.front+t.passes+t.code), ms(t.step))
			if byPass {
				for _, p := range t.byPass {
					fmt.Printf("  %-10s %9.1f\n", p.name, ms(p.elapsed))
				}
			}
		}
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d) / 1e6 }

// profiled begins a profile where one is wanted, and returns what ends it.
func profiled(path string, wanted bool) (stop func(), err error) {
	if path == "" || !wanted {
		return func() {}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close()
	}, nil
}

// times are those of one compilation.
type times struct {
	front, passes, code, step time.Duration
	byPass                    []passTime
}

type passTime struct {
	name    string
	elapsed time.Duration
}

// compile compiles a workload as `nnc run` does, for training and predictions, and makes one training step.
func (w workload) compile() (*times, error) {
	t := &times{}
	start := time.Now()
	lap := func() time.Duration {
		d := time.Since(start)
		start = time.Now()
		return d
	}
	p, err := w.front()
	if err != nil {
		return nil, err
	}
	t.front = lap()
	err = passes.Run(p.Module, passes.Options{Observe: func(name string, _ *ir.Module, d time.Duration) {
		t.byPass = append(t.byPass, passTime{name, d})
	}})
	if err != nil {
		return nil, err
	}
	t.passes = lap()
	prog, err := native.Backend{}.Compile(p.Module, codegen.Options{})
	if err != nil {
		return nil, err
	}
	t.code = lap()
	if err := train.Init(prog, p, 1); err != nil {
		return nil, err
	}
	start = time.Now()
	_, err = prog.Call(p.Trains[0].Step, w.arguments(p.Module.Func(p.Trains[0].Step))...)
	t.step = lap()
	return t, err
}

// front compiles a workload's text to IR.
func (w workload) front() (*plan.Program, error) {
	p, list := lang.Compile(diag.NewFile(w.name+".nn", w.text), lang.Options{Schema: func(d *plan.Data) error {
		d.Fields = w.fields
		return nil
	}})
	if list.HasErrors() {
		var b strings.Builder
		return nil, errors.Join(diag.Render(&b, list, false), errors.New(b.String()))
	}
	return p, nil
}

// arguments are a batch of zeros.
func (w workload) arguments(f *ir.Func) []*tensor.Tensor {
	args := make([]*tensor.Tensor, len(f.Params))
	for k, p := range f.Params {
		shape := make([]int, len(p.Type.Shape))
		for i, d := range p.Type.Shape {
			shape[i] = d.EvalDim(func(string) int { return w.batch })
		}
		args[k] = tensor.New(p.Type.DType, shape...)
	}
	return args
}

// ofPeers reads the networks that other frameworks have, too.
func ofPeers(folder string) ([]workload, error) {
	labels := make([]string, 65)
	for k := range labels {
		labels[k] = fmt.Sprintf("c%d", k)
	}
	all := []workload{
		{"catdog", "", 32, []plan.Field{{Name: "image", DType: tensor.F32, Shape: []int{150, 150, 3}}, {Name: "label", DType: tensor.I32, Labels: labels[:2]}}},
		{"mnistmlp", "", 128, []plan.Field{{Name: "image", DType: tensor.F32, Shape: []int{28, 28, 1}}, {Name: "label", DType: tensor.I32, Labels: labels[:10]}}},
		{"charlstm", "", 50, []plan.Field{{Name: "text", DType: tensor.I32, Shape: []int{50}, Labels: labels}, {Name: "next", DType: tensor.I32, Shape: []int{50}, Labels: labels}}},
		{"gptmini", "", 12, []plan.Field{{Name: "text", DType: tensor.I32, Shape: []int{64}, Labels: labels}, {Name: "next", DType: tensor.I32, Shape: []int{64}, Labels: labels}}},
	}
	for k := range all {
		text, err := os.ReadFile(filepath.Join(folder, all[k].name+".nn"))
		if err != nil {
			return nil, err
		}
		all[k].text = string(text)
	}
	return all, nil
}
