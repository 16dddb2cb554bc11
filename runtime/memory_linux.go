package runtime

import (
	"sync"

	"golang.org/x/sys/unix"
)

// machineMemory is the machine's memory in bytes; 0 if it is not known.
var machineMemory = sync.OnceValue(func() int {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return int(uint64(info.Totalram) * uint64(info.Unit))
})
