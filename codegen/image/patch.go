package image

import (
	"debug/elf"
	"encoding/binary"
)

// patch is a kind of relocation that needs no linker: the distance from the place that is patched to what it refers to.
type patch struct {
	bytes int
	apply func(at []byte, distance int64) bool // false: too far, or not a place that the instruction can reach
}

// patchesOf are the kinds of each machine, by their numbers.
//
// Source: System V ABI, AMD64 supplement, 4.4; ELF for the Arm 64-bit architecture, 5.7.
var patchesOf = map[elf.Machine]map[uint32]patch{
	elf.EM_X86_64: {
		uint32(elf.R_X86_64_PC32):  {4, word32},
		uint32(elf.R_X86_64_PLT32): {4, word32},
		uint32(elf.R_X86_64_PC64):  {8, word64},
	},
	elf.EM_AARCH64: {
		uint32(elf.R_AARCH64_PREL32):        {4, word32},
		uint32(elf.R_AARCH64_PREL64):        {8, word64},
		uint32(elf.R_AARCH64_LD_PREL_LO19):  {4, ldr19},
		uint32(elf.R_AARCH64_ADR_PREL_LO21): {4, adr21},
		uint32(elf.R_AARCH64_CALL26):        {4, branch26},
		uint32(elf.R_AARCH64_JUMP26):        {4, branch26},
	},
}

func word32(at []byte, distance int64) bool {
	binary.LittleEndian.PutUint32(at, uint32(distance))
	return distance == int64(int32(distance))
}

func word64(at []byte, distance int64) bool {
	binary.LittleEndian.PutUint64(at, uint64(distance))
	return true
}

// field puts the low bits of v at bit `shift` of an instruction.
func field(at []byte, v int64, bits, shift int) {
	mask := uint32(1)<<bits - 1
	word := binary.LittleEndian.Uint32(at)
	binary.LittleEndian.PutUint32(at, word&^(mask<<shift)|uint32(v)&mask<<shift)
}

// fits reports whether v is a signed number of so many bits.
func fits(v int64, bits int) bool { return v == v<<(64-bits)>>(64-bits) }

func ldr19(at []byte, distance int64) bool {
	field(at, distance>>2, 19, 5)
	return distance%4 == 0 && fits(distance>>2, 19)
}

func adr21(at []byte, distance int64) bool {
	field(at, distance, 2, 29)
	field(at, distance>>2, 19, 5)
	return fits(distance, 21)
}

func branch26(at []byte, distance int64) bool {
	field(at, distance>>2, 26, 0)
	return distance%4 == 0 && fits(distance>>2, 26)
}
