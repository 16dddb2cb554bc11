package term

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want string
	}{
		{0, "0.0 s"},
		{440 * time.Millisecond, "0.4 s"},
		{9940 * time.Millisecond, "9.9 s"},
		{9960 * time.Millisecond, "10 s"},
		{59400 * time.Millisecond, "59 s"},
		{59600 * time.Millisecond, "1 min 00 s"},
		{185 * time.Second, "3 min 05 s"},
		{3599700 * time.Millisecond, "1 h 00 min"},
		{2*time.Hour + 40*time.Minute, "2 h 40 min"},
		{76 * time.Hour, "3 d 4 h"},
		{-time.Minute, "-1 min 00 s"},
	} {
		if got := Duration(c.d); got != c.want {
			t.Errorf("Duration(%v) = %q, want %q", c.d, got, c.want)
		}
	}
}

func TestBytes(t *testing.T) {
	for _, c := range []struct {
		n    int64
		want string
	}{
		{0, "0 B"},
		{1023, "1023 B"},
		{1536, "1.5 KiB"},
		{1024*1024 - 1, "1.0 MiB"},
		{228 << 20, "228 MiB"},
		{1 << 40, "1.0 TiB"},
		{1<<63 - 1, "8.0 EiB"},
	} {
		if got := Bytes(c.n); got != c.want {
			t.Errorf("Bytes(%d) = %q, want %q", c.n, got, c.want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 19034177: "19,034,177", -1234: "-1,234", -100: "-100"} {
		if got := Count(n); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestStyle(t *testing.T) {
	if got := Style(true).Red("no"); got != "\x1b[31mno\x1b[0m" {
		t.Errorf("coloured: %q", got)
	}
	if got := Style(false).Red("no"); got != "no" {
		t.Errorf("plain: %q", got)
	}
}

func TestFileIsNoTerminal(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if IsTerminal(f) || Colours(f) || IsTerminal(&bytes.Buffer{}) {
		t.Error("a file or a buffer is taken for a terminal")
	}
	if w := Width(f); w != 80 {
		t.Errorf("width of a file: %d", w)
	}
}

// A bar that is cleared leaves nothing behind, and says on the way where it is.
func TestBar(t *testing.T) {
	var out lockedBuffer
	b := NewBar(&out, "Epoch 1/2", "examples", 4, 1)
	b.Status("loss: 0.5")
	b.Print("warning: hot\n")
	b.Step(32)
	b.Step(32)
	b.Step(32)
	for !strings.Contains(out.String(), "examples/s") {
		time.Sleep(time.Millisecond)
	}
	b.Clear()
	b.Clear()
	text := out.String()
	for _, want := range []string{"Epoch 1/2", "4/4 ━━━━━ ", "warning: hot\n", "loss: 0.5", " left"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %q", want, text)
		}
	}
	if i := strings.LastIndex(text, "\x1b[J"); i < 0 || strings.TrimSpace(text[i+3:]) != "" {
		t.Errorf("something stays on the terminal: %q", text)
	}
}

// lockedBuffer can be read while the bar writes.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestNilBar(t *testing.T) {
	var b *Bar
	b.Step(1)
	b.Status("")
	b.Clear()
}
