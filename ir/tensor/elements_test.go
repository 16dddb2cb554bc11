package tensor

import (
	"bytes"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is written is read back bit for bit, also beyond one block.
func TestElements(t *testing.T) {
	for _, d := range []DType{F32, F64, I32, Bool} {
		for _, n := range []int{0, 1, elementsBlock - 1, elementsBlock, 2*elementsBlock + 3} {
			want := New(d, n)
			for i := range n {
				want.Set(i, float64(i%2))
				switch d {
				case F32:
					want.F32[i] = math.Float32frombits(uint32(i) * 2654435761)
				case F64:
					want.F64[i] = math.Float64frombits(uint64(i) * 11400714819323198485)
				case I32:
					want.I32[i] = int32(uint32(i) * 2654435761)
				}
			}
			var file bytes.Buffer
			if err := want.WriteElements(&file); err != nil {
				t.Fatal(err)
			}
			written := bytes.Clone(file.Bytes())
			if littleEndian { // where elements lie in another order, they are turned into bytes one by one
				littleEndian = false
				var apart bytes.Buffer
				err := want.WriteElements(&apart)
				littleEndian = true
				if err != nil || !bytes.Equal(written, apart.Bytes()) {
					t.Errorf("%d elements of %v are written otherwise where numbers lie otherwise: %v", n, d, err)
				}
			}
			got := New(d, n)
			if err := got.ReadElements(&file); err != nil {
				t.Fatal(err)
			}
			var again bytes.Buffer
			if err := got.WriteElements(&again); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(written, again.Bytes()) || file.Len() != 0 {
				t.Errorf("%d elements of %v differ after they were written and read", n, d)
			}
		}
	}
}

func TestElementsLayout(t *testing.T) {
	var got bytes.Buffer
	for _, v := range []*Tensor{FromF32([]float32{1, -2}, 2), FromI32([]int32{258}), {DType: Bool, Shape: []int{2}, Bool: []bool{true, false}}} {
		if err := v.WriteElements(&got); err != nil {
			t.Fatal(err)
		}
	}
	want := []byte{0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 2, 1, 0, 0, 1, 0}
	if diff := cmp.Diff(want, got.Bytes()); diff != "" {
		t.Error(diff)
	}
}

func TestElementsRefuse(t *testing.T) {
	if err := New(Bool, 3).ReadElements(bytes.NewReader([]byte{0, 1, 2})); err == nil || err.Error() != "bool 2 has the value 2" {
		t.Errorf("%v", err)
	}
	if err := New(F32, 2).ReadElements(bytes.NewReader(make([]byte, 7))); err == nil {
		t.Error("seven bytes were taken for two numbers")
	}
}
