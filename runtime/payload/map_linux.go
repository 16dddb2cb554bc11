package payload

import (
	"fmt"

	"golang.org/x/sys/unix"
)

func (f *File) mapSection(s *row, access Access) ([]byte, error) {
	protection := unix.PROT_READ | unix.PROT_WRITE
	if access == Code {
		protection = unix.PROT_READ | unix.PROT_EXEC
	}
	data, err := unix.Mmap(int(f.f.Fd()), s.Offset, int(s.Size), protection, unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("mapping %s: %w", s.Name, err)
	}
	_ = unix.Madvise(data, unix.MADV_POPULATE_READ) // all pages at once, where the system can; else one by one
	return data, nil
}
