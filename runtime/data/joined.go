package data

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// Part is a source under a name.
type Part struct {
	Name   string
	Source Source
}

// joined is a source of examples that consist of one of each part. It has as many as the first part.
type joined struct {
	parts  []Part
	first  []int // by part, the number of its first field; one more for the end
	fields []Field
}

// Join returns a source whose examples consist of an example of each part. It has as many examples as the first one; the others are gone
// through over and over. A Loader shuffles each part by itself and goes on in the others where the last pass over the first one ended. Fields are
// called by their part's name and their own, "Photos.image"; lengths "Photos.length.text".
//
// Errors: no examples in a part; a part in the order of streams that is not the first one, whose rows would be torn where a pass ends.
func Join(parts ...Part) (Source, error) {
	j := &joined{parts: parts}
	for k, p := range parts {
		if p.Source.Len() == 0 {
			return nil, fmt.Errorf("%s has no examples", p.Name)
		}
		if _, ok := p.Source.(streams); ok && k > 0 {
			return nil, fmt.Errorf("%s is in the order of streams, which only the first of several data can be", p.Name)
		}
		j.first = append(j.first, len(j.fields))
		for _, f := range p.Source.Fields() {
			f.Name = p.Name + "." + f.Name
			j.fields = append(j.fields, f)
		}
	}
	j.first = append(j.first, len(j.fields))
	return j, nil
}

func (j *joined) Len() int        { return j.parts[0].Source.Len() }
func (j *joined) Fields() []Field { return j.fields }

// Name tells where the first part's example comes from.
func (j *joined) Name(i int) string { return j.parts[0].Source.Name(i) }

// At writes example i of the first part with those of the others at the same place of their source's order.
func (j *joined) At(i int, dst []*tensor.Tensor, row int) error {
	for k, p := range j.parts {
		if err := p.Source.At(i%p.Source.Len(), dst[j.first[k]:j.first[k+1]], row); err != nil {
			return err
		}
	}
	return nil
}

func (j *joined) AtOnly(i int, dst []*tensor.Tensor, row int) error {
	for k, p := range j.parts {
		if err := (forwarded{p.Source}).AtOnly(i%p.Source.Len(), dst[j.first[k]:j.first[k+1]], row); err != nil {
			return err
		}
	}
	return nil
}

func (j *joined) LengthOf(i, field int) int {
	k, _ := slices.BinarySearch(j.first, field+1)
	k--
	src := j.parts[k].Source
	return src.(Ragged).LengthOf(i%src.Len(), field-j.first[k])
}

func (j *joined) Skipped() []string {
	var lines []string
	for _, p := range j.parts {
		if r, ok := p.Source.(SkipReporter); ok {
			lines = append(lines, r.Skipped()...)
		}
	}
	return lines
}

func isJoined(src Source) bool {
	_, ok := src.(*joined)
	return ok
}

// partsOf returns the sources that an example of src is made of, and where their fields begin.
func partsOf(src Source) (parts []Source, first []int) {
	j, ok := src.(*joined)
	if !ok {
		return []Source{src}, []int{0, len(src.Fields())}
	}
	for _, p := range j.parts {
		parts = append(parts, p.Source)
	}
	return parts, j.first
}

// visitOrder finds the examples of a part by their place in the endless sequence of its passes.
type visitOrder struct {
	src   Source
	visit Visit
	known bool // at is the order of visit.Pass
	at    func(place int) int32
}

// example returns the example at a place of a pass.
func (v *visitOrder) example(pass uint64, place int) int32 {
	if !v.known || pass != v.visit.Pass {
		v.visit.Pass, v.known = pass, true
		v.at = orderOfVisit(v.src, v.visit)
	}
	return v.at(place)
}

// orderOfVisit returns the examples of a pass by their place in the order of their visit.
func orderOfVisit(src Source, v Visit) func(place int) int32 {
	if o, ok := src.(Orderer); ok {
		return o.Order(v)
	}
	if !v.Shuffle {
		return func(place int) int32 { return int32(place) }
	}
	return shuffled(v.Seed, v.Pass, src.Len())
}

// partSeed is the seed of the order of a part: parts of the same size are shuffled differently.
func partSeed(seed uint64, part int) uint64 { return seed + uint64(part)*0x9E3779B97F4A7C15 }

// visits returns the orders of a source's parts.
func visits(src Source, opt Options) []*visitOrder {
	parts, _ := partsOf(src)
	var orders []*visitOrder
	for k, p := range parts {
		orders = append(orders, &visitOrder{src: p, visit: Visit{Seed: partSeed(opt.Seed, k), Batch: opt.Batch, Shuffle: opt.shuffles(k)}})
	}
	return orders
}

// shuffles reports whether a part is visited in an order of its own in each pass.
func (o Options) shuffles(part int) bool {
	if part > 0 && o.ShuffleJoined != nil {
		return o.ShuffleJoined[part-1]
	}
	return o.Shuffle
}

// joinedText describes the parts beside the first, as far as positions depend on them; "" if there are none.
func joinedText(src Source, opt Options) string {
	j, ok := src.(*joined)
	if !ok {
		return ""
	}
	var texts []string
	for k, p := range j.parts[1:] {
		text := fmt.Sprintf("%s with %d examples", p.Name, p.Source.Len())
		if opt.shuffles(k + 1) {
			text += " shuffled"
		}
		if order := orderOf(p.Source); order != "" {
			text += " by " + order
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}
