#include "textflag.h"

// func enter(fn uintptr, args unsafe.Pointer, stack uintptr)
//
// The C calling convention keeps BX, BP and R12–R15 across the call; R14 and X15 are Go's own and are restored by the
// wrapper that the compiler puts around assembly functions.
TEXT ·enter(SB), NOSPLIT, $0-24
	MOVQ fn+0(FP), AX
	MOVQ args+8(FP), DI
	MOVQ stack+16(FP), CX
	MOVQ SP, BX
	MOVQ CX, SP
	CALL AX
	MOVQ BX, SP
	RET

// func Pause()
TEXT ·Pause(SB), NOSPLIT, $0-0
	PAUSE
	PAUSE
	PAUSE
	PAUSE
	RET
