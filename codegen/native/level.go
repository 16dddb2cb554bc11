package native

import (
	"fmt"
	"os"

	"github.com/nnc-lang/nnc/runtime/code"
)

// Level is what code may use of a processor.
type Level struct {
	Name  string
	Arch  string // Go's name of the kind of processors
	CPU   string // LLVM's name
	Lanes int    // f32 lanes of a vector
	Regs  int    // vector registers
}

// The levels of x86-64, widest first. They are those of the psABI, so that code made here runs on every machine of the level.
var levels = []Level{
	{"avx512", "amd64", "x86-64-v4", 16, 32},
	{"avx2", "amd64", "x86-64-v3", 8, 16},
}

// Levels returns the levels of a kind of processors that code can be made for, widest first, by LLVM's names.
func Levels(arch string) []string {
	var names []string
	for _, l := range levels {
		if l.Arch == arch {
			names = append(names, l.CPU)
		}
	}
	return names
}

// DetectLevel returns the widest level that this processor has. The environment variable NNC_CPU chooses a narrower one.
//
// Errors: a processor without AVX2, an NNC_CPU that is unknown or that the processor lacks.
func DetectLevel() (Level, error) {
	if name := os.Getenv("NNC_CPU"); name != "" {
		for _, l := range levels {
			if l.Name != name {
				continue
			}
			if err := code.Check(l.CPU); err != nil {
				return Level{}, fmt.Errorf("NNC_CPU=%s: %w", name, err)
			}
			return l, nil
		}
		return Level{}, fmt.Errorf("NNC_CPU=%s is not known; avx512 and avx2 are", name)
	}
	var err error
	for _, l := range levels {
		if err = code.Check(l.CPU); err == nil {
			return l, nil
		}
	}
	return Level{}, err // what the narrowest needs
}
