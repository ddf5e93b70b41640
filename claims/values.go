package claims

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oidckit/oidckit/internal/strictjson"
)

// String returns the string that the path leads to. Errors are of type *Error.
func (s Set) String(p Path) (string, error) {
	value, err := s.lookup(p)
	if err != nil {
		return "", err
	}
	text, ok := strictjson.String(value)
	if !ok {
		return "", wrongType(p, value, "a string")
	}
	return text, nil
}

// A BoolOption lets [Set.Bool] read one more form. The functions that return one say
// which.
type BoolOption struct{ inString bool }

// BoolInString lets the strings "true" and "false" be booleans, as Amazon Cognito's
// userinfo and GitLab's ID tokens write them. Any other string is [Malformed].
func BoolInString() BoolOption { return BoolOption{inString: true} }

// Bool returns the boolean that the path leads to. A string is none, unless an option
// says so. Errors are of type *Error.
func (s Set) Bool(p Path, opts ...BoolOption) (bool, error) {
	value, err := s.lookup(p)
	if err != nil {
		return false, err
	}
	text, isText := strictjson.String(value)
	switch {
	case strictjson.Kind(value) == 't':
		return value[0] == 't', nil
	case !isText || !slices.Contains(opts, BoolInString()):
		return false, wrongType(p, value, "a boolean")
	case text != "true" && text != "false":
		return false, &Error{Claim: p.String(), Reason: Malformed, Hint: `a string other than "true" and "false"`}
	}
	return text == "true", nil
}

// Int64 returns the whole number that the path leads to, exactly or not at all.
// Errors are of type *Error.
func (s Set) Int64(p Path) (int64, error) {
	value, err := s.lookup(p)
	if err != nil {
		return 0, err
	}
	if strictjson.Kind(value) != '0' {
		return 0, wrongType(p, value, "a number")
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return 0, &Error{Claim: p.String(), Reason: Malformed, Hint: "not a whole number of 64 bits"}
	}
	return n, nil
}

// maxDate is the last second of the year 9999. Dates beyond it overflow
// somewhere, and what overflows lands in the past.
const maxDate = 253402300799

// Time returns the NumericDate (RFC 7519 section 2) that the path leads to:
// seconds since 1970, fractions allowed, from 1970 to 9999. Errors are of type
// *Error.
func (s Set) Time(p Path) (time.Time, error) {
	value, err := s.lookup(p)
	if err != nil {
		return time.Time{}, err
	}
	if strictjson.Kind(value) != '0' {
		return time.Time{}, wrongType(p, value, "a number")
	}
	seconds, err := strconv.ParseFloat(value, 64)
	if err != nil || !(seconds >= 0 && seconds <= maxDate) {
		return time.Time{}, &Error{Claim: p.String(), Reason: Malformed, Hint: "not a date from 1970 to 9999"}
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*float64(time.Second))), nil
}

// Decode decodes the whole object into v, a pointer to a struct or map. Names
// match exactly, and numbers in interfaces keep their text as json.Number of
// the go-jose json package.
func (s Set) Decode(v any) error {
	return strictjson.Decode(s.text(), v)
}

// Scopes returns the scopes of an access token: those of "scope" (RFC 9068
// section 2.2.3, RFC 8693 section 4.2) and of "scp", as Entra and Okta call it,
// each a list or one string with spaces between. No such claim means no scopes;
// one of another type is an *Error.
func (s Set) Scopes() ([]string, error) {
	var scopes []string
	for _, name := range [...]string{"scope", "scp"} {
		value, ok := s.object.Get(name)
		switch kind := strictjson.Kind(value); {
		case !ok || kind == 'n':
		case kind == '"':
			scopes = addScopes(scopes, value)
		case kind == '[':
			if _, err := s.Strings(P(name)); err != nil {
				return nil, err
			}
			for e := range strictjson.Elements(value) {
				scopes = addScopes(scopes, e)
			}
		default:
			return nil, wrongType(P(name), value, "a string or a list of strings")
		}
	}
	return scopes, nil
}

// addScopes adds the words of a JSON string, each once. It makes room for all of them
// at a time: this is done for every request.
func addScopes(scopes []string, value string) []string {
	text, _ := strictjson.String(value)
	if text = strings.Trim(text, " "); text == "" {
		return scopes
	}
	scopes = slices.Grow(scopes, strings.Count(text, " ")+1)
	for text != "" {
		scope, rest, _ := strings.Cut(text, " ")
		if scope != "" && !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
		text = rest
	}
	return scopes
}

func wrongType(p Path, value, want string) error {
	found := typeName(value)
	return &Error{Claim: p.String(), Reason: WrongType, Found: found, Hint: "got JSON " + found + ", want " + want}
}

func typeName(value string) string {
	switch strictjson.Kind(value) {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case '0':
		return "number"
	case 't':
		return "boolean"
	}
	return "null"
}
