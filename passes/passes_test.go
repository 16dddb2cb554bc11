package passes

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nnc-lang/nnc/ir"
)

func TestPipelineKeepsConstraints(t *testing.T) {
	for _, c := range constraints {
		first := slices.Index(pipeline, c.before)
		last := -1
		for i, name := range pipeline {
			if name == c.after {
				last = i
			}
		}
		if first < 0 || last < 0 || first > last {
			t.Errorf("%s must come before %s, because %s", c.before, c.after, c.because)
		}
	}
	for _, p := range table {
		if !slices.Contains(pipeline, p.Name) {
			t.Errorf("pass %s never runs", p.Name)
		}
	}
	for _, name := range pipeline {
		if _, err := named(name); err != nil {
			t.Error(err)
		}
	}
}

func TestOptions(t *testing.T) {
	var ran []string
	observe := func(pass string, _ *ir.Module, elapsed time.Duration) {
		ran = append(ran, pass)
		if elapsed < 0 {
			t.Errorf("%s took %v", pass, elapsed)
		}
	}
	tests := []struct {
		name string
		opts Options
		want []string
		err  string
	}{
		{"all", Options{}, Pipeline(), ""},
		{"disabled", Options{Disable: []string{"simplify", "gather"}}, []string{"inline", "shapes", "logs", "cse", "unroll", "hoist", "lift", "onehot", "grad", "dce", "sink", "cse", "dce", "split"}, ""},
		{"only", Options{Only: []string{"dce", "cse", "dce"}}, []string{"dce", "cse", "dce"}, ""},
		{"none", Options{Only: []string{}}, nil, ""},
		{"required", Options{Disable: []string{"grad"}}, nil, "pass grad cannot be disabled"},
		{"unknown", Options{Only: []string{"fuze"}}, nil, `"fuze" is no pass; the passes are inline, `},
		{"unknown disabled", Options{Disable: []string{"fuze"}}, nil, `"fuze" is no pass`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ran = nil
			test.opts.Observe = observe
			err := Run(ir.NewModule(), test.opts)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("error %v, want %s", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, ran); diff != "" {
				t.Error(diff)
			}
		})
	}
}
