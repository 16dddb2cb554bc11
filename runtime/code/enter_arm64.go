package code

import "unsafe"

const callable = true

// enter calls the function at fn with args in the first argument register, on the stack that ends at stack.
//
//go:noescape
func enter(fn uintptr, args unsafe.Pointer, stack uintptr)

// Pause tells the processor that this is a loop that waits.
func Pause()
