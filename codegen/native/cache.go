package native

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
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
const cacheMagic = "nnc object 1\n"

// key returns the name of what is made of text by this program with these flags.
func key(t *Toolchain, flags []string, text []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s%d %v %s\n", cacheMagic, t.Version, t.kind, strings.Join(flags, " "))
	h.Write(text)
	return hex.EncodeToString(h.Sum(nil))
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
func (t *Toolchain) object(c cache, text []byte, cpu string) ([]byte, error) {
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
