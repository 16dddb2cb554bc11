package code

import (
	"fmt"
	"runtime"

	"github.com/klauspost/cpuid/v2"
)

// needs is what each level of x86-64 has beyond the one before it, of which code makes use.
var needs = map[string]struct {
	level int
	what  string
}{
	"x86-64-v3": {3, "AVX2 and FMA"},
	"x86-64-v4": {4, "AVX-512"},
}

// Check says whether this processor can run code for a level of processors, by LLVM's name.
//
// Errors: a level that this processor does not have; the text names what it lacks.
func Check(level string) error {
	if level == "armv8-a" {
		if runtime.GOARCH != "arm64" {
			return fmt.Errorf("the machine code is for arm64, and this is %s", runtime.GOARCH)
		}
		return nil // all of them have what it uses
	}
	n, ok := needs[level]
	if !ok {
		return fmt.Errorf("the machine code is for %q, which is no level that is known", level)
	}
	if cpuid.CPU.X64Level() < n.level {
		return fmt.Errorf("the machine code needs a processor with %s (%s), which this one (%s) lacks", n.what, level, CPU())
	}
	return nil
}

// CPU returns this processor's name.
func CPU() string {
	if s := cpuid.CPU.BrandName; s != "" {
		return s
	}
	return "of unknown name"
}
