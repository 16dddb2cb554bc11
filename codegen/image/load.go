package image

import (
	"errors"
	"runtime"
	"unsafe"
)

// Code is an image mapped executable.
type Code struct {
	mapped  []byte
	symbols map[string]int
}

// Func is the address of a function in mapped code. It must not be called after its Code was closed.
type Func uintptr

// Load maps an image. The code stays mapped until Close.
func Load(i *Image) (*Code, error) {
	if !callable {
		return nil, errors.New("native code cannot be called on " + runtime.GOOS + "/" + runtime.GOARCH + " yet")
	}
	if len(i.Bytes) == 0 {
		return nil, errors.New("the image is empty")
	}
	m, err := mapCode(i.Bytes)
	if err != nil {
		return nil, err
	}
	return &Code{mapped: m, symbols: i.Symbols}, nil
}

// Func returns the function of that name.
func (c *Code) Func(name string) (Func, bool) {
	off, ok := c.symbols[name]
	if !ok {
		return 0, false
	}
	return Func(uintptr(unsafe.Pointer(unsafe.SliceData(c.mapped))) + uintptr(off)), true
}

// Close unmaps the code.
func (c *Code) Close() error { return unmap(c.mapped) }

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
