package jwks

import (
	"fmt"
	"iter"

	"github.com/oidckit/oidckit/internal/strictjson"
)

// maxKeys is how many members of a document are looked at.
const maxKeys = 100

// A Set is what a JWK Set document says.
type Set struct {
	Keys    []Key
	Skipped []Skipped
}

// Skipped is a member of a document that was left out.
type Skipped struct {
	Index  int // in the "keys" list
	Reason KeyReason
	Err    error // more about it, of type *KeyError; it holds nothing of the member
}

// ParseSet reads a JWK Set (RFC 7517 section 5), member by member: what is no
// usable key is left out and told in Skipped. At most 100 members are looked at. A
// document without any usable key is an error, [ErrNoUsableKey].
func ParseSet(data []byte) (Set, error) {
	set, err := parseSet(string(data))
	if err != nil {
		return Set{}, err
	}
	return set, nil
}

// parseSet returns what was left out also if nothing is left.
func parseSet(text string) (Set, error) {
	object, err := strictjson.ParseString(text)
	if err != nil {
		return Set{}, fmt.Errorf("jwks: %w", err)
	}
	return parseMembers(object, parsePublic)
}

func parseMembers(object strictjson.Object, parse func(member string) (Key, error)) (set Set, err error) {
	value, _ := object.Get("keys")
	if strictjson.Kind(value) != '[' {
		return Set{}, &KeyError{KeyMalformed, `"keys" is missing or no list`}
	}
	i := 0
	for member := range firstMembers(value) {
		key, err := parse(member)
		if err != nil {
			set.Skipped = append(set.Skipped, Skipped{Index: i, Reason: reasonOf(err), Err: err})
		} else {
			set.Keys = append(set.Keys, key)
		}
		i++
	}
	if len(set.Keys) == 0 {
		return set, ErrNoUsableKey
	}
	return set, nil
}

func firstMembers(list string) iter.Seq[string] {
	return func(yield func(string) bool) {
		left := maxKeys
		for member := range strictjson.Elements(list) {
			if left == 0 || !yield(member) {
				return
			}
			left--
		}
	}
}
