package hdf5

import (
	"errors"
	"fmt"
	"strings"
)

// Object is a group or a dataset, as reached by a path.
type Object struct {
	f    *File
	path string
	*object
}

// open reads the object whose header is at an address.
func (f *File) open(addr uint64, path string) (*Object, error) {
	o, err := f.header(addr)
	if err != nil {
		return nil, fmt.Errorf("/%s: %w", path, err)
	}
	return &Object{f, path, o}, nil
}

// Path returns the way from the root to the object, without a leading slash.
func (o *Object) Path() string { return o.path }

// IsGroup tells whether the object can have links to others.
func (o *Object) IsGroup() bool {
	for _, kind := range []uint16{msgSymbolTable, msgLinkInfo, msgLink} {
		if _, ok := o.find(kind); ok {
			return true
		}
	}
	return false
}

// IsDataset tells whether the object is an array of data.
func (o *Object) IsDataset() bool {
	_, ok := o.find(msgLayout)
	return ok
}

// Names returns the names of a group's links: in the order in which they were made if the file records it, else by name.
func (o *Object) Names() ([]string, error) {
	links, err := o.list()
	if err != nil {
		return nil, err
	}
	names := make([]string, len(links))
	for i, l := range links {
		names[i] = l.name
	}
	return names, nil
}

// Lookup returns the object at a path relative to o, whose parts are joined by slashes.
//
// Errors: ErrNotFound, or what is wrong with the file.
func (o *Object) Lookup(path string) (*Object, error) {
	at := o
	for name := range strings.SplitSeq(path, "/") {
		links, err := at.list()
		if err != nil {
			return nil, err
		}
		found := false
		for _, l := range links {
			if l.name != name {
				continue
			}
			if l.target != "" {
				return nil, fmt.Errorf("/%s: is a link to %q, which is not followed", at.join(name), l.target)
			}
			if at, err = o.f.open(l.addr, at.join(name)); err != nil {
				return nil, err
			}
			found = true
			break
		}
		if !found {
			return nil, fmt.Errorf("/%s: %w", at.join(name), ErrNotFound)
		}
	}
	return at, nil
}

// ErrNotFound is the error for a path or an attribute that the file does not have.
var ErrNotFound = errors.New("not in the file")

func (o *Object) join(name string) string {
	if o.path == "" {
		return name
	}
	return o.path + "/" + name
}

// maxDepth bounds how deep groups may be nested.
const maxDepth = 64

// Walk calls visit for every object that hard links reach, parents first and in the order of Names. An object that
// several paths reach is visited once.
//
// Errors: that of visit, or what is wrong with the file, as groups nested deeper than 64.
func (f *File) Walk(visit func(*Object) error) error {
	seen := map[uint64]bool{}
	var walk func(o *Object, depth int) error
	walk = func(o *Object, depth int) error {
		if depth > maxDepth {
			return fmt.Errorf("/%s: groups are nested more than %d deep", o.path, maxDepth)
		}
		seen[o.addr] = true
		if err := visit(o); err != nil || !o.IsGroup() {
			return err
		}
		links, err := o.list()
		if err != nil {
			return err
		}
		for _, l := range links {
			if l.target != "" || seen[l.addr] {
				continue
			}
			child, err := f.open(l.addr, o.join(l.name))
			if err != nil {
				return err
			}
			if err := walk(child, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	return walk(f.root, 0)
}
