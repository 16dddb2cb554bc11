package payload

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
)

// File is an executable with a payload.
type File struct {
	f        *os.File
	sections []row
}

// Self opens the payload of the program that runs.
//
// Errors: ErrNone, ErrDamaged, a file that cannot be read.
func Self() (*File, error) {
	f, err := os.Open("/proc/self/exe")
	if err != nil { // another system, or one without /proc, such as an empty chroot
		path, err := os.Executable()
		if err != nil {
			if path, err = exec.LookPath(os.Args[0]); err != nil {
				return nil, fmt.Errorf("this program cannot find its own file: %w", err)
			}
		}
		if f, err = os.Open(path); err != nil {
			return nil, fmt.Errorf("this program cannot read its own file: %w", err)
		}
	}
	return open(f)
}

// Open opens the payload of an executable.
//
// Errors: ErrNone, ErrDamaged, a file that cannot be read.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return open(f)
}

func open(f *os.File) (*File, error) {
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	rows, err := readTable(f, info.Size())
	if err != nil {
		f.Close()
		return nil, err
	}
	return &File{f, rows}, nil
}

// Close closes the file. What was mapped stays.
func (f *File) Close() error { return f.f.Close() }

// Has reports whether there is a section of that name.
func (f *File) Has(name string) bool { return f.row(name) != nil }

// Size returns how many bytes a section has; 0 if there is none of that name.
func (f *File) Size(name string) int64 {
	if s := f.row(name); s != nil {
		return s.Size
	}
	return 0
}

// Names returns the names of the sections in their order.
func (f *File) Names() []string {
	var names []string
	for _, s := range f.sections {
		names = append(names, s.Name)
	}
	return names
}

func (f *File) row(name string) *row {
	for k := range f.sections {
		if f.sections[k].Name == name {
			return &f.sections[k]
		}
	}
	return nil
}

// Read returns a copy of a section.
//
// Errors: a section that is not there or damaged.
func (f *File) Read(name string) ([]byte, error) {
	s := f.row(name)
	if s == nil {
		return nil, fmt.Errorf("%w (section %q is missing)", ErrDamaged, name)
	}
	data := make([]byte, s.Size)
	if _, err := f.f.ReadAt(data, s.Offset); err != nil {
		return nil, err
	}
	return data, s.check(data)
}

func (s *row) check(data []byte) error {
	if !slices.Equal(sums(data), s.Sums) {
		return fmt.Errorf("%w (section %q is not what was written)", ErrDamaged, s.Name)
	}
	return nil
}

// Access is how a section is mapped.
type Access int

// Code can be read and executed. Private can be read and written to; what is written stays in this process's memory and goes into no file.
const (
	Code Access = iota
	Private
)

// Map maps a section, for as long as the process lives. Where files cannot be mapped, Private is a copy.
//
// Errors: a section that is not there or damaged; code on a system that cannot map it.
func (f *File) Map(name string, access Access) ([]byte, error) {
	s := f.row(name)
	if s == nil || s.Size == 0 {
		return f.Read(name)
	}
	data, err := f.mapSection(s, access)
	if err != nil {
		return nil, err
	}
	return data, s.check(data)
}
