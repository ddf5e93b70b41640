package discovery

import (
	"maps"
	"reflect"
	"strings"

	"github.com/oidckit/oidckit/internal/strictjson"
)

// The tags of Metadata are the one list of members. Here they are read.

// An endpoint is a member that is the URL of one.
type endpoint struct {
	name    string // "jwks_uri", "mtls_endpoint_aliases.token_endpoint"
	url     *string
	browser bool // the browser is sent there; this process does not call it
}

// endpoints returns all endpoints of m, also those that are empty.
func (m *Metadata) endpoints() []endpoint {
	list := endpointsOf(m, "")
	if m.MTLSEndpointAliases != nil {
		list = append(list, endpointsOf(m.MTLSEndpointAliases, aliases)...)
	}
	return list
}

// aliases is what the names of the endpoints of MTLSEndpointAliases begin with.
const aliases = "mtls_endpoint_aliases."

// endpointsOf returns the endpoints of the struct that p points to.
func endpointsOf(p any, prefix string) (list []endpoint) {
	v := reflect.ValueOf(p).Elem()
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if kind, ok := field.Tag.Lookup("endpoint"); ok {
			url := v.Field(i).Addr().Interface().(*string) //nolint:errcheck // the tag is on strings only
			list = append(list, endpoint{prefix + memberName(field), url, kind == "browser"})
		}
	}
	return list
}

// memberName is the name of a field in JSON, empty if it has none.
func memberName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return strings.TrimPrefix(name, "-")
}

// decodeMembers fills the struct v with the members that get finds. It returns
// the name of one that is of another type and matters, or "". One that only
// informs is left out: providers write odd things there, and nothing is decided
// by it.
func decodeMembers(v reflect.Value, get func(name string) (value string, ok bool)) string {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name := memberName(field)
		if name == "" {
			continue
		}
		value, ok := get(name)
		if !ok || strictjson.Kind(value) == 'n' {
			continue
		}
		if !decodeMember(v.Field(i), value) && matters(field) {
			return name
		}
	}
	return ""
}

// matters: requests are sent to the strings, and to forget what the provider
// demands would be to weaken it.
func matters(field reflect.StructField) bool {
	return field.Type.Kind() != reflect.Bool || field.Tag.Get("type") == "strict"
}

// decodeMember reports whether value is of the type of v. Of a list nothing is
// asked: it only informs.
func decodeMember(v reflect.Value, value string) (ok bool) {
	kind := strictjson.Kind(value)
	switch v.Kind() {
	case reflect.String:
		var s string
		if s, ok = strictjson.String(value); ok {
			v.SetString(s)
		}
	case reflect.Bool:
		if ok = kind == 't'; ok {
			v.SetBool(value == "true")
		}
	case reflect.Slice:
		v.Set(reflect.ValueOf(stringsIn(value)))
		ok = true
	case reflect.Pointer:
		ok = kind == '{' && decodeAliases(v, value)
	}
	return ok
}

// stringsIn returns the strings of a list; what else is in it, or is no list, means
// nothing to us.
func stringsIn(value string) (list []string) {
	for element := range strictjson.Elements(value) {
		if s, ok := strictjson.String(element); ok {
			list = append(list, s)
		}
	}
	return list
}

func decodeAliases(v reflect.Value, value string) (ok bool) {
	found := reflect.New(v.Type().Elem())
	bad := decodeMembers(found.Elem(), func(name string) (string, bool) { return strictjson.Member(value, name) })
	v.Set(found)
	return bad == ""
}

// override replaces the members of m by those of o that are set. An endpoint that
// is replaced loses its alias in the document, or clients with a certificate would
// still be sent to where that says.
func (m *Metadata) override(o *Metadata) {
	said := m.MTLSEndpointAliases
	to, from := reflect.ValueOf(m).Elem(), reflect.ValueOf(o).Elem()
	for i := range to.NumField() {
		name := memberName(to.Type().Field(i))
		if name != "" && !from.Field(i).IsZero() {
			to.Field(i).Set(from.Field(i))
		}
	}
	if said == nil {
		return
	}
	replaced := map[string]bool{}
	for _, e := range endpointsOf(o, "") {
		replaced[e.name] = *e.url != ""
	}
	for _, e := range endpointsOf(said, "") {
		if replaced[e.name] {
			*e.url = ""
		}
	}
}

// clone returns a copy that shares nothing with m that can be changed, but for
// the values of Extra.
func (m *Metadata) clone() *Metadata {
	c := *m
	v := reflect.ValueOf(&c).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); memberName(v.Type().Field(i)) != "" && f.Kind() == reflect.Slice {
			f.Set(reflect.AppendSlice(reflect.Zero(f.Type()), f))
		}
	}
	if m.MTLSEndpointAliases != nil {
		a := *m.MTLSEndpointAliases
		c.MTLSEndpointAliases = &a
	}
	c.Extra = maps.Clone(m.Extra)
	return &c
}
