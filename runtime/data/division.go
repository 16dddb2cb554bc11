package data

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Division says how the examples of one file or folder are dealt to the splits: by Fractions, or in Folds for cross-validation, by turns of
// which each example is a test example once.
type Division struct {
	// Fractions go to training, validation and test; their sum is 1. With Folds, they are fractions of what the test split leaves, and the
	// third is 0.
	Fractions [3]float64
	// Seed chooses which examples go where.
	Seed uint64
	// Folds is the number of folds, whose sizes differ by at most one example; 0 for none. Fold is the one that is the test split, from 1 on.
	Folds, Fold int
}

func (d Division) check() error {
	switch {
	case d.Folds == 0 && d.Fold != 0:
		return fmt.Errorf("fold %d of how many? Say it with folds", d.Fold)
	case d.Folds == 0:
		return checkFractions(d.Fractions)
	case d.Folds < 2:
		return fmt.Errorf("%d folds: at least 2 are needed", d.Folds)
	case d.Fold < 1 || d.Fold > d.Folds:
		return fmt.Errorf("fold %d: it must be from 1 to %d, the number of folds", d.Fold, d.Folds)
	case d.Fractions[2] != 0:
		return errors.New("the test split is one of the folds: a fraction for it cannot be chosen")
	}
	return checkFractions(d.Fractions)
}

func checkFractions(fractions [3]float64) error {
	sum := 0.0
	for i, f := range fractions {
		if !(f >= 0 && f <= 1) {
			return fmt.Errorf("a fraction of %v for %s: it must lie between 0 and 1", f, splitNames[i])
		}
		sum += f
	}
	if math.Abs(sum-1) > 1e-6 {
		return fmt.Errorf("the fractions %v (training, validation, test) add up to %.6g, not to 1", fractions, sum)
	}
	return nil
}

// deal deals the numbers 0…n-1 of a group of examples, such as those of one class, to training, validation and test, each sorted. stream
// tells groups apart, and dealt is how many examples the groups before have.
func (d Division) deal(stream uint64, n, dealt int) [3][]int32 {
	order := Permutation(d.Seed, stream, n)
	var test []int32
	if d.Folds > 0 {
		var rest []int32
		for i, example := range order {
			if (dealt+i)%d.Folds == d.Fold-1 {
				test = append(test, example)
			} else {
				rest = append(rest, example)
			}
		}
		order = rest
	}
	parts := cut(order, d.Fractions)
	if d.Folds > 0 {
		slices.Sort(test)
		parts[2] = test
	}
	return parts
}

// divide chooses which of n examples go to each split, each sorted.
func divide(seed, stream uint64, n int, fractions [3]float64) [3][]int32 {
	return Division{Fractions: fractions, Seed: seed}.deal(stream, n, 0)
}

// cut cuts a list into fractions of it, each sorted.
func cut(order []int32, fractions [3]float64) [3][]int32 {
	n := len(order)
	var parts [3][]int32
	sum, lo := 0.0, 0
	for k, f := range fractions {
		sum += f
		// Rounded sums, and not rounded parts, so that nothing is lost or dealt twice.
		hi := max(lo, min(n, int(math.Round(sum*float64(n)))))
		if f == 0 {
			hi = lo
		}
		parts[k] = slices.Sorted(slices.Values(order[lo:hi]))
		lo = hi
	}
	return parts
}

// enough returns an error if a split that is to have examples has none; held says what there is: "t.csv has 1 row".
func (d Division) enough(held string, sizes [3]int) error {
	for k, f := range d.Fractions {
		if f > 0 && sizes[k] == 0 {
			return fmt.Errorf("%s, too few to give %s a fraction of %g", held, splitNames[k], f)
		}
	}
	if d.Folds > 0 && (sizes[2] == 0 || sizes[0]+sizes[1]+sizes[2] < d.Folds) {
		return fmt.Errorf("%s, too few for %d folds", held, d.Folds)
	}
	return nil
}

// String says how the examples were dealt.
func (d Division) String() string {
	if d.Folds > 0 {
		return fmt.Sprintf("fold %d of %d, dealt by seed %d", d.Fold, d.Folds, d.Seed)
	}
	return fmt.Sprintf("split by seed %d", d.Seed)
}
