package lang

import "github.com/nnc-lang/nnc/lang/syntax"

// checkNames reports names of the file that are declared twice.
func (e *elaborator) checkNames(tree *syntax.File) {}
