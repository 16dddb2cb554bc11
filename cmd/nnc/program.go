package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/codegen/native"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/lang"
	"github.com/nnc-lang/nnc/passes"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/access"
	"github.com/nnc-lang/nnc/runtime/command"
	"github.com/nnc-lang/nnc/runtime/data"
	"github.com/nnc-lang/nnc/runtime/term"
	"github.com/nnc-lang/nnc/runtime/train"
)

// settings give options of programs values.
type settings struct {
	Set    map[string]string `help:"Give an option of the program a value; for several, repeat it." placeholder:"NAME=VALUE" mapsep:"none"`
	Micro  command.Count     `name:"micro-batch" help:"Compute each batch in parts of at most so many examples, which needs less memory and means the same, whatever the program says." placeholder:"N"`
	Memory command.Size      `help:"Let a training step need at most so much memory in native code, such as 300MB, its parameters included: values are computed again where that saves enough. nnc summary prints what a step needs." placeholder:"SIZE"`
	Allow  []string          `help:"Let the program read and write in this folder, which is not its own; for several, repeat it, or list them in NNC_ALLOW." placeholder:"FOLDER" sep:"none"`
}

// allowed are the folders beside its own that the program may use: those of the flag and of the environment, and what is named by options.
func (s settings) allowed() []string {
	folders := append(slices.Clone(s.Allow), filepath.SplitList(os.Getenv("NNC_ALLOW"))...)
	for _, v := range s.Set {
		if filepath.IsAbs(v) {
			folders = append(folders, v)
		}
	}
	return folders
}

// source is the program file of a command and the options given to it.
type source struct {
	File string `arg:"" help:"The program, a .nn file."`
	settings
	report bool // the program is going to be evaluated
}

// dataUse says what a command wants of a program's data.
type dataUse bool

const (
	needsData dataUse = true
	// wantsData takes class names and counts from the data, and does without where the program does not depend on them.
	wantsData dataUse = false
)

// loaded is a compiled program before code is made for it.
type loaded struct {
	settings
	plan    *plan.Program
	data    map[*plan.Data]*data.Dataset
	missing []error   // data that could not be read
	notes   io.Writer // for what is worth knowing and no error
}

// load compiles a program. Its data is opened meanwhile, since class names and such are part of the program.
func (s source) load(std *command.Streams, use dataUse) (*loaded, error) {
	src, err := readSource(std, s.File)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(src.Text) == "" {
		return nil, fmt.Errorf("%s is empty", src.Name)
	}
	l := &loaded{settings: s.settings, notes: std.Err, data: map[*plan.Data]*data.Dataset{}}
	allow := s.allowed()
	schema := func(d *plan.Data) error {
		fields := d.Fields
		d.Fields = nil // what the program cannot know is not compared
		ds, err := train.OpenData(&plan.Program{File: s.File, Allow: allow}, d)
		d.Fields = fields
		switch {
		case err == nil:
			l.data[d] = ds
			d.Fields = train.FieldsOf(ds)
		case use == wantsData:
			l.missing = append(l.missing, err)
			return nil
		}
		return err
	}
	program, list := lang.Compile(src, lang.Options{
		Set: s.Set, MicroBatch: int(s.Micro), Schema: schema, Report: s.report,
		Read: func(path string) (*diag.File, error) {
			full, err := filepath.Abs(path)
			if err == nil {
				err = access.Check(&plan.Program{File: s.File, Allow: allow}, full)
			}
			if err != nil {
				return nil, err
			}
			return readSource(std, path)
		},
	})
	if list.HasErrors() && command.CodeOf(list) == command.ExitWrong {
		l.noteMissing(std, s.File) // first, as errors may follow from it
	}
	if len(list.All) > 0 {
		command.Report(*std, list)
	}
	if list.HasErrors() {
		return nil, command.ReportedError{Code: command.CodeOf(list)}
	}
	program.Allow = allow
	l.plan = program
	return l, nil
}

// noteMissing tells which data could not be read, where that is no error.
func (l *loaded) noteMissing(std *command.Streams, file string) {
	for _, err := range l.missing {
		fmt.Fprintf(std.Err, "note: %s was compiled without its data: %s\n", file, err)
	}
}

// build runs the passes and the backend; cells have their first values for the seed.
func (l *loaded) build(seed int32, e engine) (runtime.Program, error) {
	p := l.program(e, weightsType{})
	return p.Fresh(seed)
}

// program is what the commands for compiled programs need.
func (l *loaded) program(e engine, w weightsType) *command.Program {
	return &command.Program{
		Plan: l.plan,
		Make: func() (runtime.Program, error) {
			if err := l.optimize(); err != nil {
				return nil, err
			}
			w.apply(l.plan.Module)
			w.drop(l.plan)
			return e.compile(l.plan.Module, l.notes)
		},
		Words:    func(v command.Verb) []string { return []string{"nnc", verbs[v], l.plan.File} },
		Settings: l.settings.words(),
		Data:     l.data,
		Unopened: l.missing,
	}
}

// optimize runs the passes, and makes the steps of all trainings keep the limit of --memory.
//
// Errors: those of the passes; a step that needs more whatever is computed again, or one whose need is not known before it runs.
func (l *loaded) optimize() error {
	m := l.plan.Module
	if err := passes.Run(m, passes.Options{}); err != nil || l.settings.Memory == 0 {
		return err
	}
	for _, t := range l.plan.Trains {
		sizes := map[string]int{ir.Batch: t.FullBatch()}
		for due := range 1 << len(t.Every) {
			step := t.StepVariant(due)
			for _, v := range m.Func(step).Params {
				if slices.ContainsFunc(v.Type.Shape, func(d ir.Affine) bool { s, ok := d.IsSymbol(); return ok && s != ir.Batch }) {
					return command.Misuse("--memory: what a training step needs is not known before it runs, since examples have lengths of their own")
				}
			}
			least, err := passes.Recompute(m, step, int(l.settings.Memory), sizes, func() (int, error) {
				need, err := native.Memory(m, step, sizes)
				return need.Total(), err
			})
			if err != nil {
				return command.Misuse("--memory: what a training step needs is not known: %w", err)
			}
			if least > int(l.settings.Memory) {
				return command.Misuse("--memory: a training step needs %s at least, with all computed again that can be; with --micro-batch or a smaller batch it needs less", term.Bytes(int64(least)))
			}
		}
	}
	return nil
}

var verbs = map[command.Verb]string{command.VerbTrain: "run", command.VerbEval: "eval", command.VerbPredict: "predict", command.VerbTest: "test"}

// words are the settings as they are typed.
func (s settings) words() []string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(s.Set)) {
		words = append(words, "--set", name+"="+s.Set[name])
	}
	if s.Micro > 0 {
		words = append(words, "--micro-batch", fmt.Sprint(int(s.Micro)))
	}
	if s.Memory > 0 {
		words = append(words, "--memory", fmt.Sprint(int(s.Memory), "B"))
	}
	for _, folder := range s.Allow {
		words = append(words, "--allow", folder)
	}
	return words
}
