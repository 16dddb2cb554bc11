package lang

import (
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// reach is what names of the file can be used at a place, before anything is evaluated. Outer ones are searched after inner ones.
type reach struct {
	outer *reach
	own   map[string]*declaredName
	later map[string]diag.Span // what statements further down in the same block declare
	open  bool                 // any name may be a field that only the data can tell
}

// declaredName is where a name is declared, and as what.
type declaredName struct {
	at   diag.Span
	noun noun
}

// noun is what messages call a name.
type noun string

// Nouns of local names; those of declarations are their first words.
const (
	argumentNoun  noun = "argument"
	valueNoun     noun = "value" // of a let
	indexNoun     noun = "index"
	dimensionNoun noun = "dimension"
	fieldNoun     noun = "field"
	carriedNoun   noun = "carried value" // of a scan
	weightNoun    noun = "weight"        // of an optimizer
)

// a is the noun with its article.
func (k noun) a() string {
	if strings.ContainsAny(string(k[:1]), "aeiou") {
		return "an " + string(k)
	}
	return "a " + string(k)
}

// number reports whether a name of this kind may stand for a dimension in a shape.
func (k noun) number() bool {
	switch k {
	case "option", "data declaration", argumentNoun, valueNoun, dimensionNoun:
		return true
	}
	return false
}

// assignable reports whether `<-` can change such a name.
func (k noun) assignable() bool {
	switch k {
	case "param", "state", "stream", carriedNoun, weightNoun:
		return true
	}
	return false
}

func newReach(outer *reach) *reach { return &reach{outer: outer, own: map[string]*declaredName{}} }

// find returns what a name of the file is, or nil.
func (r *reach) find(name string) *declaredName {
	for ; r != nil; r = r.outer {
		if d := r.own[name]; d != nil {
			return d
		}
	}
	return nil
}

// opened reports whether fields may be in reach that only the data can tell.
func (r *reach) opened() bool {
	for ; r != nil; r = r.outer {
		if r.open {
			return true
		}
	}
	return false
}

// list is all names in reach, nearest first.
func (r *reach) list() []string {
	var out []string
	for ; r != nil; r = r.outer {
		var own []string
		for name := range r.own {
			if !strings.HasPrefix(name, "...") {
				own = append(own, name)
			}
		}
		slices.Sort(own)
		out = append(out, own...)
	}
	return out
}

// nested runs f in a scope of its own, whose names end with it.
func (n *names) nested(f func()) {
	outer := n.scope
	n.scope = newReach(outer)
	f()
	for name, d := range n.scope.own {
		if old := n.ended[name]; old == nil || old.at.Start < d.at.Start {
			n.ended[name] = d
		}
	}
	n.scope = outer
}

// announce notes a name that is declared further down.
func (n *names) announce(name *syntax.Ident) {
	if n.scope.later == nil {
		n.scope.later = map[string]diag.Span{}
	}
	if n.scope.later[name.Name].IsZero() {
		n.scope.later[name.Name] = name.Span()
	}
}

// declare gives a name its meaning from here on; it returns false if the name is taken.
func (n *names) declare(name *syntax.Ident, k noun) bool {
	delete(n.scope.later, name.Name)
	if name.Name == "batch" {
		d := n.wrong(name.Span(), diag.KeywordAsName, "`batch` stands for the examples of a batch, as in mean[batch] x, and cannot name anything else")
		d.Fix = "choose another name, such as batch_size"
		return true
	}
	old := n.scope.find(name.Name)
	if old == nil {
		n.scope.own[name.Name] = &declaredName{name.Span(), k}
		return true
	}
	if n.scope != n.file {
		n.scope.own[name.Name] = &declaredName{name.Span(), k} // what follows means the new one
	}
	message := "`" + name.Name + "` is the name of " + old.noun.a() + " already"
	fix := "give one of them another name"
	switch {
	case n.scope == n.file && old.noun == k:
		message = "`" + name.Name + "` is declared twice"
	case old.noun == valueNoun && k == valueNoun:
		message = "`" + name.Name + "` has a value already, and it cannot be given another one"
		fix = "give the new value a name of its own"
	}
	d := n.wrong(name.Span(), diag.DuplicateName, message)
	n.relate(d, old.at, "the %s `%s`", old.noun, name.Name)
	d.Fix = fix
	return false
}

// wrong reports an error in the declaration at hand.
func (n *names) wrong(at diag.Span, code diag.Code, message string) *diag.Diagnostic {
	n.bad[n.decl] = true
	return n.report(at, diag.Span{}, code, message)
}

// use checks that a name means something here.
func (n *names) use(at diag.Span, name string) {
	if n.known(name) {
		return
	}
	n.unknown(at, name)
}

// known reports whether a name means something here.
func (n *names) known(name string) bool {
	return n.scope.find(name) != nil || n.std.lookup(name) != nil || name == "inf" || name == "training" ||
		slices.Contains(n.words, name) || n.scope.opened()
}

// unknown reports a name that means nothing here, and why that may be.
func (n *names) unknown(at diag.Span, name string) {
	for r := n.scope; r != nil; r = r.outer {
		if later := r.later[name]; !later.IsZero() {
			d := n.wrong(at, diag.UsedBeforeValue, "`"+name+"` is used before it is given a value")
			n.relate(d, later, "it is given a value only here")
			return
		}
	}
	if d := n.ended[name]; d != nil {
		x := n.wrong(at, diag.OutOfScope, "the "+string(d.noun)+" `"+name+"` is not known here")
		switch d.noun {
		case indexNoun:
			n.relate(x, d.at, "it is known only inside the expression that begins here")
		default:
			n.relate(x, d.at, "it is known only inside its block, which has ended")
			x.Fix = "declare it before the block"
		}
		return
	}
	if message, fix := n.elsewhere(name); message != "" {
		n.wrong(at, diag.Misplaced, message).Fix = fix
		return
	}
	if metric := strings.TrimPrefix(name, "val_"); n.step != nil && n.known(metric) {
		d := n.wrong(at, diag.UnknownMetric, "there is no metric `"+metric+"`")
		d.Fix = "add it to the metrics, as in metrics: " + metric + "(…)"
		return
	}
	d := n.wrong(at, diag.UnknownName, "there is no `"+name+"` here")
	candidates := slices.Concat(n.scope.list(), n.words, n.std.visible(), []string{"inf", "training", "true", "false"})
	if advice := foreignNames[name]; advice != "" {
		d.Fix = advice
	} else if near := suggestion(name, candidates); near != "" {
		d.Fix = "did you mean `" + near + "`?"
	}
}

// unknownOf reports a name where only one kind of thing can stand, of which the file and the library have these.
func (n *names) unknownOf(code diag.Code, at diag.Span, name, what string, have []string) {
	d := n.wrong(at, code, "there is no "+what+" `"+name+"`")
	if near := suggestion(name, have); near != "" {
		d.Fix = "did you mean `" + near + "`?"
	} else if len(have) > 0 && len(have) <= 8 {
		d.Fix = "there is " + joinNames(have)
	}
}

// named lists the file's names of one kind.
func (n *names) named(k noun) []string {
	return slices.DeleteFunc(n.file.list(), func(name string) bool { return n.file.own[name].noun != k })
}

// elsewhere says where a word of the language or a field means something, if it does not here.
func (n *names) elsewhere(name string) (message, fix string) {
	if n.step != nil && n.step.find(name) != nil {
		return "`" + name + "` belongs to a step, and `until` and `keep` look at the loss and the metrics of an epoch",
			"make it a metric, as in metrics: { " + name + ": … }"
	}
	switch name {
	case "batch":
		return "`batch` is not a value: it can only be reduced over, as in mean[batch] x", ""
	case "step", "epoch", "progress", "plateaus":
		return "`" + name + "` is known only in a train", "pass it as an argument, as in adam(lr: rate(" + name + "))"
	case "updates":
		return "`updates` is known only in the body of an optimizer", ""
	case "rest":
		return "`rest` can stand only after `over`", ""
	}
	var several []string
	if len(n.on) > 1 {
		for _, on := range n.on {
			if d := n.dataOf(on.Name); d != nil {
				fields, _ := n.fields(d)
				for _, f := range append(fields, mapFields(d)...) {
					if f.Name == name && !slices.Contains(several, on.Name+"."+name) {
						several = append(several, on.Name+"."+name)
					}
				}
			}
		}
	}
	if len(several) > 0 {
		return "`" + name + "` is a field of one of the several data that this train is on", "write " + strings.Join(several, " or ")
	}
	for _, d := range n.tree.Decls {
		data, ok := d.(*syntax.Data)
		if !ok {
			continue
		}
		fields, _ := n.fields(data)
		for _, f := range append(fields, mapFields(data)...) {
			if f.Name == name {
				return "`" + name + "` is a field of " + data.Name.Name + ", which only a train on " + data.Name.Name + " sees",
					"pass it as an argument"
			}
		}
	}
	return "", ""
}

// otherNames are names that other frameworks give to what the library has.
var otherNames = map[string]string{
	"Linear": "Dense", "Conv2d": "Conv2D", "MaxPooling2D": "MaxPool2D", "BatchNormalization": "BatchNorm", "LayerNormalization": "LayerNorm",
	"mean_squared_error": "mse", "MSELoss": "mse", "BCELoss": "binary_crossentropy", "CrossEntropyLoss": "crossentropy",
	"categorical_crossentropy": "crossentropy", "sparse_categorical_crossentropy": "crossentropy",
	"reduce_sum": "sum", "reduce_mean": "mean", "SGD": "sgd", "Adam": "adam", "ReLU": "relu",
	"batch_size": "batch", "learning_rate": "lr", "weight_decay": "decay", "beta_1": "beta1", "beta_2": "beta2", "epsilon": "eps", "p": "rate",
	"steps_per_epoch": "steps", "num_epochs": "epochs", "criterion": "loss", "kernel_size": "size", "pool_size": "size",
}

// foreignNames say what to write for names that other languages have and the library does not.
var foreignNames = map[string]string{
	"None": "leave the argument out", "null": "leave the argument out", "nil": "leave the argument out",
	"True": "write true", "False": "write false", "ln": "log(x) is the natural logarithm", "argmin": "write argmax of the negative, as in argmax(-x)",
	"matmul": "write a @ b", "dot": "write a @ b", "len": "name the dimension in the type, as n in x: f32[n]", "print": "what is listed in metrics: is printed after each epoch",
	"tf": noPrefix, "keras": noPrefix, "layers": noPrefix, "torch": noPrefix, "nn": noPrefix, "np": noPrefix, "F": noPrefix, "math": noPrefix,
}

const noPrefix = "the library's names stand alone, as in Dense(10) or exp(x)"

// suggestion is the name among these that was probably meant.
func suggestion(name string, have []string) string {
	if s := otherNames[name]; s != "" && slices.Contains(have, s) {
		return s
	}
	return diag.DidYouMean(name, have)
}
