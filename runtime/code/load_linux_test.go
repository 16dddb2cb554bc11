package code

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Memory that is a little longer than a huge page does not take two, where the system has such pages at all.
func TestLittleMoreThanAHugePage(t *testing.T) {
	m, err := MapMemory(hugePage + 3*4096)
	if err != nil {
		t.Fatal(err)
	}
	defer UnmapMemory(m)
	m[0], m[len(m)-1] = 1, 1
	resident := make([]byte, cap(m)/4096)
	if _, _, e := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&m[0])), uintptr(cap(m)), uintptr(unsafe.Pointer(&resident[0]))); e != 0 {
		t.Fatal(e)
	}
	pages := 0
	for _, r := range resident[hugePage/4096:] {
		pages += int(r & 1)
	}
	if pages > 3 {
		t.Errorf("%d pages behind the huge one are resident, of 3", pages)
	}
}
