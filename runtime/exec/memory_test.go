package exec

import "testing"

func TestPlacing(t *testing.T) {
	seed := uint32(5)
	next := func(n int) int {
		seed = seed*1664525 + 1013904223
		return int(seed>>8) % n
	}
	for range 200 {
		var values []*live
		alive := make([]int, 60)
		for k := range 1 + next(30) {
			first := next(50)
			v := &live{id: k, bytes: next(5000), first: first, last: first + next(9)}
			values = append(values, v)
			for s := v.first; s <= v.last; s++ {
				alive[s] += (v.bytes + arenaAlign - 1) / arenaAlign * arenaAlign
			}
		}
		size := placeLive(values)
		least := 0
		for _, n := range alive {
			least = max(least, n)
		}
		if size < least || size > 2*least {
			t.Errorf("%d bytes for values of which at most %d bytes live together", size, least)
		}
		for i, a := range values {
			if a.offset%arenaAlign != 0 || a.offset+a.bytes > size {
				t.Errorf("offset %d of %d bytes in %d", a.offset, a.bytes, size)
			}
			for _, b := range values[:i] {
				if a.first <= b.last && b.first <= a.last && a.offset < b.offset+b.bytes && b.offset < a.offset+a.bytes {
					t.Errorf("%v and %v overlap", *a, *b)
				}
			}
		}
	}
}
