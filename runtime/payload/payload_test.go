package payload

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

var testSections = []Section{
	{"plan", []byte(`{"File":"a.nn"}`)},
	{"weights", bytes.Repeat([]byte{1, 2, 3, 4}, 300_000)},
	{"empty", nil},
}

func written(t testing.TB, executable []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, executable, testSections); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func opened(t *testing.T, content []byte) (*File, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model")
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err == nil {
		t.Cleanup(func() { f.Close() })
	}
	return f, err
}

func TestRoundTrip(t *testing.T) {
	executable := bytes.Repeat([]byte("exe"), 1717)
	content := written(t, executable)
	if !bytes.HasPrefix(content, executable) || !bytes.Equal(content, written(t, executable)) {
		t.Error("the executable is not the beginning, or two writes differ")
	}
	f, err := opened(t, content)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"plan", "weights", "empty"}; !slices.Equal(f.Names(), want) {
		t.Errorf("sections %q, want %q", f.Names(), want)
	}
	for _, s := range testSections {
		data, err := f.Read(s.Name)
		if err != nil || !bytes.Equal(data, s.Data) || f.Size(s.Name) != int64(len(s.Data)) {
			t.Errorf("%s: %d bytes, %v", s.Name, len(data), err)
		}
		mapped, err := f.Map(s.Name, Private)
		if err != nil || !bytes.Equal(mapped, s.Data) {
			t.Errorf("%s mapped: %d bytes, %v", s.Name, len(mapped), err)
		}
		if len(mapped) > 0 {
			mapped[0]++ // private: the file stays as it is
		}
		if again, err := f.Read(s.Name); err != nil || !bytes.Equal(again, s.Data) {
			t.Errorf("%s after a write to mapped memory: %v", s.Name, err)
		}
	}
	if _, err := f.Read("code"); !errors.Is(err, ErrDamaged) {
		t.Errorf("a missing section: %v", err)
	}
}

func TestNoPayload(t *testing.T) {
	content := written(t, []byte("an executable of some length, longer than a trailer"))
	for name, c := range map[string][]byte{"empty": nil, "short": []byte("x"), "executable": []byte("an executable of some length, longer than a trailer"), "cut": content[:len(content)-1]} {
		if _, err := opened(t, c); !errors.Is(err, ErrNone) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever byte of a payload changes, somebody notices.
func TestDamage(t *testing.T) {
	executable := []byte("exe")
	content := written(t, executable)
	clean, err := opened(t, content)
	if err != nil {
		t.Fatal(err)
	}
	ends := 0
	for _, s := range clean.sections {
		if s.Size == 0 {
			continue
		}
		for _, at := range []int64{s.Offset, s.Offset + s.Size/2, s.Offset + s.Size - 1} {
			bad := bytes.Clone(content)
			bad[at] ^= 4
			f, err := opened(t, bad)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Read(s.Name); !errors.Is(err, ErrDamaged) {
				t.Errorf("byte %d of %s read: %v", at, s.Name, err)
			}
			if _, err := f.Map(s.Name, Private); !errors.Is(err, ErrDamaged) {
				t.Errorf("byte %d of %s mapped: %v", at, s.Name, err)
			}
		}
		ends = max(ends, int(s.Offset+s.Size))
	}
	table := (ends + pageBytes - 1) / pageBytes * pageBytes
	for at := table; at < len(content); at++ {
		bad := bytes.Clone(content)
		bad[at] ^= 4
		if _, err := opened(t, bad); err == nil {
			t.Errorf("byte %d of table and trailer: opened", at)
		}
	}
}

// No file makes the reader panic or reach outside it.
func FuzzTable(f *testing.F) {
	f.Add(written(f, []byte("exe")), false)
	f.Add([]byte(`[{"Name":"a","Offset":9223372036854775807,"Size":9223372036854775807}]`), true)
	f.Add([]byte(`[{"Name":"a","Offset":-4096,"Size":1},null]`), true)
	f.Add([]byte(`[{"Name":"a","Offset":4096,"Size":4096,"Sums":[1]}]`), true)
	f.Fuzz(func(t *testing.T, file []byte, seal bool) {
		if seal { // so that the fuzzer gets behind the checksum
			table := file
			file = append(make([]byte, 2*pageBytes), table...)
			file = append(file, magic...)
			file = binary.LittleEndian.AppendUint32(file, version)
			file = binary.LittleEndian.AppendUint32(file, crc32.Checksum(table, castagnoli))
			file = binary.LittleEndian.AppendUint64(file, 2*pageBytes)
			file = binary.LittleEndian.AppendUint64(file, uint64(len(table)))
		}
		rows, err := readTable(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			return
		}
		for _, s := range rows {
			if _, err := bytes.NewReader(file).ReadAt(make([]byte, s.Size), s.Offset); err != nil {
				t.Errorf("section %q of %d bytes at %d in %d bytes", s.Name, s.Size, s.Offset, len(file))
			}
		}
		if _, err := json.Marshal(rows); err != nil {
			t.Error(err)
		}
	})
}
