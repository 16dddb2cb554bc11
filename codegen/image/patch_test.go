package image

import (
	"debug/elf"
	"encoding/binary"
	"testing"
)

// What the assembler writes for the same instructions.
func TestPatchesOfARM64(t *testing.T) {
	for _, c := range []struct {
		kind     elf.R_AARCH64
		word     uint32
		distance int64
		want     uint32
		ok       bool
	}{
		{elf.R_AARCH64_ADR_PREL_LO21, 0x10000000, 4, 0x10000020, true},  // adr x0, #4
		{elf.R_AARCH64_ADR_PREL_LO21, 0x10000000, 5, 0x30000020, true},  // adr x0, #5
		{elf.R_AARCH64_ADR_PREL_LO21, 0x10000003, -4, 0x10ffffe3, true}, // adr x3, #-4
		{elf.R_AARCH64_ADR_PREL_LO21, 0x10000000, 1 << 20, 0, false},    // 1 MiB is too far
		{elf.R_AARCH64_LD_PREL_LO19, 0x9c000001, 8, 0x9c000041, true},   // ldr q1, #8
		{elf.R_AARCH64_LD_PREL_LO19, 0x9c000001, 6, 0, false},           // not aligned
		{elf.R_AARCH64_JUMP26, 0x14000000, -4, 0x17ffffff, true},        // b #-4
		{elf.R_AARCH64_CALL26, 0x94000000, 1 << 20, 0x94040000, true},   // bl #0x100000
		{elf.R_AARCH64_CALL26, 0x94000000, 1 << 27, 0, false},           // 128 MiB is too far
		{elf.R_AARCH64_PREL32, 0, -1, 0xffffffff, true},                 // .word
		{elf.R_AARCH64_PREL32, 0, 1 << 31, 0, false},
	} {
		at := binary.LittleEndian.AppendUint32(nil, c.word)
		ok := patchesOf[elf.EM_AARCH64][uint32(c.kind)].apply(at, c.distance)
		if got := binary.LittleEndian.Uint32(at); ok != c.ok || ok && got != c.want {
			t.Errorf("%v of %#x by %d: %#x, %v; want %#x, %v", c.kind, c.word, c.distance, got, ok, c.want, c.ok)
		}
	}
}
