package deploy

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/oidckit/oidckit/examples/internal/settings"
)

// Read reads and checks a file. All that is wrong with it is in the error, which wraps a
// *[SettingError] for each.
func Read(path string) (*Settings, error) {
	data, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	return Parse(filepath.Base(path), filepath.Dir(path), data)
}

// Parse is Read for the content of a file, which the errors call name. Paths of key stores are
// below dir.
func Parse(name, dir string, data []byte) (*Settings, error) {
	r := &reader{file: name, dir: dir, values: map[string]value{}}
	// A line "..." of the document's examples is what they leave out, and to YAML an end.
	for decoder := yaml.NewDecoder(bytes.NewReader(leftOut.ReplaceAll(data, nil))); ; {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: this is no YAML, write lines of name: value: %w", name, err)
		}
		r.section("", document.Content[0], true)
	}
	s := r.settings()
	return s, errors.Join(r.problems...)
}

var leftOut = regexp.MustCompile(`(?m)^[ \t]*\.\.\.[ \t]*\r?$`)

// A reader collects the settings of a file by their path below oidc, and what is wrong.
type reader struct {
	file, dir string
	values    map[string]value
	problems  []error
}

// A value is a scalar, a list or a map as it stands in the file.
type value struct {
	*yaml.Node
	name string // as the document writes it
}

// fail keeps the first problem of a setting: others follow from it.
func (r *reader) fail(line int, setting, format string, args ...any) {
	for _, err := range r.problems {
		if known := new(SettingError); errors.As(err, &known) && known.Setting == setting && known.Line == line {
			return
		}
	}
	r.problems = append(r.problems, &SettingError{File: r.file, Line: line, Setting: setting, Problem: fmt.Sprintf(format, args...)})
}

// above are the words before oidc, which may be written as one with dots between.
var above = []string{"deploy", "xl", "security", "auth", "providers", "oidc"}

// sections of the settings.
var sections = []string{clientAuthJWT, accessToken}

const (
	clientAuthJWT = "clientAuthJwt"
	accessToken   = "access-token"
)

// known are the settings by their path below oidc, spelled as the document does.
var known = []string{
	"loginMethodDescription", "clientId", "clientSecret", "clientAuthMethod", "issuer", "keyRetrievalUri", "accessTokenUri",
	"userAuthorizationUri", "logoutUri", "redirectUri", "postLogoutRedirectUri", "idTokenJWSAlg", "rolesClaimName",
	"userNameClaimName", "scopes", "additionalParameters",
	"clientAuthJwt.jwsAlg", "clientAuthJwt.key-store", "clientAuthJwt.key-store-type", "clientAuthJwt.key-store-password",
	"clientAuthJwt.key-password", "clientAuthJwt.keyAlias", "clientAuthJwt.tokenKeyId",
	"access-token.issuer", "access-token.audience", "access-token.keyRetrievalUri", "access-token.jwsAlg", "access-token.secretKey",
}

// plain is a name without what differs between key-store, keyStore and key_store.
func plain(name string) string {
	return strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(name))
}

func find(names []string, name string) (string, bool) {
	i := slices.IndexFunc(names, func(k string) bool { return plain(k) == plain(name) })
	if i < 0 {
		return "", false
	}
	return names[i], true
}

// section reads the members of a mapping. prefix is the section of settings it stands for: ""
// for oidc and all above it. In the outermost mapping, a section with nothing behind it is one
// that has lost its indentation: its settings follow at the same depth.
func (r *reader) section(prefix string, node *yaml.Node, outermost bool) {
	if node.Kind != yaml.MappingNode {
		if node.Tag != "!!null" {
			r.fail(node.Line, cmp.Or(prefix, "oidc"), "must be a section: leave nothing behind the colon, and write its settings below it, indented")
		}
		return
	}
	var parameters *yaml.Node // those of additionalParameters that follow it
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, val := node.Content[i], node.Content[i+1]
		switch section, ok := r.sectionOf(prefix, key.Value); {
		case ok && outermost && val.Kind == yaml.ScalarNode:
			r.section(section, val, false)
			prefix = section
		case ok:
			r.section(section, val, false)
		case parameters != nil && isParameter(prefix, key, val):
			parameters.Content = append(parameters.Content, key, val)
		default:
			r.setting(prefix, key, val, outermost)
			if parameters = nil; outermost && plain(key.Value) == plain("additionalParameters") && val.Tag == "!!null" {
				*val = yaml.Node{Kind: yaml.MappingNode, Line: key.Line}
				parameters = val
			}
		}
	}
}

// sectionOf reports whether a name in a section is that of a section: of one above oidc,
// or of oidc itself. Names with dots are several in one.
func (r *reader) sectionOf(prefix, name string) (section string, ok bool) {
	for word := range strings.SplitSeq(name, ".") {
		if prefix == "" && slices.Contains(above, word) {
			continue
		}
		if section, ok = find(sections, word); !ok {
			return "", false
		}
	}
	return section, true
}

func isParameter(prefix string, key, val *yaml.Node) bool {
	_, setting := find(known, key.Value)
	_, member := find(known, prefix+"."+key.Value)
	return !setting && !member && val.Kind == yaml.ScalarNode
}

// setting keeps what stands at a name.
func (r *reader) setting(prefix string, key, val *yaml.Node, outermost bool) {
	words := strings.Split(key.Value, ".")
	for len(words) > 1 && prefix == "" && slices.Contains(above, words[0]) {
		words = words[1:]
	}
	path := strings.TrimPrefix(prefix+"."+strings.Join(words, "."), ".")
	name, ok := find(known, path)
	if !ok && outermost { // after a section whose indentation was lost come those of oidc
		name, ok = find(known, key.Value)
	}
	switch _, twice := r.values[name]; {
	case !ok:
		r.fail(key.Line, path, "is not known: did you mean %s?", nearest(path))
	case twice:
		r.fail(key.Line, name, "is there twice: leave one")
	default:
		r.values[name] = value{val, name}
	}
}

// nearest is the known setting that a misspelt one is most like.
func nearest(path string) string {
	names := make(map[string]string, len(known))
	for _, name := range known {
		names[plain(name)] = name
	}
	return names[settings.Nearest(plain(path), names)]
}
