package jwks

import (
	"errors"
	"fmt"

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
	Index int   // in the "keys" list
	Err   error // why
}

// ParseSet reads a JWK Set (RFC 7517 section 5), member by member: what is no
// usable key is left out and told in Skipped. A document without any usable key
// is an error, [ErrNoUsableKey].
func ParseSet(data []byte) (Set, error) {
	object, err := strictjson.Parse(data)
	if err != nil {
		return Set{}, fmt.Errorf("jwks: %w", err)
	}
	value, _ := object.Get("keys")
	if strictjson.Kind(value) != '[' {
		return Set{}, errors.New(`jwks: "keys" is missing or no list`)
	}
	var set Set
	i := 0
	for member := range strictjson.Elements(value) {
		key, err := parseKey(member)
		if err != nil {
			set.Skipped = append(set.Skipped, Skipped{Index: i, Err: err})
		} else {
			set.Keys = append(set.Keys, key)
		}
		if i++; i == maxKeys {
			break
		}
	}
	if len(set.Keys) == 0 {
		return Set{}, ErrNoUsableKey
	}
	return set, nil
}
