package claims

import (
	"encoding/json"
	"math"
	"strconv"

	"github.com/oidckit/oidckit/internal/strictjson"
)

// A literal is a value of a policy that claims are compared with. Its kind is that of
// strictjson.Kind, and 0 if it can be none.
type literal struct {
	kind   byte
	text   string
	number int64
	flag   bool
}

func literals(values ...any) []literal {
	list := make([]literal, len(values))
	for i, v := range values {
		list[i] = literalOf(v)
	}
	return list
}

// literalOf reads what people write in Go, and what JSON and YAML libraries produce.
func literalOf(v any) literal {
	switch v := v.(type) {
	case string:
		return literal{kind: '"', text: v}
	case bool:
		return literal{kind: 't', flag: v}
	}
	if n, ok := wholeNumber(v); ok {
		return literal{kind: '0', number: n}
	}
	return literal{}
}

func wholeNumber(v any) (int64, bool) {
	switch v := v.(type) {
	case int:
		return int64(v), true
	case int64:
		return v, true
	case int32:
		return int64(v), true
	case uint64:
		return int64(v), v <= math.MaxInt64 //nolint:gosec // the second result says whether it fits
	case uint:
		return wholeNumber(uint64(v))
	case float64: // beyond 2^53 a float64 is not the number that was written
		return int64(v), v == math.Trunc(v) && math.Abs(v) <= 1<<53
	case json.Number:
		n, err := strconv.ParseInt(v.String(), 10, 64)
		return n, err == nil
	}
	return 0, false
}

// data is what literalOf reads as l.
func (l literal) data() any {
	switch l.kind {
	case '"':
		return l.text
	case 't':
		return l.flag
	}
	return l.number
}

// compare compares with the JSON text of a claim.
func (l literal) compare(value string) outcome {
	if strictjson.Kind(value) != l.kind {
		return unknown(WrongType)
	}
	switch l.kind {
	case '"':
		text, _ := strictjson.String(value)
		return holdsIf(text == l.text)
	case 't':
		return holdsIf((value[0] == 't') == l.flag)
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return unknown(Malformed)
	}
	return holdsIf(n == l.number)
}
