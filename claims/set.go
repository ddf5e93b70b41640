package claims

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/oidckit/oidckit/internal/strictjson"
)

// A Set is a JSON object of claims. Its raw bytes are kept, so that a claim that
// is handed on has the form in which it was signed. The zero Set is empty. A Set
// may be shared; nothing changes it.
type Set struct {
	raw    []byte
	object strictjson.Object
}

// Parse checks raw and returns it as a Set, which keeps raw. It refuses what is
// not exactly one JSON object in UTF-8 without duplicate or case-folded names,
// at any depth. Signatures are not its business: the verifiers of package oidc
// make Sets of what they verified.
func Parse(raw []byte) (Set, error) {
	object, err := strictjson.Parse(raw)
	if err != nil {
		return Set{}, err
	}
	return Set{raw: raw, object: object}, nil
}

// Raw returns the object as it was signed. It must not be changed.
func (s Set) Raw() []byte { return s.raw }

// MarshalJSON returns the object as it was signed.
func (s Set) MarshalJSON() ([]byte, error) {
	if s.raw == nil {
		return []byte("{}"), nil
	}
	return s.raw, nil
}

// Format redacts, whatever the verb: claims are personal data, and do not belong
// into a log by accident.
func (s Set) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "claims[%d bytes]", len(s.raw)) }

// LogValue redacts, as Format does.
func (s Set) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }

// Has reports whether the path leads to a value other than null.
func (s Set) Has(p Path) bool {
	_, err := s.lookup(p)
	return err == nil
}

// lookup returns the JSON text that the path leads to.
func (s Set) lookup(p Path) ([]byte, error) {
	if p.IsZero() {
		return nil, &Error{Claim: "the empty path", Reason: Missing}
	}
	value, ok := s.object.Get(p.segments[0])
	for _, name := range p.segments[1:] {
		if !ok {
			break
		}
		value, ok = step(value, name)
	}
	switch {
	case !ok:
		return nil, &Error{Claim: p.String(), Reason: Missing, Hint: s.hint(p)}
	case strictjson.Kind(value) == 'n':
		return nil, &Error{Claim: p.String(), Reason: Null}
	}
	return value, nil
}

// step goes one segment down from value.
func step(value []byte, name string) ([]byte, bool) {
	if elements, ok := strictjson.Elements(value); ok {
		i, err := strconv.Atoi(name)
		if err != nil || i < 0 || i >= len(elements) || strconv.Itoa(i) != name {
			return nil, false
		}
		return elements[i], true
	}
	object, err := strictjson.Parse(value)
	if err != nil {
		return nil, false
	}
	return object.Get(name)
}

// hint tells people who wrote a URL where a path was wanted how to escape it.
func (s Set) hint(p Path) string {
	if len(p.segments) < 2 {
		return ""
	}
	whole := strings.Join(p.segments, ".")
	if _, ok := s.object.Get(whole); !ok {
		return ""
	}
	return "a member has that whole name: write it as " + Escape(whole)
}

// FromVerified returns the Set of a payload that another package of this module has
// parsed already. Programs call [Parse].
func FromVerified(payload []byte, object strictjson.Object) Set {
	return Set{raw: payload, object: object}
}
