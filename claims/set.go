package claims

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/oidckit/oidckit/internal/strictjson"
)

// A Set is a JSON object of claims. Its raw bytes are kept, so that a claim that
// is handed on has the form in which it was signed. The zero Set is empty. A Set
// may be shared; nothing changes it.
type Set struct {
	raw    string
	object strictjson.Object
}

// Parse checks raw and returns it as a Set. It refuses what is
// not exactly one JSON object in UTF-8 without duplicate or case-folded names,
// at any depth. Signatures are not its business: the verifiers of package oidc
// make Sets of what they verified.
func Parse(raw []byte) (Set, error) {
	text := string(raw)
	object, err := strictjson.ParseString(text)
	if err != nil {
		return Set{}, err
	}
	return Set{raw: text, object: object}, nil
}

// Raw returns a copy of the object as it was signed, and nil for the zero Set.
func (s Set) Raw() []byte {
	if s.raw == "" {
		return nil
	}
	return []byte(s.raw)
}

// MarshalJSON returns the object as it was signed.
func (s Set) MarshalJSON() ([]byte, error) { return []byte(s.text()), nil }

// text is the object, also that of the zero Set.
func (s Set) text() string {
	if s.raw == "" {
		return "{}"
	}
	return s.raw
}

// Format redacts, whatever the verb: claims are personal data, and do not belong
// into a log by accident.
func (s Set) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "claims[%d bytes]", len(s.raw)) }

// LogValue redacts, as Format does.
func (s Set) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }

// Has reports whether the path leads to a value other than null.
func (s Set) Has(p Path) bool {
	text, ok := s.find(p)
	return ok && strictjson.Kind(text) != 'n'
}

// find returns the JSON text that the path leads to, which may be null.
func (s *Set) find(p Path) (string, bool) {
	if p.IsZero() {
		return "", false
	}
	text, ok := s.object.Get(p.segments[0])
	if !ok || len(p.segments) == 1 {
		return text, ok
	}
	w := walkOf(text)
	for _, name := range p.segments[1:] {
		if text, ok = w.step(text, name); !ok {
			return "", false
		}
	}
	return w.value(text), true
}

// lookup is find with the reason why there is nothing.
func (s *Set) lookup(p Path) (string, error) {
	text, ok := s.find(p)
	switch {
	case p.IsZero():
		return "", errEmptyPath()
	case !ok:
		return "", &Error{Claim: p.String(), Reason: Missing, Hint: s.hint(p)}
	case strictjson.Kind(text) == 'n':
		return "", &Error{Claim: p.String(), Reason: Null}
	}
	return text, nil
}

func errEmptyPath() error { return &Error{Claim: "the empty path", Reason: Missing} }

// hint tells people who wrote a URL where a path was wanted how to escape it.
func (s *Set) hint(p Path) string {
	if len(p.segments) < 2 {
		return ""
	}
	whole := strings.Join(p.segments, ".")
	if _, ok := s.object.Get(whole); !ok {
		return ""
	}
	return "a member has that whole name: write it as " + P(whole).String()
}

// FromVerified returns the Set of a payload that another package of this module has
// parsed already. Programs call [Parse].
func FromVerified(payload string, object strictjson.Object) Set {
	return Set{raw: payload, object: object}
}
