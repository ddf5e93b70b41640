package oidckit_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/oidckit/oidckit"

// The imports of the module are the arrows of the picture in ARCHITECTURE.md, no
// more and no less. Standard library aside, modules of others are arrows too.
func TestArrowsAreThoseOfThePicture(t *testing.T) {
	picture, actual := picturedArrows(t), actualArrows(t)
	require.NotEmpty(t, picture)
	for from, to := range actual {
		require.Contains(t, picture, from, "this package is not in the picture")
		for _, target := range to {
			require.Contains(t, picture[from], target, "the arrow from %s is not in the picture", from)
		}
	}
	for from, to := range picture {
		require.Contains(t, actual, from, "the picture has a package that is not there")
		for _, target := range to {
			require.Contains(t, actual[from], target, "the picture has an arrow from %s that nothing needs", from)
		}
	}
}

// What the picture must keep to, whatever is drawn into it.
func TestArrowsPointDown(t *testing.T) {
	siblings := []string{"discovery", "jwks", "claims", "clientauth"}
	for from, to := range actualArrows(t) {
		for _, target := range to {
			switch {
			case slices.Contains(siblings, from):
				require.NotContains(t, siblings, target, "%s does not know its siblings", from)
			case from == "oidc/oidctest":
				require.Equal(t, "github.com/go-jose/go-jose/v4", target, "oidctest has the standard library and go-jose only")
			}
			require.False(t, from != "examples" && !strings.HasPrefix(from, "examples/") && strings.HasPrefix(target, "examples"))
			require.NotContains(t, target, "testify")
		}
	}
}

// picturedArrows reads the lines "package → imports" of the picture.
func picturedArrows(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("ARCHITECTURE.md")
	require.NoError(t, err)
	block := regexp.MustCompile("(?s)```arrows\n(.*?)```").FindSubmatch(text)
	require.NotNil(t, block, "ARCHITECTURE.md has no arrows block")
	arrows := map[string][]string{}
	for line := range strings.Lines(string(block[1])) {
		from, to, ok := strings.Cut(line, "→")
		if ok {
			arrows[strings.TrimSpace(from)] = strings.Fields(to)
		}
	}
	return arrows
}

// actualArrows asks the go command for the imports of every package, tests aside.
func actualArrows(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...").Output()
	require.NoError(t, err)
	arrows := map[string][]string{}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return arrows
		}
		require.NoError(t, err)
		to := []string{}
		for _, target := range p.Imports {
			if strings.Contains(strings.Split(target, "/")[0], ".") {
				to = append(to, short(target))
			}
		}
		arrows[short(p.ImportPath)] = to
	}
}

func short(path string) string {
	if path == module {
		return "oidckit"
	}
	return strings.TrimPrefix(path, module+"/")
}

// Versions below these have published vulnerabilities (security.md G08).
func TestG08_Floors(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Path}} {{.Version}}", "all").Output()
	require.NoError(t, err)
	for path, pattern := range map[string]string{
		"github.com/go-jose/go-jose/v4": `v4\.(1\.([4-9]|[1-9]\d)|[2-9]|[1-9]\d)`, // CVE-2026-34986
		"golang.org/x/oauth2":           `v0\.(2[7-9]|[3-9]\d)\.`,                 // CVE-2025-22868
	} {
		require.Regexp(t, "(?m)^"+regexp.QuoteMeta(path)+" "+pattern, string(out))
	}
}
