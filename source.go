// Package nnc holds the source of what `nnc build` attaches models to, so that it can be built wherever there is Go.
package nnc

import "embed"

// Source is the source of the program runtime/main and of all packages of this module that it imports.
//
//go:embed go.mod go.sum ir/*.go ir/diag/*.go ir/tensor/*.go ir/plan/*.go
//go:embed runtime/*.go runtime/*/*.go runtime/*/*/*.go runtime/code/*.s
//go:embed codegen/*.go codegen/interp/*.go
var Source embed.FS
