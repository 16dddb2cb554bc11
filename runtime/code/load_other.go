//go:build !linux

package code

import "errors"

var errPlatform = errors.New("native code cannot be loaded on this system yet")

func mapCode([]byte) ([]byte, error) { return nil, errPlatform }

func unmap([]byte) error { return errPlatform }

func mapStack(int, int) ([]byte, error) { return nil, errPlatform }

// MapMemory returns n zeroed bytes outside Go's heap.
func MapMemory(int) ([]byte, error) { return nil, errPlatform }

// UnmapMemory gives back what MapMemory returned.
func UnmapMemory([]byte) {}
