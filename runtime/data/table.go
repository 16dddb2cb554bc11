package data

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// table reads the rows of a file of comma- or tab-separated values. Quotes mean something where commas separate, as RFC 4180 has
// it; a file whose separator is a tab has none.
type table struct {
	name   string // of the file, for messages
	header []string
	commas *csv.Reader
	tabs   *bufio.Reader
	comma  rune
	line   int      // of the row that was read last
	rows   int      // read so far
	first  []string // the first row of a file without a header, to be read again
	cells  []string
}

// maxLine bounds one row of a file that tabs separate, in bytes.
const maxLine = 64 << 20

// newTable reads the header; a file without one gets the names "1", "2", ….
func newTable(name string, r io.Reader, separator rune, header bool) (*table, error) {
	t := &table{name: name, comma: separator}
	b := bufio.NewReaderSize(r, 1<<16)
	switch mark, _ := b.Peek(3); {
	case string(mark) == "\xef\xbb\xbf": // a byte-order mark, which spreadsheets write
		b.Discard(3)
	case len(mark) >= 2 && (string(mark[:2]) == "\xff\xfe" || string(mark[:2]) == "\xfe\xff"):
		return nil, fmt.Errorf("%s is UTF-16 text: save it as UTF-8", name)
	}
	if separator == '\t' {
		t.tabs = b
	} else {
		t.commas = csv.NewReader(b)
		t.commas.Comma, t.commas.FieldsPerRecord, t.commas.ReuseRecord = separator, -1, true
	}
	row, err := t.read()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s is empty", name)
	}
	if err != nil {
		return nil, err
	}
	for k, cell := range row {
		if header {
			t.header = append(t.header, strings.TrimSpace(strings.Clone(cell)))
			continue
		}
		t.header = append(t.header, fmt.Sprint(k+1))
		t.first = append(t.first, strings.Clone(cell))
	}
	return t, nil
}

// next returns the cells of the next row, which are valid until the one after it is read; io.EOF after the last one. Empty lines are
// passed over.
func (t *table) next() ([]string, error) {
	row := t.first
	t.first = nil
	if row == nil {
		var err error
		if row, err = t.read(); err != nil {
			return nil, err
		}
	}
	t.rows++
	if len(row) != len(t.header) {
		return nil, fmt.Errorf("%s, line %d: the row has %s, but the first one has %d%s", t.name, t.line,
			plural(len(row), "value", "values"), len(t.header), t.advice(row))
	}
	return row, nil
}

// advice guesses why a row has too few or too many values.
func (t *table) advice(row []string) string {
	switch {
	case len(t.header) == 1 && len(row) > 1, len(row) > len(t.header) && t.comma == ',':
		return "; a value that holds a separator must stand in quotes"
	case len(row) == 1 && t.comma == ',' && strings.ContainsAny(row[0], ";\t"):
		return "; is another character the separator?"
	}
	return ""
}

func (t *table) read() ([]string, error) {
	if t.tabs != nil {
		return t.readTabs()
	}
	row, err := t.commas.Read()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		var p *csv.ParseError
		if !errors.As(err, &p) {
			return nil, fmt.Errorf("cannot read %s: %w", t.name, withoutPath(err))
		}
		why := "cannot be read: " + p.Err.Error()
		line := p.Line
		switch {
		case errors.Is(p.Err, csv.ErrQuote):
			line, why = p.StartLine, "a quote is never closed, or text follows the closing one; a quote within quotes is written twice"
		case errors.Is(p.Err, csv.ErrBareQuote):
			why = "a quote stands inside a value without quotes around it; write the value in quotes and the quote twice"
		}
		return nil, fmt.Errorf("%s, line %d: %s", t.name, line, why)
	}
	t.line, _ = t.commas.FieldPos(0)
	return row, t.checkText(row)
}

func (t *table) readTabs() ([]string, error) {
	for {
		line, err := readLine(t.tabs)
		if err != nil {
			if errors.Is(err, errLongLine) {
				return nil, fmt.Errorf("%s, line %d: %w", t.name, t.line+1, err)
			}
			if errors.Is(err, io.EOF) {
				return nil, io.EOF
			}
			return nil, fmt.Errorf("cannot read %s: %w", t.name, withoutPath(err))
		}
		t.line++
		if line == "" {
			continue
		}
		t.cells = t.cells[:0]
		for cell := range strings.SplitSeq(line, "\t") {
			t.cells = append(t.cells, cell)
		}
		return t.cells, t.checkText(t.cells)
	}
}

// checkText refuses text in another encoding, whose letters would come out as others.
func (t *table) checkText(row []string) error {
	for _, cell := range row {
		if !utf8.ValidString(cell) {
			return fmt.Errorf("%s, line %d: %.40q is not UTF-8 text; save the file as UTF-8", t.name, t.line, cell)
		}
	}
	return nil
}

var errLongLine = fmt.Errorf("the line is longer than %d bytes", maxLine)

// readLine reads a line without its end; io.EOF if there is none.
func readLine(r *bufio.Reader) (string, error) {
	var long []byte
	for {
		part, err := r.ReadSlice('\n')
		switch {
		case err == nil || errors.Is(err, io.EOF) && len(part)+len(long) > 0:
			line := part
			if long != nil {
				line = append(long, part...)
			}
			return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return "", err
		case len(long)+len(part) > maxLine:
			return "", errLongLine
		}
		long = append(long, part...)
	}
}
