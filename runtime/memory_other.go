//go:build !linux

package runtime

// machineMemory is the machine's memory in bytes; 0 if it is not known.
func machineMemory() int { return 0 }
