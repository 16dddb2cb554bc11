package command

import "testing"

func TestResumeCommand(t *testing.T) {
	words := func(file string) func(Verb) []string {
		return func(Verb) []string { return []string{"nnc", "run", file} }
	}
	p := &Program{Words: words("my nets/cat's.nn"), Settings: []string{"--set", "name=$HOME", "--set", "size=8"}}
	c := &Train{Seed: 3, Epochs: 7, NoSave: true, History: "h.csv", Records: []Record{{Flag: "--plot", Path: "h.png"}, {Flag: "--other"}}}
	want := `nnc run 'my nets/cat'\''s.nn' --set 'name=$HOME' --set size=8 --seed 3 --epochs 7 --no-save --history h.csv --plot h.png --resume`
	if got := c.resumeCommand(p); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := (&Train{Seed: 1}).resumeCommand(&Program{Words: words("a.nn")}); got != "nnc run a.nn --resume" {
		t.Error(got)
	}
}
