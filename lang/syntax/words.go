package syntax

import "slices"

// declarationWords begin a top-level declaration.
var declarationWords = []string{
	"import", "option", "fn", "layer", "model", "optimizer", "metric", "data", "train", "test", "generate", "let",
}

// statementWords begin a statement and stand nowhere else, so a line that begins with one ends whatever bracket is still open.
var statementWords = []string{"let", "param", "state", "stream", "yield", "minimize", "expect"}

// innerWords are the other reserved words.
var innerWords = []string{
	"if", "else", "scan", "in", "while", "with", "over", "using", "clip", "every", "within", "and", "or", "not", "true", "false",
}

// reductionWords reduce when an index list follows them, and are functions otherwise; they cannot name anything else.
var reductionWords = []string{"sum", "mean", "max", "min", "prod", "argmax", "any", "all"}

// continuingWords make a line part of the one above.
var continuingWords = []string{"over", "using", "clip", "else", "within", "and", "or"}

var keywords = func() map[string]bool {
	m := map[string]bool{}
	for _, list := range [][]string{declarationWords, statementWords, innerWords} {
		for _, w := range list {
			m[w] = true
		}
	}
	return m
}()

// fileSuffixes end the names of files that programs mention.
var fileSuffixes = []string{"h5", "keras", "safetensors", "npz", "csv", "tsv", "txt", "gz", "png", "svg", "jpg", "jpeg", "wav", "json", "nn"}

// IsFileSuffix reports whether a word after a dot makes a name of a file, such as h5.
func IsFileSuffix(word string) bool { return slices.Contains(fileSuffixes, word) }

// IsKeyword reports whether word is reserved and so cannot be a name. Field names, argument names and clause names may be reserved words.
func IsKeyword(word string) bool { return keywords[word] || IsReduction(word) }

// IsReduction reports whether word is one of sum mean max min prod argmax any all.
func IsReduction(word string) bool { return slices.Contains(reductionWords, word) }
