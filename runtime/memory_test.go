package runtime

import (
	"math"
	"strings"
	"testing"
)

func TestCheckMemory(t *testing.T) {
	if err := CheckMemory(1 << 20); err != nil {
		t.Error(err)
	}
	err := CheckMemory(math.MaxInt)
	if machineMemory() > 0 && (err == nil || !strings.Contains(err.Error(), "make the batch or the model smaller")) {
		t.Errorf("error %v", err)
	}
}
