//go:build !amd64 && !arm64

package code

import "unsafe"

const callable = false

func enter(uintptr, unsafe.Pointer, uintptr) {
	panic("BUG: native code on a processor without a trampoline")
}

// Pause tells the processor that this is a loop that waits.
func Pause() {}
