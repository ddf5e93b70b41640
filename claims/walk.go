package claims

import (
	"iter"
	"math/bits"
	"strconv"
	"strings"

	"github.com/oidckit/oidckit/internal/strictjson"
)

// What is here goes through JSON text that strictjson has checked, and checks nothing
// again: a decision on a claim costs a look at the bytes before it, and no memory.

// A walk goes down into JSON text. It is plain if there are no backslashes in the text:
// then a string ends at the next quote, and a name is what stands between two.
type walk struct{ plain bool }

func walkOf(text string) walk { return walk{plain: strings.IndexByte(text, '\\') < 0} }

// step goes one segment down. What it returns begins with the value and goes on to the
// end of text: only of the last value on a path need anybody know the end.
func (w walk) step(text, name string) (string, bool) {
	switch text[0] {
	case '{':
		return w.member(text, name)
	case '[':
		return w.element(text, name)
	}
	return "", false
}

// value cuts off what comes behind a value.
func (w walk) value(text string) string { return text[:w.valueEnd(text, 0)] }

// member returns a member of an object, and of nothing else.
func member(object, name string) (string, bool) {
	if strictjson.Kind(object) != '{' {
		return "", false
	}
	return walkOf(object).lookup(object, name)
}

// lookup is step with an end.
func (w walk) lookup(text, name string) (string, bool) {
	inner, ok := w.step(text, name)
	if !ok {
		return "", false
	}
	return w.value(inner), true
}

func (w walk) member(object, name string) (string, bool) {
	for i := space(object, 1); object[i] == '"'; {
		nameEnd := stringEnd(object, i)
		start := space(object, space(object, nameEnd)+1) // behind the colon
		if w.isName(object[i:nameEnd], name) {
			return object[start:], true
		}
		i = next(object, w.valueEnd(object, start))
	}
	return "", false
}

// isName compares a name as it is written, quotes included.
func (w walk) isName(written, name string) bool {
	if w.plain {
		return written[1:len(written)-1] == name
	}
	decoded, _ := strictjson.String(written)
	return decoded == name
}

// element returns an element of a list by its index in digits, without leading zeros.
func (w walk) element(list, index string) (string, bool) {
	n, err := strconv.Atoi(index)
	if err != nil || n < 0 || index[0] == '+' || index[0] == '-' || index[0] == '0' && len(index) > 1 {
		return "", false
	}
	for i := space(list, 1); list[i] != ']'; n-- {
		if n == 0 {
			return list[i:], true
		}
		i = next(list, w.valueEnd(list, i))
	}
	return "", false
}

// children yields the members of an object with their names, and the elements of a list
// with their indexes, in order.
func children(value string) iter.Seq2[string, string] {
	if strictjson.Kind(value) == '[' {
		return elements(value)
	}
	w := walkOf(value)
	return func(yield func(string, string) bool) {
		for i := space(value, 1); value[i] == '"'; {
			nameEnd := stringEnd(value, i)
			name, _ := strictjson.String(value[i:nameEnd])
			start := space(value, space(value, nameEnd)+1)
			end := w.valueEnd(value, start)
			if !yield(name, value[start:end]) {
				return
			}
			i = next(value, end)
		}
	}
}

func elements(list string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		index := 0
		for e := range strictjson.Elements(list) {
			if !yield(strconv.Itoa(index), e) {
				return
			}
			index++
		}
	}
}

// next steps from the end of a value to the next one, or to the closing bracket.
func next(text string, end int) int {
	i := space(text, end)
	if text[i] == ',' {
		i = space(text, i+1)
	}
	return i
}

func space(text string, i int) int {
	for i < len(text) && text[i] <= ' ' {
		i++
	}
	return i
}

// Eight bytes at a time: ones has a 1 in each, highs the highest bit of each.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// stringEnd returns the end of the string that begins at i.
func stringEnd(text string, i int) int {
	for i++; i+8 <= len(text); i += 8 {
		x := word(text[i : i+8])
		if marks := zeros(x^'"'*ones) | zeros(x^'\\'*ones); marks != 0 {
			i += bits.TrailingZeros64(marks) / 8
			if text[i] == '"' {
				return i + 1
			}
			i += 2 - 8 // behind the character that is escaped
		}
	}
	for text[i] != '"' {
		if text[i] == '\\' {
			i++
		}
		i++
	}
	return i + 1
}

// word returns eight bytes of s, the first of them lowest.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// zeros marks the bytes of x that are zero. The lowest mark is exact.
func zeros(x uint64) uint64 { return (x - ones) &^ x & highs }

func (w walk) valueEnd(text string, i int) int {
	switch text[i] {
	case '"':
		return stringEnd(text, i)
	case '{', '[':
		return w.nestedEnd(text, i)
	}
	for i < len(text) && text[i] != ',' && text[i] != '}' && text[i] != ']' && text[i] > ' ' {
		i++
	}
	return i
}

// nestedEnd returns the end of the object or list that begins at i. In most of them the
// first closing bracket ends it, which the machine finds faster than any loop here.
func (w walk) nestedEnd(text string, i int) int {
	opening, closing := byte('{'), byte('}')
	if text[i] == '[' {
		opening, closing = '[', ']'
	}
	inner := text[i+1:]
	inner = inner[:strings.IndexByte(inner, closing)]
	// It is not that bracket if another one of the kind was opened before, or if it
	// stands in a string, which it does behind an odd number of quotes.
	if w.plain && strings.IndexByte(inner, opening) < 0 && strings.Count(inner, `"`)%2 == 0 {
		return i + 1 + len(inner) + 1
	}
	return nestedEndBytewise(text, i)
}

func nestedEndBytewise(text string, i int) int {
	for depth := 0; ; i++ {
		switch text[i] {
		case '"':
			i = stringEnd(text, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
}
