module github.com/nnc-lang/nnc/examples/embed

go 1.25
