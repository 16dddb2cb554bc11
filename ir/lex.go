package ir

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nnc-lang/nnc/ir/diag"
)

// tokenKind is a class of words of the text form.
type tokenKind uint8

const (
	tokEnd    tokenKind = iota
	tokName             // a word
	tokInt              // digits
	tokFloat            // digits with a point or an exponent
	tokString           // in double quotes, as Go writes them
	tokValue            // %name
	tokGlobal           // @name or @"name"
	tokPunct            // anything else; "->" is one token
)

// token is one word; text is the name without its mark, or the quoted source of a string.
type token struct {
	kind       tokenKind
	text       string
	start, end int
}

// isNameRune reports whether c may stand in a name; points are for paths and only inside.
func isNameRune(c rune) bool {
	return c == '_' || unicode.IsLetter(c) || unicode.IsDigit(c)
}

// isName reports whether s is a word of the text form.
func isName(s string) bool {
	for i, c := range s {
		if !isNameRune(c) || i == 0 && unicode.IsDigit(c) {
			return false
		}
	}
	return s != ""
}

// isSymbol reports whether s can name a symbol: a word that starts with an upper-case letter.
func isSymbol(s string) bool {
	c, _ := utf8.DecodeRuneInString(s)
	return unicode.IsUpper(c) && isName(s)
}

// isPath reports whether s can follow % or @ without quotes.
func isPath(s string) bool {
	for _, c := range s {
		if !isNameRune(c) && c != '.' {
			return false
		}
	}
	return s != "" && utf8.ValidString(s)
}

// lexer cuts text into tokens. It allocates nothing but the tokens asked for, so the size of text bounds all work.
type lexer struct {
	text string
	at   int
}

// next returns the next token; comments from # to the end of the line and white space are passed over.
func (l *lexer) next() (token, error) {
	for l.at < len(l.text) {
		switch c := l.text[l.at]; {
		case c == '#':
			end := strings.IndexByte(l.text[l.at:], '\n')
			if end < 0 {
				end = len(l.text) - l.at
			}
			l.at += end
			continue
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			l.at++
			continue
		}
		break
	}
	start := l.at
	if start == len(l.text) {
		return token{kind: tokEnd, start: start, end: start}, nil
	}
	switch c := l.text[start]; {
	case c >= '0' && c <= '9':
		return l.number(start), nil
	case c == '"':
		if err := l.quoted(); err != nil {
			return token{}, err
		}
		return token{tokString, l.text[start:l.at], start, l.at}, nil
	case c == '%' || c == '@':
		l.at++
		kind := tokValue
		if c == '@' {
			kind = tokGlobal
			if l.at < len(l.text) && l.text[l.at] == '"' {
				if err := l.quoted(); err != nil {
					return token{}, err
				}
				return token{tokGlobal, l.text[start+1 : l.at], start, l.at}, nil
			}
		}
		l.take(func(c rune) bool { return isNameRune(c) || c == '.' })
		if l.at == start+1 {
			return token{}, &lexError{diag.InvalidCharacter, start, l.at, fmt.Sprintf("a name must follow %c", c)}
		}
		return token{kind, l.text[start+1 : l.at], start, l.at}, nil
	case strings.HasPrefix(l.text[start:], "->"):
		l.at += 2
		return token{tokPunct, "->", start, l.at}, nil
	case strings.IndexByte("()[]{}<>|,:=+-*/", c) >= 0:
		l.at++
		return token{tokPunct, l.text[start:l.at], start, l.at}, nil
	}
	l.take(isNameRune)
	if l.at == start {
		c, size := utf8.DecodeRuneInString(l.text[start:])
		return token{}, &lexError{diag.InvalidCharacter, start, start + size, fmt.Sprintf("%q has no meaning here", c)}
	}
	return token{tokName, l.text[start:l.at], start, l.at}, nil
}

// take moves on over characters that ok accepts.
func (l *lexer) take(ok func(rune) bool) {
	for l.at < len(l.text) {
		c, size := utf8.DecodeRuneInString(l.text[l.at:])
		if c == utf8.RuneError && size <= 1 || !ok(c) {
			return
		}
		l.at += size
	}
}

// number cuts digits, with a fraction and an exponent if they follow.
func (l *lexer) number(start int) token {
	digits := func() { l.take(func(c rune) bool { return c >= '0' && c <= '9' }) }
	kind := tokInt
	digits()
	if l.at < len(l.text) && l.text[l.at] == '.' {
		kind = tokFloat
		l.at++
		digits()
	}
	if l.at < len(l.text) && (l.text[l.at] == 'e' || l.text[l.at] == 'E') {
		mark := l.at
		l.at++
		if l.at < len(l.text) && (l.text[l.at] == '+' || l.text[l.at] == '-') {
			l.at++
		}
		from := l.at
		digits()
		if l.at == from {
			l.at = mark // the e belongs to what follows
		} else {
			kind = tokFloat
		}
	}
	return token{kind, l.text[start:l.at], start, l.at}
}

// quoted moves on over a string in double quotes.
func (l *lexer) quoted() error {
	start := l.at
	for l.at++; l.at < len(l.text) && l.text[l.at] != '\n'; l.at++ {
		switch l.text[l.at] {
		case '\\':
			l.at++
		case '"':
			l.at++
			return nil
		}
	}
	l.at = min(l.at, len(l.text))
	return &lexError{diag.UnterminatedString, start, l.at, "the string has no closing \""}
}

// lexError is a place that is no token.
type lexError struct {
	code       diag.Code
	start, end int
	message    string
}

func (e *lexError) Error() string { return e.message }
