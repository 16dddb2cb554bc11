package code

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// mapCode writes code to a nameless file and maps that executable.
func mapCode(code []byte) ([]byte, error) {
	fd, err := unix.MemfdCreate("nnc-code", unix.MFD_CLOEXEC)
	var f *os.File
	if err == nil {
		f = os.NewFile(uintptr(fd), "nnc-code")
	} else { // a kernel or sandbox without it
		if f, err = os.CreateTemp("", "nnc-code-*"); err != nil {
			return nil, fmt.Errorf("a file for machine code: %w", err)
		}
		defer os.Remove(f.Name())
	}
	defer f.Close()
	if _, err := f.Write(code); err != nil {
		return nil, fmt.Errorf("writing machine code: %w", err)
	}
	m, err := unix.Mmap(int(f.Fd()), 0, len(code), unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("mapping machine code: %w", err)
	}
	return m, nil
}

func unmap(m []byte) error { return unix.Munmap(m) }

// mapStack returns n bytes of memory for a stack, the lowest page of which cannot be touched.
func mapStack(n, guard int) ([]byte, error) {
	m, err := unix.Mmap(-1, 0, n+guard, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("mapping a stack: %w", err)
	}
	if err := unix.Mprotect(m[:guard], unix.PROT_NONE); err != nil {
		_ = unix.Munmap(m)
		return nil, fmt.Errorf("guarding a stack: %w", err)
	}
	return m, nil
}

// Memory of at least leastHuge bytes is mapped as whole huge pages, which the system then puts where they can be huge.
const (
	hugePage  = 2 << 20
	leastHuge = 1 << 20
)

// MapMemory returns n zeroed bytes outside Go's heap, aligned to a page, in huge pages where the system has them.
func MapMemory(n int) ([]byte, error) {
	n = (n + 4095) &^ 4095
	size := max(n, 4096)
	if n >= leastHuge {
		size = (n + hugePage - 1) &^ (hugePage - 1)
	}
	m, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("mapping %d bytes: %w", n, err)
	}
	if whole := (n + hugePage - leastHuge) &^ (hugePage - 1); n >= leastHuge { // what is left over, less than half of a huge page, would take all of one
		_ = unix.Madvise(m[:whole], unix.MADV_HUGEPAGE) // a wish
		if whole < size {
			_ = unix.Madvise(m[whole:], unix.MADV_NOHUGEPAGE)
		}
	}
	return m[:max(n, 4096)], nil
}

// UnmapMemory gives back what MapMemory returned.
func UnmapMemory(m []byte) {
	if err := unix.Munmap(m[:cap(m)]); err != nil {
		panic("BUG: unmapping memory: " + err.Error())
	}
}
