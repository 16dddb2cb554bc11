// Package atomicfile replaces files as a whole or not at all, on every system that Go knows.
package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// Write puts what write writes at path. Until all of it is on the disk, path keeps what it had; after an error, a full disk among
// them, it keeps it for good. A new file gets the permissions perm less the umask, one that is replaced keeps its own.
//
// The contents are written beside path, to a file whose name is a dot, path's name and a number, and renamed. Only a process
// that is killed leaves such a file.
//
// Errors: what write returned; what the system says, without the name of the file beside path.
func Write(path string, perm fs.FileMode, write func(io.Writer) error) (err error) {
	f, err := create(path, perm)
	if err != nil {
		return withoutPath(err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = withoutPath(err)
		}
	}()
	if info, err := os.Stat(path); err == nil && info.Mode().Perm() != perm {
		if err := f.Chmod(info.Mode().Perm()); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	if err := write(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	// The new name outlasts a power cut only once the folder is on the disk too. Some systems cannot do that for a folder; there the
	// name is as safe as they make it, and nothing is wrong with the file.
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		_ = dir.Sync()
		dir.Close()
	}
	return nil
}

// WriteBytes is Write of contents that are there already.
func WriteBytes(path string, perm fs.FileMode, contents []byte) error {
	return Write(path, perm, func(w io.Writer) error {
		_, err := w.Write(contents)
		return err
	})
}

// create makes a new file beside path.
func create(path string, perm fs.FileMode) (*os.File, error) {
	dir, base := filepath.Split(path)
	for {
		name := filepath.Join(dir, fmt.Sprintf(".%s%d", base, rand.Uint32()))
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
}

// withoutPath drops the name of the file beside the one that is meant: only the latter tells the user something.
func withoutPath(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	if l, ok := errors.AsType[*os.LinkError](err); ok {
		return l.Err
	}
	return err
}
