package data

import (
	"slices"
	"strings"
	"testing"
)

// A text that is cut into units and put together again is the same, but for the spaces between words.
func TestVocabulary(t *testing.T) {
	for _, c := range []struct {
		unit       Unit
		names      []string
		text, back string
		ids        []int32
	}{
		{Characters, []string{"\n", " ", "a", "é"}, "a é\n", "a é\n", []int32{2, 1, 3, 0}},
		{Bytes, byteNames(), "é", "é", []int32{0xc3, 0xa9}},
		{WordUnits, []string{unknownWord, "rose", "a", ",", "it's"}, "a rose,it's  blue", "a rose, it's <unknown>", []int32{2, 1, 3, 4, 0}},
	} {
		v := NewVocabulary(c.unit, c.names)
		ids, err := v.Encode(c.text)
		if err != nil || !slices.Equal(ids, c.ids) {
			t.Errorf("%s: %q is %v, error %v", c.unit, c.text, ids, err)
		}
		back, before := "", int32(-1)
		for _, id := range ids {
			back += v.Decode(before, id)
			before = id
		}
		if back != c.back {
			t.Errorf("%s: %q comes back as %q", c.unit, c.text, back)
		}
	}
	v := NewVocabulary(Characters, []string{"\n", " ", "a"})
	if _, err := v.Encode("ab"); err == nil || !strings.Contains(err.Error(), "character 2, 'b'") || !strings.Contains(err.Error(), "↵␣a") {
		t.Errorf("an unknown character: %v", err)
	}
}
