package main

import (
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/lang/syntax"
)

func (d *drawing) step(t *plan.Train, decl *syntax.Train) {}
