package diag

import "testing"

// A layer that is elaborated for training and for inference gives each of its messages twice, at one place.
func TestSortDropsRepeatsThatOthersStandBetween(t *testing.T) {
	f := NewFile("a.nn", "x y\n")
	var l List
	for range 2 {
		for _, text := range []string{"one", "two"} {
			l.Add(&Diagnostic{Span: Span{f, 2, 3}, Code: UnknownName, Message: text})
		}
		l.Add(&Diagnostic{Span: Span{f, 0, 1}, Code: UnknownName, Message: "one"})
	}
	l.Sort()
	got := ""
	for _, d := range l.All {
		got += d.Error() + "\n"
	}
	want := "a.nn:1:1: error[unknown-name]: one\na.nn:1:3: error[unknown-name]: one\na.nn:1:3: error[unknown-name]: two\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
