package model

import (
	"fmt"
	"unsafe"
)

// hasNative says that this processor runs the machine code in native_amd64.s.
var hasNative = supported()

// supported reports whether the processor and the system have what the machine code uses.
func supported() bool {
	const osxsave, fma, avx = 1 << 27, 1 << 12, 1 << 28
	highest, _, _, _ := cpuid(0, 0)
	_, _, c1, _ := cpuid(1, 0)
	if highest < 7 || c1&(osxsave|fma|avx) != osxsave|fma|avx {
		return false
	}
	_, b7, _, _ := cpuid(7, 0)
	state := xgetbv()
	const avx2, bmi1, bmi2 = 1 << 5, 1 << 3, 1 << 8
	if b7&(avx2|bmi1|bmi2) != avx2|bmi1|bmi2 || state&6 != 6 {
		return false
	}
	if !needsAVX512 {
		return true
	}
	const f, dq, cd, bw, vl = 1 << 16, 1 << 17, 1 << 28, 1 << 30, 1 << 31
	return b7&(f|dq|cd|bw|vl) == f|dq|cd|bw|vl && state&0xe6 == 0xe6
}

func cpuid(leaf, sub uint32) (a, b, c, d uint32)

func xgetbv() uint32

// constant returns the address of a constant, which is none of memory that the garbage collector knows.
func constant(offset int) unsafe.Pointer

// imageAddress returns where the machine code lies.
func imageAddress() uintptr

// enter calls the function at an offset of the machine code on the stack that ends at stack.
func enter(entry uintptr, words unsafe.Pointer, stack uintptr)

// ref is bytes of memory from offset on of a space: the arena, the constants, the inputs, the weights, by number.
type ref struct{ space, offset, bytes int32 }

// The first spaces; the inputs follow.
const (
	spaceArena = iota
	spaceConsts
	spaceInputs
)

// row is what is done next.
type row struct {
	kind          uint8
	entry         uint32
	results, args []ref
	sizes         []uint64
	clear         bool
	element       string // of a fill

	points, perChunk         int // of a kernel
	splits, perRound, rounds int
	stride                   int
	what                     string

	outer, inner     int // of a copy
	toStep, fromStep int
	toRound          int
	fromRound        int

	trip, end int // of a loop, and of its end: the row that begins it
	reversed  bool
}

// The kinds of rows.
const (
	rowKernel = iota
	rowFill
	rowCopy
	rowLoop
	rowNext
)

// The first words that a kernel is given.
const (
	wordP0 = iota
	wordP1
	wordR0
	wordR1
	wordFault
	wordScratch
	wordResult
)

// stackBytes is the machine code's stack: it keeps little but registers there.
const stackBytes = 128 << 10

// nativeFrame is the memory of a call.
type nativeFrame struct {
	base    [spaces]unsafe.Pointer // of the spaces, the constants excepted
	words   [maxWords]uint64
	fault   [3]int64
	rounds  [maxDepth]int
	arena   []byte
	scratch []byte
	stack   []byte
}

// aligned returns n bytes that begin at a multiple of 64.
func aligned(n int) []byte {
	b := make([]byte, n+64)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) & 63)
	return b[skip : skip+n : skip+n]
}

// prepare makes sure that there is memory.
func (f *nativeFrame) prepare(arena int) {
	if f.stack == nil {
		f.stack, f.scratch = aligned(stackBytes), aligned(scratchBytes)
	}
	if len(f.arena) < arena {
		f.arena = aligned(arena)
	}
	f.base[spaceArena] = unsafe.Pointer(unsafe.SliceData(f.arena))
}

// release lets go of the inputs and the weights.
func (f *nativeFrame) release() { clear(f.base[spaceInputs:]) }

// address returns where r lies.
func (f *nativeFrame) address(r ref) unsafe.Pointer {
	return unsafe.Add(f.base[r.space], r.offset)
}

// bytes returns the memory at r, which is none of the constants.
func (f *nativeFrame) bytes(r ref) []byte { return unsafe.Slice((*byte)(f.address(r)), r.bytes) }

// word returns r's address as a kernel is told it.
func (f *nativeFrame) word(r ref) uint64 {
	if r.space == spaceConsts {
		return uint64(imageAddress()) + constsAt + uint64(r.offset)
	}
	return uint64(uintptr(f.address(r)))
}

// run does the rows.
func (f *nativeFrame) run(rows []row) error {
	depth := 0
	for k := 0; k < len(rows); k++ {
		r := &rows[k]
		switch r.kind {
		case rowKernel:
			if err := f.kernel(r); err != nil {
				return err
			}
		case rowFill:
			b := f.bytes(r.results[0])
			for len(b) > 0 {
				b = b[copy(b, r.element):]
			}
		case rowCopy:
			round := 0
			if depth > 0 {
				round = f.rounds[depth-1]
			}
			f.copy(r, round)
		case rowLoop:
			if r.trip == 0 {
				k = r.end
				continue
			}
			f.rounds[depth] = 0
			if r.reversed {
				f.rounds[depth] = r.trip - 1
			}
			*(*int32)(f.address(r.results[0])) = int32(f.rounds[depth])
			depth++
		case rowNext:
			l := &rows[r.end]
			step := 1
			if l.reversed {
				step = -1
			}
			next := f.rounds[depth-1] + step
			if next < 0 || next >= l.trip {
				depth--
				continue
			}
			f.rounds[depth-1] = next
			*(*int32)(f.address(l.results[0])) = int32(next)
			k = r.end
		}
	}
	return nil
}

func (f *nativeFrame) copy(r *row, round int) {
	to, from := r.results[0], r.args[0]
	if r.inner == 0 {
		return
	}
	a := unsafe.Add(f.address(to), round*r.toRound)
	var b unsafe.Pointer
	if from.space == spaceConsts {
		b = constant(int(from.offset))
	} else {
		b = f.address(from)
	}
	b = unsafe.Add(b, round*r.fromRound)
	for o := range r.outer {
		copy(unsafe.Slice((*byte)(unsafe.Add(a, o*r.toStep)), r.inner), unsafe.Slice((*byte)(unsafe.Add(b, o*r.fromStep)), r.inner))
	}
}

// kernel runs the chunks of a kernel's use.
func (f *nativeFrame) kernel(r *row) error {
	if r.clear {
		for _, z := range r.results {
			clear(f.bytes(z))
		}
	}
	f.words[wordFault] = uint64(uintptr(unsafe.Pointer(&f.fault)))
	f.words[wordScratch] = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(f.scratch))))
	n := wordResult
	for _, z := range r.results {
		f.words[n] = f.word(z)
		n++
	}
	for _, a := range r.args {
		f.words[n] = f.word(a)
		n++
	}
	copy(f.words[n:], r.sizes)
	stack := uintptr(unsafe.Pointer(unsafe.SliceData(f.stack))) + stackBytes
	f.fault[0] = 0
	for round := range r.rounds {
		f.words[wordR0], f.words[wordR1] = uint64(round*r.perRound), uint64(min(r.splits, (round+1)*r.perRound))
		for first := 0; first < r.points; first += r.perChunk {
			f.words[wordP0], f.words[wordP1] = uint64(first), uint64(min(r.points, first+r.perChunk))
			enter(uintptr(r.entry), unsafe.Pointer(&f.words), stack)
		}
		f.words[wordResult] += uint64(r.stride)
	}
	if f.fault[0] != 0 {
		return fmt.Errorf("%s: index %d is outside [0, %d)", r.what, f.fault[1], f.fault[2])
	}
	return nil
}
