package main

import (
	"os"
	"testing"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/codegen/native"
	"github.com/nnc-lang/nnc/passes"
)

// Layers of one shape share kernels: more layers are no more code, but for kernels that compute some first values together.
func TestEqualLayersShareKernels(t *testing.T) {
	if _, err := native.FindToolchain(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	var kernels []int
	for _, layers := range []int{24, 72} {
		p, err := generated(layers, 3).front()
		if err != nil {
			t.Fatal(err)
		}
		if err := passes.Run(p.Module, passes.Options{}); err != nil {
			t.Fatal(err)
		}
		made, err := native.Program(p.Module, native.Levels("amd64")[0], codegen.Fast)
		if err != nil {
			t.Fatal(err)
		}
		kernels = append(kernels, len(made.Kernels))
	}
	if kernels[1] > kernels[0]+8 {
		t.Errorf("24 layers take %d kernels, 72 take %d", kernels[0], kernels[1])
	}
}

// What is measured compiles, and takes a step.
func TestWorkloads(t *testing.T) {
	all, err := ofPeers("../peers")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range append(all, generated(10, manyShapes)) {
		p, err := w.front()
		if err != nil {
			t.Fatalf("%s: %v", w.name, err)
		}
		if f := p.Module.Func(p.Trains[0].Step); len(w.arguments(f)) != len(f.Params) {
			t.Errorf("%s: arguments are missing", w.name)
		}
	}
}
