package weights

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/access"
)

// Load carries out a train's load clause: the cells that it names get the values that a file has for them. note says which entries of
// the file are left; it is "" if none are.
//
// The file may call a cell by its whole path or leave out what stands before the part that is loaded into: kernel of trunk.conv2d is
// trunk/conv2d/kernel or conv2d/kernel. All cells are called in one way. If that fails, layers are paired as File.Match pairs them.
//
// Errors: what is wrong with the file, or the cells that it lacks or has with other shapes.
func Load(prog runtime.Program, p *plan.Program, l *plan.Load) (note string, err error) {
	if err := access.Check(p, l.File); err != nil {
		return "", fmt.Errorf("load: %w", err)
	}
	name := l.File
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(p.File), name)
	}
	file, err := Read(name)
	if err != nil {
		return "", fmt.Errorf("load: %w", err)
	}
	want, cells := wanted(p, l)
	part, own := partName(p, l)
	found, rest, err := file.matchPart(want, prefixes(part), own)
	if err != nil {
		into := l.Into
		if into == "" {
			into = "the program"
		}
		return "", fmt.Errorf("load: %s does not fit %s:%w", name, into, err)
	}
	for i, w := range want {
		if err := prog.SetCell(cells[i], found[w.Path]); err != nil {
			return "", fmt.Errorf("load: %s: %w", name, err)
		}
	}
	if len(rest) == 0 {
		return "", nil
	}
	return "it also holds " + several(rest) + ", which nothing was loaded from", nil
}

// wanted lists what l wants, with paths within the part that is loaded into, and the names of the cells.
func wanted(p *plan.Program, l *plan.Load) (want []Want, cells []string) {
	for _, c := range p.Module.Cells {
		if l.Cells == nil && c.Kind != ir.Param && c.Kind != ir.State || l.Cells != nil && !slices.Contains(l.Cells, c.Name) {
			continue
		}
		name := c.Name
		if l.Root != "" {
			name = strings.TrimPrefix(name, l.Root+".")
		}
		w := Want{Path: strings.ReplaceAll(name, ".", "/")}
		for _, d := range c.Type.Shape {
			w.Shape = append(w.Shape, d.MustConst())
		}
		want, cells = append(want, w), append(cells, c.Name)
	}
	return want, cells
}

// partName returns the path of the part that is loaded into, and the layer under which a file of its own has the parameters that belong to
// none of its layers.
func partName(p *plan.Program, l *plan.Load) (part, own string) {
	switch {
	case l.Root != "":
		part = l.Root
	case l.Into != "": // the only model, whose name its cells' names leave out
		part = l.Into
	default:
		return "", ownerOf("", p)
	}
	return part, strings.ToLower(weightName(part))
}

// prefixes are what may stand in a file before the paths of a part, longest first: for GPT.block that is GPT/block, block and nothing.
func prefixes(part string) []string {
	if part == "" {
		return []string{""}
	}
	var list []string
	words := strings.Split(part, ".")
	for i := range words {
		list = append(list, strings.Join(words[i:], "/"))
	}
	return append(list, "")
}

// matchPart finds a value for every wanted parameter under one of the prefixes, or in order; one that belongs to no layer may also be found
// in the layer own. rest are the paths of the other entries.
func (f *File) matchPart(want []Want, prefixes []string, own string) (found map[string]*tensor.Tensor, rest []string, err error) {
	var problems []string // where the fewest paths are missing
	fewest := len(want) + 1
	for _, prefix := range prefixes {
		x := f.index()
		found = make(map[string]*tensor.Tensor, len(want))
		var wrong []string
		missing := 0
		for _, w := range want {
			i := x.find(join(prefix, w.Path))
			if i < 0 && !strings.Contains(w.Path, "/") {
				i = x.find(join(own, w.Path))
			}
			if i < 0 {
				missing++
				wrong = append(wrong, fmt.Sprintf("the file has no %q, which is wanted with shape %v", join(prefix, w.Path), w.Shape))
				continue
			}
			x.used[i] = true
			if found[w.Path] = x.entries[i].as(path.Base(w.Path), w.Shape); found[w.Path] == nil {
				wrong = append(wrong, fmt.Sprintf("%q has shape %v in the file, but %v is wanted", x.entries[i].Path, x.entries[i].Tensor.Shape, w.Shape))
			}
		}
		if len(wrong) == 0 {
			for i, e := range x.entries {
				if !x.used[i] {
					rest = append(rest, e.Path)
				}
			}
			return found, rest, nil
		}
		if missing < fewest {
			problems, fewest = wrong, missing
		}
	}
	if fewest == 0 { // the names say what was meant
		return nil, nil, errors.New("\n" + strings.TrimSuffix(bullets(problems), "\n"))
	}
	found, why := f.matchOrder(want)
	if why == "" {
		return found, nil, nil
	}
	return nil, nil, fmt.Errorf("\nBy name:\n%sIn order:\n  - %s", bullets(problems), why)
}

func join(prefix, path string) string {
	if prefix == "" {
		return path
	}
	return prefix + "/" + path
}

// several lists a few names.
func several(names []string) string {
	const most = 4
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most-1], ", "), len(names)-most+1)
	}
	return strings.Join(names, ", ")
}
