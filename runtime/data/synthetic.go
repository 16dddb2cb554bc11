package data

import (
	"errors"
	"fmt"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// The fields of Synthetic.
const (
	SyntheticExample = "synthetic.example" // i32[]: the example's number in its split
	SyntheticSplit   = "synthetic.split"   // i32[]: 0 training, 1 validation, 2 test
)

// Synthetic returns sources of examples that the program computes itself; they say only which example it is.
//
// Errors: numbers of examples that are negative, or none for training.
func Synthetic(train, validation, test int) (*Dataset, error) {
	if train < 1 {
		return nil, errors.New("data by formula needs training examples: set train to their number")
	}
	ds := &Dataset{}
	for k, n := range [3]int{train, validation, test} {
		switch {
		case n < 0:
			return nil, fmt.Errorf("%d examples for %s", n, splitNames[k])
		case n > 0:
			*[3]*Source{&ds.Train, &ds.Validation, &ds.Test}[k] = &synthetic{n, k}
		}
	}
	ds.Notes = []string{fmt.Sprintf("by formula: %d training, %d validation, %d test", train, validation, test)}
	return ds, nil
}

type synthetic struct{ n, split int }

func (s *synthetic) Len() int { return s.n }

func (s *synthetic) Fields() []Field {
	return []Field{{Name: SyntheticExample, DType: tensor.I32}, {Name: SyntheticSplit, DType: tensor.I32}}
}

func (s *synthetic) Name(i int) string { return fmt.Sprintf("%s example %d", splitNames[s.split], i) }

func (s *synthetic) At(i int, dst []*tensor.Tensor, row int) error {
	dst[0].I32[row], dst[1].I32[row] = int32(i), int32(s.split)
	return nil
}
