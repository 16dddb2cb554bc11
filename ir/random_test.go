package ir

import "testing"

// The known answer of Philox4x32-10 for a key and counter of zeros, from the test vectors of its authors' library Random123.
func TestPhilox(t *testing.T) {
	if got := philox(0, 0, 0, 0); got != 0x6627e8d5 {
		t.Errorf("got %#x, want 0x6627e8d5", got)
	}
}
