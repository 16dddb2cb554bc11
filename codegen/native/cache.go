package native

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/nnc-lang/nnc/codegen"
)

// cache keeps object files by the content that they were made from, in a folder that processes share. Files are written under another name
// and renamed, so that a reader sees a whole file or none, and hold their own checksum, so that a damaged one is not used.
type cache struct {
	dir string // "" for none
}

// openCache returns the cache in NNC_CACHE, which "off" turns off, or else in the user's folder for caches.
func openCache() cache {
	switch dir := os.Getenv("NNC_CACHE"); dir {
	case "off":
		return cache{}
	case "":
		user, err := os.UserCacheDir()
		if err != nil {
			return cache{} // no home: compile each time
		}
		return cache{filepath.Join(user, "nnc")}
	default:
		return cache{dir}
	}
}

// CacheDir returns the folder in which object files are kept; "" stands for none.
func CacheDir() string { return openCache().dir }

// cacheMagic starts every file; its number changes with the format.
const cacheMagic = "nnc object 2\n"

// key returns the name of what is made of some texts by this program with these flags.
func key(t *Toolchain, flags []string, texts ...string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s%d %v %s\n", cacheMagic, t.Version, t.kind, strings.Join(flags, " "))
	for _, text := range texts {
		fmt.Fprintf(h, "%d\n%s", len(text), text)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// self tells builds of this program apart: it is the name that Go's linker gave it, or else follows from all of it; "" where it cannot be read.
var self = sync.OnceValue(func() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	if f, err := elf.Open(path); err == nil {
		defer f.Close()
		if s := f.Section(".note.go.buildid"); s != nil {
			if id, err := s.Data(); err == nil && len(id) > 64 { // with what it was made of, and what it is
				return string(id)
			}
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return string(sum[:])
})

// kernels returns an object file with some kernels, which are its symbols in their order. The cache knows their object files both by the LLVM IR that they
// are made of and by what the IR follows from, the kernels' keys and this program: so the IR is written only where something is new.
func (t *Toolchain) kernels(c cache, level Level, math codegen.Math, off leftOut, batch []*kernel) ([]byte, error) {
	flags := t.flags(level.CPU, "obj")
	from := []string{self(), fmt.Sprint(level, math, off)}
	for _, k := range batch {
		from = append(from, k.key)
	}
	short := ""
	if c.dir != "" && from[0] != "" {
		short = key(t, flags, from...)
		if name, ok := c.load(short); ok && len(name) == hex.EncodedLen(sha256.Size) {
			if object, ok := c.load(string(name)); ok {
				return object, nil
			}
		}
	}
	mod := newModule()
	for j, k := range batch {
		k.write(mod, symbol(j))
	}
	text := mod.m.String()
	object, err := t.object(c, text, level.CPU)
	if err == nil && short != "" {
		c.store(short, []byte(key(t, flags, text)))
	}
	return object, err
}

// load returns the content stored under key.
func (c cache) load(key string) ([]byte, bool) {
	if c.dir == "" {
		return nil, false
	}
	b, err := os.ReadFile(c.path(key))
	if err != nil || len(b) < len(cacheMagic)+sha256.Size || string(b[:len(cacheMagic)]) != cacheMagic {
		return nil, false
	}
	b = b[len(cacheMagic):]
	sum := sha256.Sum256(b[sha256.Size:])
	if !bytes.Equal(sum[:], b[:sha256.Size]) {
		return nil, false
	}
	return b[sha256.Size:], true
}

// store keeps content under key. A folder that cannot be written to costs time only, so errors are not reported.
func (c cache) store(key string, content []byte) {
	if c.dir == "" {
		return
	}
	path := c.path(key)
	if os.MkdirAll(filepath.Dir(path), 0o777) != nil {
		return
	}
	sum := sha256.Sum256(content)
	b := append([]byte(cacheMagic), sum[:]...)
	f, err := os.CreateTemp(filepath.Dir(path), "new-*")
	if err != nil {
		return
	}
	_, err = f.Write(append(b, content...))
	if errors.Join(err, f.Close()) != nil || os.Rename(f.Name(), path) != nil {
		_ = os.Remove(f.Name())
	}
}

func (c cache) path(key string) string { return filepath.Join(c.dir, key[:2], key+".o") }

// object compiles text, or finds what it was compiled to before.
func (t *Toolchain) object(c cache, text, cpu string) ([]byte, error) {
	k := key(t, t.flags(cpu, "obj"), text)
	if b, ok := c.load(k); ok {
		return b, nil
	}
	b, err := t.compile(text, cpu, "obj")
	if err != nil {
		return nil, err
	}
	c.store(k, b)
	return b, nil
}
