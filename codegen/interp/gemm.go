package interp

import "github.com/nnc-lang/nnc/ir"

type contraction struct{}

type packing[F float] struct{}

func (c *compiler[F]) contraction(n *ir.Nest, extents []int) *contraction { return nil }

func runContraction[F float](c *contraction, t *team[F], args []*buffer[F], out *buffer[F]) {}
