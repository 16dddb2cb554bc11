package native

import (
	"fmt"
	"os"
	goruntime "runtime"

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

// The levels of each kind of processors, widest first. Those of x86-64 are the psABI's, so that code made here runs on every machine of the level;
// the one of arm64 is what all such processors have.
var levels = []Level{
	{"avx512", "amd64", "x86-64-v4", 16, 32},
	{"avx2", "amd64", "x86-64-v3", 8, 16},
	{"neon", "arm64", "armv8-a", 4, 32},
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
		return Level{}, fmt.Errorf("NNC_CPU=%s is not known; avx512, avx2 and neon are", name)
	}
	err := code.Callable()
	for _, l := range levels {
		if l.Arch != goruntime.GOARCH {
			continue
		}
		if err = code.Check(l.CPU); err == nil {
			return l, nil
		}
	}
	return Level{}, err // what the narrowest needs
}
