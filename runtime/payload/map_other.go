//go:build !linux

package payload

import "errors"

func (f *File) mapSection(s *row, access Access) ([]byte, error) {
	if access == Code {
		return nil, errors.New("native code cannot be mapped on this system yet")
	}
	return f.Read(s.Name)
}
