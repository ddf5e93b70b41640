package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/oidckit/oidckit/claims"
	nearest "github.com/oidckit/oidckit/examples/internal/settings"
	"go.yaml.in/yaml/v3"
)

// settings are the file.
type settings struct {
	// Organizations are added to the database if it does not have them.
	Organizations map[string]organization `json:"organizations"`
	Token         struct {
		TTL  string `json:"ttl"`  // from a minute to two hours; default 90m
		Keys string `json:"keys"` // a file, which is made if it is not there
		// SingleUse lets a job exchange its token once. Default: as often as it has steps.
		SingleUse bool `json:"single_use"`
	} `json:"token"`
	// Admin is who may change organizations: who has a token of Issuer for Audience, with
	// Manager or Owner at Roles.
	Admin *struct {
		Issuer   string `json:"issuer"`
		Audience string `json:"audience"` // default: the public URL
		Roles    string `json:"roles"`    // path of a claim, where {ACCOUNT} is the organization; default organizations.{ACCOUNT}
		Untyped  bool   `json:"insecure_allow_untyped"`
	} `json:"admin"`
	// PrivateIssuers lets providers be in networks of one's own; default: if the public URL is.
	PrivateIssuers *bool `json:"private_issuers"`
	// ClientHeader is where a proxy writes whose request it is; default: the address of the connection.
	ClientHeader string `json:"client_header"`

	ttl  time.Duration
	file string // its name
}

// An organization is what the file, the admin API and the database have of one.
type organization struct {
	ServiceAccounts []string   `json:"service_accounts"`
	Providers       []provider `json:"providers"`

	ids map[string]string // of the service accounts; the database gives them
}

// readSettings reads the file. Errors name the key, and what to write.
func readSettings(name string, data []byte, force bool) (*settings, error) {
	var tree map[string]any
	s := &settings{file: name}
	d := yaml.NewDecoder(bytes.NewReader(data))
	err := d.Decode(&tree)
	switch more := any(nil); {
	case errors.Is(err, io.EOF) || err == nil && tree == nil:
		err = errors.New("is empty: write organizations")
	case err == nil && !errors.Is(d.Decode(&more), io.EOF):
		err = errors.New("has a second document: take out the line ---, or what is behind it")
	}
	if err == nil {
		err = assign(tree, s)
	}
	if err == nil {
		err = s.check(force)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

// in says which file an error is about.
func (s *settings) in(err error) error { return fmt.Errorf("%s: %w", s.file, err) }

func (s *settings) check(force bool) (err error) {
	if s.Token.TTL == "" {
		s.Token.TTL = "90m"
	}
	if s.ttl, err = time.ParseDuration(s.Token.TTL); err != nil || s.ttl < time.Minute || s.ttl > 2*time.Hour {
		return errors.New("token.ttl: is out of range: write a duration from 1m to 2h, with its unit, such as 90m")
	}
	if a := s.Admin; a != nil {
		if a.Roles == "" {
			a.Roles = "organizations.{ACCOUNT}"
		}
		if _, err := claims.ParsePath(a.Roles); err != nil || !strings.Contains(a.Roles, "{ACCOUNT}") || a.Roles[0] == '/' {
			return errors.New("admin.roles: must lead to the roles in one organization: write a path with {ACCOUNT} for its name, as organizations.{ACCOUNT}")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Organizations)) {
		o := s.Organizations[name]
		for i := range o.Providers {
			if _, err := o.Providers[i].check(o.ServiceAccounts); errors.As(err, new(openError)) {
				o.Providers[i].Force = force
			}
		}
		if _, err := o.check(name); err != nil {
			return fmt.Errorf("organizations.%s.%w", name, err)
		}
	}
	return nil
}

// slug is what names of organizations and service accounts look like, in URLs too.
var slug = regexp.MustCompile(`\A[a-z0-9][a-z0-9_-]{0,62}\z`)

// check completes the providers, and reports what is doubtful about them.
func (o organization) check(name string) (warnings []string, err error) {
	for i, s := range append([]string{name}, o.ServiceAccounts...) {
		switch {
		case !slug.MatchString(s):
			return nil, fmt.Errorf("service_accounts: %.70q is no name: write up to 63 of a-z, 0-9, - and _", s)
		case i > 0 && slices.Contains(o.ServiceAccounts[:i-1], s):
			return nil, fmt.Errorf("service_accounts: %q is there twice: leave one", s)
		}
	}
	if len(o.ServiceAccounts) > 1000 || len(o.Providers) > 100 { // all are looked at for each token
		return nil, errors.New("providers: an organization has 100 at most, and 1000 service accounts: take some out")
	}
	for i := range o.Providers {
		p := &o.Providers[i]
		found, err := p.check(o.ServiceAccounts)
		if slices.ContainsFunc(o.Providers[:i], func(other provider) bool { return other.Name == p.Name }) {
			err = errors.New("name: is there twice: write another one")
		}
		if err != nil {
			return nil, fmt.Errorf("providers[%d].%w", i, err)
		}
		for _, w := range found {
			warnings = append(warnings, p.Name+": "+w)
		}
	}
	return warnings, nil
}

// assign puts what JSON or YAML said into v, a pointer to a struct. A key that has no field
// there is an error, in another case too.
func assign(tree map[string]any, v any) error {
	if err := fits("", tree, reflect.TypeOf(v).Elem()); err != nil {
		return err
	}
	text, err := json.Marshal(tree)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}

// fits reports whether a value is of a type, and all in it of the types that it has there.
// Errors begin with the place.
func fits(place string, value any, t reflect.Type) error {
	if t.Kind() == reflect.Pointer {
		return fits(place, value, t.Elem())
	}
	if _, odd := value.(map[any]any); odd { // as YAML reads {1: x}
		return fmt.Errorf("%s: has a key that is no string: write it in quotes", place)
	}
	kind := kindOf(value)
	if value == nil || t.Kind() == reflect.Interface && kind != reflect.Map && kind != reflect.Slice {
		return nil
	}
	wanted := kinds[t.Kind()]
	if place == "token.ttl" {
		wanted += ", with its unit: 90m"
	}
	if t.Kind() != reflect.Interface && kinds[t.Kind()] != kinds[kind] {
		return fmt.Errorf("%s: is a %s: write a %s", place, kindName(kind), wanted)
	}
	switch value := value.(type) {
	case []any:
		for i, item := range value {
			if err := fits(fmt.Sprintf("%s[%d]", place, i), item, elem(t)); err != nil {
				return err
			}
		}
	case map[string]any:
		return membersFit(place, value, t)
	}
	return nil
}

func membersFit(place string, members map[string]any, t reflect.Type) error {
	for _, name := range slices.Sorted(maps.Keys(members)) {
		at, fields := strings.TrimPrefix(place+"."+name, "."), fieldsOf(t)
		inner, known := fields[name]
		switch {
		case t.Kind() != reflect.Struct:
			inner = elem(t)
		case !known:
			return fmt.Errorf("%.200s: is not known: did you mean %s?", at, nearest.Nearest(name, fields))
		}
		if err := fits(at, members[name], inner); err != nil {
			return err
		}
	}
	return nil
}

// elem is the type of what is in a list or mapping; in what may be anything, anything is.
func elem(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Interface {
		return t
	}
	return t.Elem()
}

// kinds are the types that settings have.
var kinds = map[reflect.Kind]string{
	reflect.String: "string, in quotes", reflect.Bool: "boolean, true or false", reflect.Slice: "list, [one, another]",
	reflect.Map: "mapping, {key: value}", reflect.Struct: "mapping, {key: value}",
}

// kindOf is the kind of a value of JSON or YAML; the zero one is that of a number, or a date.
func kindOf(value any) reflect.Kind {
	switch value.(type) {
	case string:
		return reflect.String
	case bool:
		return reflect.Bool
	case []any:
		return reflect.Slice
	case map[string]any:
		return reflect.Map
	}
	return reflect.Invalid
}

func kindName(kind reflect.Kind) string {
	text, _, _ := strings.Cut(kinds[kind], ",")
	return cmp.Or(text, "number")
}

// fieldsOf are the keys of a struct; other types have none.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	if t.Kind() != reflect.Struct {
		return fields
	}
	for field := range t.Fields() {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" {
			fields[name] = field.Type
		}
	}
	return fields
}
