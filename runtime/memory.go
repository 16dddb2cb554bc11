package runtime

import (
	"errors"
	"fmt"
	"math"
)

// MaxElements is the most elements of a tensor, and points of a loop: they are counted in 32 bits.
const MaxElements = math.MaxInt32

// ErrTooLarge says that a tensor has more elements than MaxElements.
var ErrTooLarge = errors.New("a tensor or a loop would have more than 2147483647 elements: make the batch or the model smaller")

// CheckMemory returns an error if so many bytes at once are more than the machine has.
func CheckMemory(bytes int) error {
	if has := machineMemory(); has > 0 && bytes > has {
		const gib = 1 << 30
		return fmt.Errorf("this needs %.1f GiB of memory at once, and the machine has %.1f GiB: make the batch or the model smaller", float64(bytes)/gib, float64(has)/gib)
	}
	return nil
}
