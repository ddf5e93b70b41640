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
	members, ok := strictjson.Elements(value)
	if !ok {
		return Set{}, errors.New(`jwks: "keys" is missing or no list`)
	}
	var set Set
	for i, member := range members[:min(len(members), maxKeys)] {
		key, err := ParseKey(member)
		if err != nil {
			set.Skipped = append(set.Skipped, Skipped{Index: i, Err: err})
			continue
		}
		set.Keys = append(set.Keys, key)
	}
	if len(set.Keys) == 0 {
		return Set{}, ErrNoUsableKey
	}
	return set, nil
}
