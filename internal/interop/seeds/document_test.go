package seeds_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const (
	cloudsmith = "cloudsmith-oidc.txt"
	deploy     = "digitalai-deploy-oidc.txt"
	fedora     = "fedora-oidc.txt"
	tokenProxy = "oidc-token-proxy.txt"
)

// document is the text of one.
func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return string(text)
}

// between returns the lines of a document from one that is from, to one that is to, without that. Spaces around a line
// do not count. Of several places it is that after skip others.
func between(t *testing.T, name, from, to string, skip int) string {
	t.Helper()
	lines := strings.SplitAfter(document(t, name), "\n")
	is := func(want string) func(string) bool {
		return func(line string) bool { return strings.TrimSpace(line) == want }
	}
	begin := -1
	for range skip + 1 {
		next := slices.IndexFunc(lines[begin+1:], is(from))
		require.GreaterOrEqual(t, next, 0, "the document has no line %q", from)
		begin += 1 + next
	}
	length := slices.IndexFunc(lines[begin+1:], is(to))
	require.GreaterOrEqual(t, length, 0, "the document has no line %q after %q", to, from)
	return strings.Join(lines[begin:begin+1+length], "")
}

// fenced returns the first block of code below a heading, without its fences.
func fenced(t *testing.T, name, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(document(t, name), "\n"+heading+"\n")
	require.True(t, ok, "the document has no heading %q", heading)
	_, rest, ok = strings.Cut(rest, "\n```")
	require.True(t, ok)
	_, rest, _ = strings.Cut(rest, "\n")
	block, _, ok := strings.Cut(rest, "\n```")
	require.True(t, ok)
	return block + "\n"
}

// parseYAML reads a snippet that is YAML.
func parseYAML(t *testing.T, text string, into any) {
	t.Helper()
	require.NoError(t, yaml.Unmarshal([]byte(text), into), text)
}

// The copies here are the documents that the project was given, where those are beside the repository.
func TestDocuments(t *testing.T) {
	t.Parallel()
	given := filepath.Join("..", "..", "..", "..", "shared", "seeds")
	for _, name := range []string{cloudsmith, deploy, fedora, tokenProxy} {
		text := document(t, name)
		require.NotEmpty(t, text)
		original, err := os.ReadFile(filepath.Join(given, name))
		if os.IsNotExist(err) {
			t.Log("NOT COMPARED: the original is not beside the repository:", name)
			continue
		}
		require.NoError(t, err)
		require.True(t, bytes.Equal(original, []byte(text)), "%s differs from the original", name)
	}
}
