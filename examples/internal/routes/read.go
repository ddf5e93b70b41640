package routes

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/examples/internal/settings"
)

// A Table is the content of a file.
type Table struct {
	Routes []Route
	// UserInfo says that roles are, in part at least, in userinfo.
	UserInfo bool
	mapper   *claims.Mapper // nil without roles_from
}

// A Route is a pattern, and what it requires.
type Route struct {
	Method, Path      string
	Scopes, ScopesAny []string // in full
	Roles, RolesAny   []string
	at                string // file and line
}

// Read reads and checks a file. Its errors have file, line, setting, and what to write.
func Read(path string) (*Table, error) {
	data, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	return Parse(filepath.Base(path), data)
}

// Parse is Read for the content of a file, which the errors call name.
func Parse(name string, data []byte) (*Table, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, fmt.Errorf("%s: this is no YAML, write lines of name: value: %w", name, err)
	}
	r := &reader{file: name, namespaces: map[string]string{}, table: &Table{}}
	if len(document.Content) == 0 {
		document.Content = []*yaml.Node{{Kind: yaml.MappingNode, Line: 1}}
	}
	r.document(document.Content[0])
	return r.table, errors.Join(r.problems...)
}

type reader struct {
	file       string
	namespaces map[string]string
	table      *Table
	problems   []error
}

func (r *reader) fail(at *yaml.Node, setting, format string, args ...any) {
	r.problems = append(r.problems, fmt.Errorf("%s:%d: %s: %s", r.file, at.Line, setting, fmt.Sprintf(format, args...)))
}

// document reads namespaces before routes, wherever they stand.
func (r *reader) document(node *yaml.Node) {
	top := r.members(node, "", "namespaces", "roles_from", "routes")
	if namespaces := top["namespaces"]; namespaces != nil {
		all := r.members(namespaces, "namespaces")
		for _, name := range slices.Sorted(maps.Keys(all)) {
			r.namespace(name, all[name])
		}
	}
	if places := top["roles_from"]; places != nil {
		r.rolesFrom(places)
	}
	routes := top["routes"]
	if routes == nil || routes.Kind != yaml.SequenceNode || len(routes.Content) == 0 {
		r.fail(node, "routes", "is no list: write - {method: GET, path: /things, scopes: [read]} below it")
		return
	}
	for i, route := range routes.Content {
		r.route(fmt.Sprintf("routes[%d]", i), route)
	}
}

// members of a mapping; known are all that it may have, if any are named.
func (r *reader) members(node *yaml.Node, setting string, known ...string) map[string]*yaml.Node {
	found := map[string]*yaml.Node{}
	if node.Kind != yaml.MappingNode {
		r.fail(node, setting, "must have lines of name: value")
		return found
	}
	names := map[string]bool{}
	for _, name := range known {
		names[name] = true
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		name := strings.TrimPrefix(setting+"."+key.Value, ".")
		switch {
		case len(known) > 0 && !names[key.Value]:
			r.fail(key, name, "is not known: did you mean %s?", settings.Nearest(key.Value, names))
		case found[key.Value] != nil:
			r.fail(key, name, "is there twice: leave one")
		default:
			found[key.Value] = node.Content[i+1]
		}
	}
	return found
}

// namespace: scope IDs are appended as they are.
func (r *reader) namespace(name string, node *yaml.Node) {
	setting := "namespaces." + name
	switch value := r.text(node, setting); {
	case value != "" && !strings.HasSuffix(value, "/") && !strings.HasSuffix(value, ":"):
		r.fail(node, setting, "does not end where a scope ID can be appended: write %s/", value)
	default:
		r.namespaces[name] = value
	}
}

func (r *reader) text(node *yaml.Node, setting string) string {
	if node.Kind != yaml.ScalarNode || node.Value == "" {
		r.fail(node, setting, "must be one text: write it")
		return ""
	}
	return node.Value
}

func (r *reader) texts(node *yaml.Node, setting string) (list []string) {
	if node == nil {
		return nil
	}
	if node.Kind != yaml.SequenceNode || len(node.Content) == 0 {
		r.fail(node, setting, "must be a list with one text or more: write [a, b], or leave it out")
		return nil
	}
	for _, item := range node.Content {
		list = append(list, r.text(item, setting))
	}
	return list
}

// rolesFrom reads places such as userinfo.groups.
func (r *reader) rolesFrom(node *yaml.Node) {
	info, token := claims.ListClaim{Optional: true, From: []claims.Source{claims.FromUserInfo}}, claims.ListClaim{Optional: true, From: []claims.Source{claims.FromAccessToken}}
	for _, place := range r.texts(node, "roles_from") {
		source, path, _ := strings.Cut(place, ".")
		pattern, err := claims.ParsePattern(path)
		switch {
		case err != nil:
			r.fail(node, "roles_from", "%q has no path of a claim: write userinfo.groups, or access_token.realm_access.roles", place)
		case source == string(claims.FromUserInfo):
			info.Paths, r.table.UserInfo = append(info.Paths, pattern), true
		case source == string(claims.FromAccessToken):
			token.Paths = append(token.Paths, pattern)
		default:
			r.fail(node, "roles_from", "%q is of no source: write userinfo.%s or access_token.%s", place, place, place)
		}
	}
	if len(r.problems) > 0 {
		return
	}
	var mapping claims.Mapping // the two stand side by side, and RolesOf joins them
	if len(info.Paths) > 0 {
		mapping.Groups = info
	}
	if len(token.Paths) > 0 {
		mapping.Roles = token
	}
	var err error
	if r.table.mapper, err = claims.NewMapper(mapping); err != nil {
		r.fail(node, "roles_from", "%v", err)
	}
}

var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
}

func (r *reader) route(setting string, node *yaml.Node) {
	m := r.members(node, setting, "method", "path", "scopes", "scopes_any", "roles", "roles_any")
	route := Route{at: fmt.Sprintf("%s:%d: %s", r.file, node.Line, setting)}
	for _, name := range []string{"method", "path"} {
		if m[name] == nil {
			m[name] = &yaml.Node{Line: node.Line}
		}
	}
	route.Method, route.Path = r.text(m["method"], setting+".method"), r.text(m["path"], setting+".path")
	if route.Method != "" && !slices.Contains(methods, route.Method) {
		r.fail(m["method"], setting+".method", "is no method: write one of %s", strings.Join(methods, ", "))
	}
	if route.Path != "" && route.Path[0] != '/' {
		r.fail(m["path"], setting+".path", "does not begin with /: write /%s", route.Path)
	}
	route.Scopes, route.ScopesAny = r.scopes(m["scopes"], setting+".scopes"), r.scopes(m["scopes_any"], setting+".scopes_any")
	route.Roles, route.RolesAny = r.texts(m["roles"], setting+".roles"), r.texts(m["roles_any"], setting+".roles_any")
	r.table.Routes = append(r.table.Routes, route)
}

// scopes in full. "A token can contain many possible scopes": those are compared exactly, so
// what is misspelt here would be one that nobody has.
func (r *reader) scopes(node *yaml.Node, setting string) []string {
	list := r.texts(node, setting)
	for i, scope := range list {
		prefix, id, short := strings.Cut(scope, ":")
		switch namespace, ok := r.namespaces[prefix]; {
		case strings.ContainsFunc(scope, notInScope):
			r.fail(node, setting, "%q has characters that no scope has (RFC 6749 section 3.3): write it without them", scope)
		case !short || strings.HasPrefix(id, "//"): // a word, or a URL
		case ok:
			list[i] = namespace + id
		case len(r.namespaces) == 0:
			r.fail(node, setting, "%s is no namespace: write it below namespaces, as %s: https://… or, for a scope with a colon, %s: '%s:'", prefix, prefix, prefix, prefix)
		default:
			r.fail(node, setting, "%s is no namespace: did you mean %s? For a scope with a colon, write %s: '%s:' below namespaces",
				prefix, settings.Nearest(prefix, r.namespaces), prefix, prefix)
		}
	}
	return list
}

func notInScope(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' }
