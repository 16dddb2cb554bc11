#include "textflag.h"

// func cpuid(leaf, sub uint32) (a, b, c, d uint32)
TEXT ·cpuid(SB), NOSPLIT, $0-24
	MOVL leaf+0(FP), AX
	MOVL sub+4(FP), CX
	CPUID
	MOVL AX, a+8(FP)
	MOVL BX, b+12(FP)
	MOVL CX, c+16(FP)
	MOVL DX, d+20(FP)
	RET

// func xgetbv() uint32
TEXT ·xgetbv(SB), NOSPLIT, $0-4
	XORL CX, CX
	XGETBV
	MOVL AX, ret+0(FP)
	RET

// func imageAddress() uintptr
TEXT ·imageAddress(SB), NOSPLIT, $0-8
	LEAQ ·image(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// func constant(offset int) unsafe.Pointer
TEXT ·constant(SB), NOSPLIT, $0-16
	LEAQ ·image(SB), AX
	ADDQ $CONSTS, AX
	ADDQ offset+0(FP), AX
	MOVQ AX, ret+8(FP)
	RET

// func enter(entry uintptr, words unsafe.Pointer, stack uintptr)
//
// The C calling convention keeps BX, BP and R12–R15 across the call; R14 and X15 are Go's own and are restored by the wrapper that the
// compiler puts around assembly functions.
TEXT ·enter(SB), NOSPLIT, $0-24
	LEAQ ·image(SB), AX
	ADDQ entry+0(FP), AX
	MOVQ words+8(FP), DI
	MOVQ stack+16(FP), CX
	MOVQ SP, BX
	MOVQ CX, SP
	CALL AX
	MOVQ BX, SP
	RET

