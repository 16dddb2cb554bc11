// A module of its own so that `go install` of nnc does not download what only this repository needs.
module github.com/nnc-lang/nnc/examples

go 1.26.0
