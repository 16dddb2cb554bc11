// Package code maps machine code executable and calls into it, without cgo and without a linker.
//
// Code is a position-independent block: it refers to nothing outside of itself. Load maps it from a file, so that no page is ever writable
// and executable; Mapped takes what the caller has mapped already. Call enters a function through a short assembly trampoline that
// switches to a Stack of native memory, since Go's stacks are small and move.
package code

import (
	"errors"
	"runtime"
	"unsafe"
)

// Code is a block of machine code mapped executable.
type Code struct {
	mapped []byte
	owned  bool
}

// Func is the address of a function in mapped code. It must not be called after its Code was closed.
type Func uintptr

// Load maps a copy of a block. The code stays mapped until Close.
func Load(block []byte) (*Code, error) {
	if err := Callable(); err != nil {
		return nil, err
	}
	if len(block) == 0 {
		return nil, errors.New("there is no machine code")
	}
	m, err := mapCode(block)
	if err != nil {
		return nil, err
	}
	return &Code{mapped: m, owned: true}, nil
}

// Mapped returns a block that the caller has mapped executable, and that the caller unmaps.
func Mapped(block []byte) *Code { return &Code{mapped: block} }

// Callable says whether this program can call machine code.
//
// Errors: a system or a kind of processor for which there is no trampoline.
func Callable() error {
	if !callable {
		return errors.New("native code cannot be called on " + runtime.GOOS + "/" + runtime.GOARCH + " yet")
	}
	return nil
}

// Func returns the function at an offset of the block.
func (c *Code) Func(offset int) Func {
	return Func(uintptr(unsafe.Pointer(&c.mapped[offset])))
}

// Close unmaps the code.
func (c *Code) Close() error {
	if !c.owned {
		return nil
	}
	return unmap(c.mapped)
}

// Stack is native memory that code runs on. One goroutine at a time may use it.
type Stack struct {
	mapped []byte
	top    uintptr
}

// stackBytes is room for kernels, which keep little but spilled registers on their stack.
const stackBytes = 256 << 10

// NewStack maps a stack with a guard page below it.
func NewStack() (*Stack, error) {
	const guard = 64 << 10 // a multiple of every page size
	m, err := mapStack(stackBytes, guard)
	if err != nil {
		return nil, err
	}
	return &Stack{m, uintptr(unsafe.Pointer(unsafe.SliceData(m))) + uintptr(len(m))}, nil
}

// Close unmaps the stack.
func (s *Stack) Close() error { return unmap(s.mapped) }

// Call runs f(args) on s. Until it returns no garbage collection of the process can go on, so f must be short: at most some 0.3 ms.
//
// args is an unsafe.Pointer, so that it follows if the goroutine's own stack moves before the switch.
func Call(f Func, args unsafe.Pointer, s *Stack) {
	enter(uintptr(f), args, s.top)
	runtime.KeepAlive(s)
}

// CallLong is Call for functions that run longer: the goroutine counts as one in a system call meanwhile.
//
//go:nosplit
func CallLong(f Func, args unsafe.Pointer, s *Stack) {
	entersyscall()
	enter(uintptr(f), args, s.top)
	exitsyscall()
}
