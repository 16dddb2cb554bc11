// Package image turns an ELF object file into one position-independent block of code, without a linker.
//
// Build lays out the executable sections and then the read-only ones, and applies the relocations between them; whatever would need
// a linker is an error. Package runtime/code maps and calls such blocks.
package image

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"slices"
)

// Image is a position-independent block of code and constants.
type Image struct {
	Bytes   []byte
	Symbols map[string]int // offsets of the functions
}

// Align is what sections, and with them images, are aligned to at least: a cache line, which also is the widest vector.
const Align = 64

// maxImage bounds the size of an image, of which an object file could claim any.
const maxImage = 1 << 30

// Build makes an image of an ELF object file for the machine that object files are compiled for here.
//
// Errors: a file that is no such object; a section that is writable; an undefined symbol; a relocation that needs a linker.
func Build(object []byte) (*Image, error) {
	f, err := elf.NewFile(bytes.NewReader(object))
	if err != nil {
		return nil, fmt.Errorf("object file: %w", err)
	}
	defer f.Close()
	if f.Type != elf.ET_REL || f.Class != elf.ELFCLASS64 || f.Data != elf.ELFDATA2LSB {
		return nil, fmt.Errorf("object file: %v, %v, %v is not a 64-bit little-endian relocatable file", f.Type, f.Class, f.Data)
	}
	patches, ok := patchesOf[f.Machine]
	if !ok {
		return nil, fmt.Errorf("object file: code for %v cannot be loaded yet", f.Machine)
	}
	l := &layout{file: f, patches: patches, offset: map[int]int{}, image: &Image{Symbols: map[string]int{}}}
	if err := l.place(); err != nil {
		return nil, err
	}
	if l.symbols, err = f.Symbols(); err != nil {
		return nil, fmt.Errorf("object file: symbols: %w", err)
	}
	for _, s := range f.Sections {
		if s.Type == elf.SHT_REL {
			return nil, fmt.Errorf("object file: section %s has relocations without addends", s.Name)
		}
		if s.Type == elf.SHT_RELA {
			if err := l.relocate(s); err != nil {
				return nil, err
			}
		}
	}
	for _, s := range l.symbols {
		if elf.ST_TYPE(s.Info) != elf.STT_FUNC {
			continue
		}
		base, ok := l.offset[int(s.Section)]
		if !ok || s.Value >= uint64(len(l.image.Bytes)-base) {
			return nil, fmt.Errorf("object file: function %s lies in no section", s.Name)
		}
		l.image.Symbols[s.Name] = base + int(s.Value)
	}
	return l.image, nil
}

// layout is an image while it is made.
type layout struct {
	file    *elf.File
	patches map[uint32]patch
	symbols []elf.Symbol
	offset  map[int]int // of the sections in the image, by number
	image   *Image
}

// place copies the sections into the image: code first.
func (l *layout) place() error {
	for _, code := range []bool{true, false} {
		for k, s := range l.file.Sections {
			if s.Flags&elf.SHF_ALLOC == 0 || dropped(s) || (s.Flags&elf.SHF_EXECINSTR != 0) != code {
				continue
			}
			if s.Flags&elf.SHF_WRITE != 0 {
				if s.Size == 0 {
					continue
				}
				return fmt.Errorf("object file: section %s is writable", s.Name)
			}
			if s.Flags&elf.SHF_TLS != 0 || s.Type != elf.SHT_PROGBITS && s.Type != elf.SHT_NOTE {
				return fmt.Errorf("object file: section %s of type %v cannot be loaded", s.Name, s.Type)
			}
			data, err := s.Data()
			if err != nil {
				return fmt.Errorf("object file: section %s: %w", s.Name, err)
			}
			align := max(Align, int(min(s.Addralign, 4096)))
			b := l.image.Bytes
			b = append(b, make([]byte, (align-len(b)%align)%align)...)
			if len(b)+len(data) > maxImage {
				return fmt.Errorf("object file: more than %d bytes", maxImage)
			}
			l.offset[k] = len(b)
			l.image.Bytes = append(b, data...)
		}
	}
	return nil
}

// unwindSection is the type that the x86-64 ABI gives to .eh_frame.
const unwindSection = elf.SHT_LOPROC + 1

// dropped tells sections that are of use to debuggers and unwinders only.
func dropped(s *elf.Section) bool {
	return s.Name == ".eh_frame" || s.Type == unwindSection || s.Name == ".note.GNU-stack"
}

// relocate applies the relocations in section s.
func (l *layout) relocate(s *elf.Section) error {
	base, ok := l.offset[int(s.Info)]
	if !ok {
		return nil // of a section that is not loaded
	}
	if int(s.Info) >= len(l.file.Sections) {
		return fmt.Errorf("object file: %s is for no section", s.Name)
	}
	target := l.file.Sections[s.Info]
	data, err := s.Data()
	if err != nil {
		return fmt.Errorf("object file: section %s: %w", s.Name, err)
	}
	for ; len(data) >= 24; data = data[24:] {
		var r elf.Rela64
		if err := binary.Read(bytes.NewReader(data[:24]), binary.LittleEndian, &r); err != nil {
			return fmt.Errorf("object file: section %s: %w", s.Name, err)
		}
		number := elf.R_SYM64(r.Info)
		if number == 0 || int(number) > len(l.symbols) {
			return fmt.Errorf("object file: a relocation in %s has no symbol", target.Name)
		}
		sym := l.symbols[number-1]
		if sym.Section == elf.SHN_UNDEF {
			return fmt.Errorf("object file: symbol %s is not defined: the code must not call or read anything outside itself", sym.Name)
		}
		to, ok := l.offset[int(sym.Section)]
		if !ok {
			return fmt.Errorf("object file: %s refers to %s, which is not loaded", target.Name, l.describe(sym))
		}
		p, ok := l.patches[elf.R_TYPE64(r.Info)]
		if !ok {
			return fmt.Errorf("object file: relocation %d of %s in %s needs a linker", elf.R_TYPE64(r.Info), l.describe(sym), target.Name)
		}
		if r.Off > target.Size || target.Size-r.Off < uint64(p.bytes) {
			return fmt.Errorf("object file: a relocation lies outside %s", target.Name)
		}
		at := base + int(r.Off)
		if !p.apply(l.image.Bytes[at:][:p.bytes], int64(to)+int64(sym.Value)+r.Addend-int64(at)) {
			return fmt.Errorf("object file: %s is too far from its use in %s", l.describe(sym), target.Name)
		}
	}
	return nil
}

func (l *layout) describe(s elf.Symbol) string {
	if s.Name != "" {
		return s.Name
	}
	if int(s.Section) < len(l.file.Sections) {
		return l.file.Sections[s.Section].Name
	}
	return fmt.Sprint(s.Section)
}

// Names returns the functions' names in the order in which they lie in the image.
func (i *Image) Names() []string {
	var names []string
	for n := range i.Symbols {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int { return i.Symbols[a] - i.Symbols[b] })
	return names
}
