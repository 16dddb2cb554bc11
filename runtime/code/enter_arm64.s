#include "textflag.h"

// func enter(fn uintptr, args unsafe.Pointer, stack uintptr)
//
// The C calling convention keeps R19–R29 across the call, and with them Go's g in R28 and the stack pointer in R19.
TEXT ·enter(SB), NOSPLIT, $16-24
	MOVD fn+0(FP), R1
	MOVD args+8(FP), R0
	MOVD stack+16(FP), R2
	MOVD RSP, R19
	MOVD R2, RSP
	CALL (R1)
	MOVD R19, RSP
	RET

// func Pause()
TEXT ·Pause(SB), NOSPLIT, $0-0
	YIELD
	YIELD
	RET
