package code

import _ "unsafe" // for linkname

// The runtime exports these two for packages that make system calls on their own. Their documentation forbids changing them.

//go:linkname entersyscall runtime.entersyscall
func entersyscall()

//go:linkname exitsyscall runtime.exitsyscall
func exitsyscall()
