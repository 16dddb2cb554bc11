package data

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"unicode/utf8"
)

// textFile is a text on disk whose units are found by their numbers: bytes by their places, others from the nearest mark on.
type textFile struct {
	name  string
	disk  io.ReaderAt
	size  int64 // bytes
	unit  Unit
	units int64
	start int64 // of the text, behind a byte-order mark

	// marks[k] is the place of unit k*stride. There are none where each unit is one byte.
	marks  []int64
	stride int64
	seen   *characterSet // Characters

	pool sync.Pool // of *bufio.Reader
}

// maxMarks bounds the memory of marks: when there are as many, every other one is dropped.
const maxMarks = 1 << 18

// openText counts and marks the units of a text.
func openText(path string, unit Unit) (*textFile, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	size, err := sizeOf(f)
	if err == nil {
		var x *textFile
		if x, err = newTextFile(f, size, filepath.Base(path), unit); err == nil {
			return x, nil
		}
	}
	f.Close()
	return nil, err
}

func sizeOf(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("cannot read %s: %w", f.Name(), withoutPath(err))
	}
	return info.Size(), nil
}

func newTextFile(disk io.ReaderAt, size int64, name string, unit Unit) (*textFile, error) {
	x := &textFile{name: name, disk: disk, size: size, unit: unit, units: size, stride: 1}
	if unit == Bytes {
		return x, nil
	}
	var mark [3]byte
	if n, _ := disk.ReadAt(mark[:], 0); n == 3 && string(mark[:]) == "\xef\xbb\xbf" {
		x.start = 3
	}
	x.units = 0
	if unit == Characters {
		return x, x.markCharacters()
	}
	return x, x.markWords()
}

// mark notes that the next unit begins at a place.
func (x *textFile) mark(place int64) {
	if x.units%x.stride == 0 {
		if len(x.marks) == maxMarks {
			for k := range maxMarks / 2 {
				x.marks[k] = x.marks[2*k]
			}
			x.marks = x.marks[:maxMarks/2]
			x.stride *= 2
		}
		if x.units%x.stride == 0 {
			x.marks = append(x.marks, place)
		}
	}
	x.units++
}

// markCharacters reads the text once.
func (x *textFile) markCharacters() error {
	x.seen = &characterSet{}
	lines, single := 1, true
	block := make([]byte, 1<<16)
	kept := 0 // bytes at the front of block that are part of a character
	for place := x.start; ; {
		n, err := x.disk.ReadAt(block[kept:min(int64(len(block)), int64(kept)+x.size-place)], place)
		place += int64(n)
		text := block[:kept+n]
		last := place == x.size
		if err != nil && !last {
			return x.readError(err)
		}
		for len(text) > 0 {
			if !last && !utf8.FullRune(text) {
				break
			}
			r, size := rune(text[0]), 1
			if r >= utf8.RuneSelf {
				single = false
				if r, size = utf8.DecodeRune(text); r == utf8.RuneError && size == 1 {
					return fmt.Errorf(`%s, line %d: byte 0x%02x is not UTF-8 text; save the file as UTF-8, or use unit: "bytes"`, x.name, lines, text[0])
				}
			}
			if r == '\n' {
				lines++
			}
			x.seen.put(r)
			x.mark(place - int64(len(text)))
			text = text[size:]
		}
		kept = copy(block, text)
		if last {
			break
		}
	}
	if single {
		x.marks, x.stride = nil, 1
	}
	return nil
}

// markWords reads the text once.
func (x *textFile) markWords() error {
	r := x.reader(x.start)
	defer x.pool.Put(r)
	w := wordReader{r: r, place: x.start}
	for {
		_, at, err := w.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return x.wordError(err, &w)
		}
		x.mark(at)
	}
}

func (x *textFile) wordError(err error, w *wordReader) error {
	if errors.Is(err, errNotText) || errors.Is(err, errLongWord) {
		return fmt.Errorf("%s, line %d: %w", x.name, w.lines+1, err)
	}
	return x.readError(err)
}

func (x *textFile) readError(err error) error {
	return fmt.Errorf("cannot read %s: %w", x.name, withoutPath(err))
}

// reader returns a reader of the text from a place on, to be given back to the pool.
func (x *textFile) reader(place int64) *bufio.Reader {
	section := io.NewSectionReader(x.disk, place, x.size-place)
	if r, ok := x.pool.Get().(*bufio.Reader); ok {
		r.Reset(section)
		return r
	}
	return bufio.NewReaderSize(section, 1<<13)
}

// seek returns the place of the nearest mark at or before a unit, and the number of units between them.
func (x *textFile) seek(unit int64) (place, skip int64) {
	if x.marks == nil {
		return x.start + unit, 0
	}
	return x.marks[unit/x.stride], unit % x.stride
}

// visitBytes calls use with the bytes from…to-1, as far as there are any.
func (x *textFile) visitBytes(from, to int64, use func(byte)) error {
	r := x.reader(from)
	defer x.pool.Put(r)
	for range to - from {
		b, err := r.ReadByte()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return withoutPath(err)
		}
		use(b)
	}
	return nil
}

// visitRunes calls use with the characters from…to-1, as far as there are any.
func (x *textFile) visitRunes(from, to int64, use func(rune)) error {
	place, skip := x.seek(from)
	r := x.reader(place)
	defer x.pool.Put(r)
	for k := range skip + to - from {
		c, _, err := r.ReadRune()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return withoutPath(err)
		}
		if k >= skip {
			use(c)
		}
	}
	return nil
}

// visit calls use with the words from…to-1, as far as there are any.
func (x *textFile) visit(from, to int64, use func(string)) error {
	if from >= to {
		return nil
	}
	place, skip := x.seek(from)
	r := x.reader(place)
	defer x.pool.Put(r)
	w := wordReader{r: r, place: place}
	for k := range skip + to - from {
		word, _, err := w.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return withoutPath(err)
		}
		if k >= skip {
			use(string(word))
		}
	}
	return nil
}

// wordReader cuts a text into words as nextWord does.
type wordReader struct {
	r     *bufio.Reader
	place int64 // of the next character
	lines int   // ends of lines passed
	word  []byte
}

// maxWord bounds a word, in bytes.
const maxWord = 1 << 12

var (
	errNotText  = errors.New(`this is not UTF-8 text; save the file as UTF-8, or use unit: "bytes"`)
	errLongWord = fmt.Errorf("a word of more than %d bytes", maxWord)
)

// next returns a word and its place; io.EOF if there is none. The word is valid until the next call.
func (w *wordReader) next() (word []byte, at int64, err error) {
	w.word = w.word[:0]
	at = w.place
	for {
		ahead, err := w.r.Peek(2 * utf8.UTFMax)
		if len(ahead) == 0 {
			if errors.Is(err, io.EOF) && len(w.word) > 0 {
				return w.word, at, nil
			}
			return nil, at, err
		}
		c, size := utf8.DecodeRune(ahead)
		if c == utf8.RuneError && size == 1 {
			return nil, at, errNotText
		}
		switch {
		case inWord(c), apostrophe(c) && len(w.word) > 0 && inWordNext(string(ahead[size:])):
			w.word = append(w.word, ahead[:size]...)
			if len(w.word) > maxWord {
				return nil, at, errLongWord
			}
		case len(w.word) > 0:
			return w.word, at, nil
		case !invisible(c):
			w.word = append(w.word, ahead[:size]...)
			w.skip(size)
			return w.word, at, nil
		default:
			if c == '\n' {
				w.lines++
			}
			at += int64(size)
		}
		w.skip(size)
	}
}

func (w *wordReader) skip(size int) {
	if _, err := w.r.Discard(size); err != nil {
		panic("BUG: what was seen ahead cannot be passed over: " + err.Error())
	}
	w.place += int64(size)
}

// characterSet is a set of characters.
type characterSet struct {
	low  [2]uint64 // ASCII
	high map[rune]bool
}

func (s *characterSet) put(r rune) {
	if r < 128 {
		s.low[r>>6] |= 1 << (r & 63)
		return
	}
	if s.high == nil {
		s.high = map[rune]bool{}
	}
	s.high[r] = true
}

func (s *characterSet) add(o *characterSet) {
	s.low[0] |= o.low[0]
	s.low[1] |= o.low[1]
	for r := range o.high {
		s.put(r)
	}
}

// names lists the characters in the order of their codes.
func (s *characterSet) names() []string {
	var all []rune
	for k, word := range s.low {
		for ; word != 0; word &= word - 1 {
			all = append(all, rune(k*64+bits.TrailingZeros64(word)))
		}
	}
	for r := range s.high {
		all = append(all, r)
	}
	slices.Sort(all)
	names := make([]string, len(all))
	for i, r := range all {
		names[i] = string(r)
	}
	return names
}
