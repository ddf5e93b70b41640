package claims

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/oidckit/oidckit/internal/strictjson"
)

// A Source is a place where claims come from.
type Source string

// The sources of claims, and their names in configuration files.
const (
	FromIDToken     Source = "id_token"
	FromUserInfo    Source = "userinfo"
	FromAccessToken Source = "access_token"
)

// DefaultOrder is the order of sources where a [Mapping] declares none: what was
// signed for the client, what the provider said on request, what was meant for an API.
func DefaultOrder() []Source { return []Source{FromIDToken, FromUserInfo, FromAccessToken} }

// A Mapping says where in the claims of a provider the parts of an [Identity] are. What
// it leaves zero is not mapped; what it names is required unless it is Optional. It has
// a form in JSON and in YAML, in which each claim is the text of a path, or an object:
//
//	username: preferred_username
//	email: {paths: [email], optional: true}
//	roles: {paths: [realm_access.roles, "resource_access.*.roles"], from: [access_token]}
type Mapping struct {
	Username TextClaim `json:"username,omitzero" yaml:"username,omitempty"`
	Name     TextClaim `json:"name,omitzero" yaml:"name,omitempty"`
	Email    TextClaim `json:"email,omitzero" yaml:"email,omitempty"`
	Roles    ListClaim `json:"roles,omitzero" yaml:"roles,omitempty"`
	Groups   ListClaim `json:"groups,omitzero" yaml:"groups,omitempty"`

	// EmailVerified is where the provider says that the e-mail address is verified, in
	// the source that has the address. Zero is "email_verified" beside a claim "email",
	// and nothing for any other claim: Entra ID's "upn" is no verified address.
	EmailVerified Path `json:"email_verified,omitzero" yaml:"email_verified,omitempty"`
	// EmailVerifiedInString takes the string "true" for it too, as [BoolInString] does.
	EmailVerifiedInString bool `json:"email_verified_in_string,omitempty" yaml:"email_verified_in_string,omitempty"`

	// From is the order in which sources are asked, for claims that do not declare
	// their own. The first that has a claim decides it. Empty is [DefaultOrder].
	From []Source `json:"from,omitempty" yaml:"from,omitempty"`

	// GroupResolver is asked for roles and groups that a provider leaves out because
	// they are too many. Without one that is an *[OverageError].
	GroupResolver GroupResolver `json:"-" yaml:"-"`
}

// A TextClaim says where one string is. Its text form, for configuration files and
// flags, is that of a [Path].
type TextClaim struct {
	// Paths are tried in their order, in each source.
	Paths []Path `json:"paths" yaml:"paths"`
	// From is the order of sources. Empty is that of the mapping.
	From []Source `json:"from,omitempty" yaml:"from,omitempty"`
	// Optional lets an identity lack it. A claim of another type is an error still.
	Optional bool `json:"optional,omitempty" yaml:"optional,omitempty"`
}

// A ListClaim says where a list of strings is. Its text form, for configuration files
// and flags, is that of a [Pattern].
type ListClaim struct {
	// Paths lead to parts of the list. All that the first source with any of them has
	// is joined, each string once.
	Paths []Pattern `json:"paths" yaml:"paths"`
	// From is the order of sources. Empty is that of the mapping.
	From []Source `json:"from,omitempty" yaml:"from,omitempty"`
	// Optional lets an identity lack it. A claim of another type is an error still, and
	// so is a list that the provider left out because it is too long.
	Optional bool `json:"optional,omitempty" yaml:"optional,omitempty"`

	// Split is "spaces" or "commas" for one string that is a list. See [SplitSpaces].
	Split string `json:"split,omitempty" yaml:"split,omitempty"`
	// Field is the member that has the string, in a list of objects. See [Field].
	Field string `json:"field,omitempty" yaml:"field,omitempty"`
	// JSONInString is for a list that stands in a string. See [JSONInString].
	JSONInString bool `json:"json_in_string,omitempty" yaml:"json_in_string,omitempty"`
	// Limit is the length from which on a list counts as cut off. See [Limit].
	Limit int `json:"limit,omitempty" yaml:"limit,omitempty"`
}

// IsZero reports whether nothing is mapped.
func (c TextClaim) IsZero() bool { return len(c.Paths) == 0 && len(c.From) == 0 && !c.Optional }

// UnmarshalText reads a path.
func (c *TextClaim) UnmarshalText(text []byte) error {
	path, err := ParsePath(string(text))
	if err == nil {
		*c = TextClaim{Paths: []Path{path}}
	}
	return err
}

// UnmarshalJSON reads a string as UnmarshalText does, or an object with the fields of c
// and no others.
func (c *TextClaim) UnmarshalJSON(data []byte) error {
	type fields TextClaim
	var f fields
	return unmarshalClaim(data, c, &f, func() { *c = TextClaim(f) })
}

// IsZero reports whether nothing is mapped.
func (c ListClaim) IsZero() bool {
	return len(c.Paths) == 0 && len(c.From) == 0 && !c.Optional && c.Split == "" && c.Field == "" && !c.JSONInString && c.Limit == 0
}

// UnmarshalText reads a pattern.
func (c *ListClaim) UnmarshalText(text []byte) error {
	pattern, err := ParsePattern(string(text))
	if err == nil {
		*c = ListClaim{Paths: []Pattern{pattern}}
	}
	return err
}

// UnmarshalJSON reads a string as UnmarshalText does, or an object with the fields of c
// and no others.
func (c *ListClaim) UnmarshalJSON(data []byte) error {
	type fields ListClaim
	var f fields
	return unmarshalClaim(data, c, &f, func() { *c = ListClaim(f) })
}

// unmarshalClaim reads a string into text, or an object into fields. A field that is
// misspelt would be a rule that does not hold.
func unmarshalClaim(data []byte, text encoding.TextUnmarshaler, fields any, done func()) error {
	if string(data) == "null" {
		return nil
	}
	if s, ok := strictjson.String(string(data)); ok {
		return text.UnmarshalText([]byte(s))
	}
	if _, err := strictjson.Parse(data); err != nil {
		return fmt.Errorf("claims: a mapping wants the text of a path or an object: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(fields); err != nil {
		return fmt.Errorf("claims: a mapping: %w", err)
	}
	done()
	return nil
}

// check returns what is wrong with a mapping.
func (m *Mapping) check() error {
	texts := []struct {
		field string
		claim TextClaim
	}{{"Username", m.Username}, {"Name", m.Name}, {"Email", m.Email}}
	for _, t := range texts {
		if err := checkClaim(t.field, t.claim.IsZero(), t.claim.Paths, t.claim.From); err != nil {
			return err
		}
	}
	lists := []struct {
		field string
		claim ListClaim
	}{{"Roles", m.Roles}, {"Groups", m.Groups}}
	for _, l := range lists {
		if err := checkList(l.field, l.claim); err != nil {
			return err
		}
	}
	if !m.EmailVerified.IsZero() && len(m.Email.Paths) != 1 {
		return errors.New("claims: Mapping.EmailVerified speaks of one address: Mapping.Email.Paths must have exactly one")
	}
	return checkOrder("From", m.From)
}

func checkList(field string, c ListClaim) error {
	switch {
	case c.Split != "" && c.Split != "spaces" && c.Split != "commas":
		return fmt.Errorf(`claims: Mapping.%s.Split must be "spaces" or "commas"`, field)
	case c.Limit < 0:
		return fmt.Errorf("claims: Mapping.%s.Limit must not be negative", field)
	}
	return checkClaim(field, c.IsZero(), c.Paths, c.From)
}

func checkClaim[P interface{ IsZero() bool }](field string, zero bool, paths []P, from []Source) error {
	switch {
	case zero:
		return nil
	case len(paths) == 0:
		return fmt.Errorf("claims: Mapping.%s.Paths is required", field)
	case slices.ContainsFunc(paths, P.IsZero):
		return fmt.Errorf("claims: Mapping.%s.Paths has an empty path", field)
	}
	return checkOrder(field+".From", from)
}

func checkOrder(field string, from []Source) error {
	for i, source := range from {
		if !slices.Contains(DefaultOrder(), source) {
			return fmt.Errorf(`claims: Mapping.%s must be of "id_token", "userinfo" and "access_token", not %q`, field, source)
		}
		if slices.Contains(from[:i], source) {
			return fmt.Errorf("claims: Mapping.%s has %q twice", field, source)
		}
	}
	return nil
}
