package settings_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/examples/internal/settings"
)

type site struct {
	Name  string         `setting:"name"`
	File  string         `setting:"file,path"`
	Wait  time.Duration  `setting:"wait"`
	List  []string       `setting:"list"`
	On    bool           `setting:"on"`
	Rate  float64        `setting:"rate"`
	Pairs map[string]any `setting:"pairs"`
	Other string
}

func read(t *testing.T, name, text string) (s site, dir string, err error) {
	t.Helper()
	dir = t.TempDir()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	err = settings.ReadFile(path, "app", &s, func(field any, one *settings.Setting) (err error) {
		*field.(*map[string]any), err = one.Values() //nolint:forcetypeassert // there is no other
		return err
	})
	return s, dir, err
}

func TestReadFile(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"a.ini":  "[other]\nname = no\n[app]\nname = a = b\nfile=c/d\nwait = 5\n# x\n  ; y\nlist =\n  a\n\n\tb\non = true\nrate = 0.5\npairs =\n x = 1\n x = 2\n y = z\n",
		"a.yaml": "name: a = b\nfile: c/d\nwait: 5\nlist: [a, b]\non: true\nrate: 0.5\npairs: {x: ['1', '2'], y: [z]}\n",
		"a.yml":  "{name: a = b, file: c/d, wait: 5, list: a b, on: true, rate: 0.5, pairs: {x: ['1', '2'], y: [z]}}\n",
	} {
		s, dir, err := read(t, name, text)
		require.NoError(t, err, name)
		require.Equal(t, site{
			Name: "a = b", File: filepath.Join(dir, "c/d"), Wait: 5 * time.Second, List: []string{"a", "b"}, On: true, Rate: 0.5,
			Pairs: map[string]any{"x": []any{"1", "2"}, "y": []any{"z"}},
		}, s, name)
	}
	s, dir, err := read(t, "a.ini", "file = %(here)s/x\non = false\n")
	require.NoError(t, err)
	require.Equal(t, dir+"/x", s.File)
	s, _, err = read(t, "a.ini", "file = /x\n")
	require.NoError(t, err)
	require.Equal(t, "/x", s.File)
	_, _, err = read(t, "a.ini", "Other = x\n")
	require.ErrorContains(t, err, "a.ini: Other: it is not known")
	for text, want := range map[string]string{
		"debug = true\n": "debug: it is not known: leave it out", "lsit = x\n": "lsit: it is not known: write list",
		"list = a, b\n": "list: it has a comma", "list = a,b\n": "list: it has a comma",
	} {
		_, _, err = read(t, "a.ini", text)
		require.ErrorContains(t, err, want)
	}
	_, _, err = read(t, "a.yaml", "list: ['']\n")
	require.ErrorContains(t, err, "list: it has an empty value")
	s, _, err = read(t, "a.yaml", "list: ['a,b']\n")
	require.NoError(t, err)
	require.Equal(t, []string{"a,b"}, s.List)
}

func TestNearest(t *testing.T) {
	t.Parallel()
	known := map[string]int{"issuer": 0, "upstream_issuer": 0, "jwks_file": 0}
	for name, want := range map[string]string{"isuer": "issuer", "upstream-issuer": "upstream_issuer", "jwksfile": "jwks_file", "": "issuer"} {
		require.Equal(t, want, settings.Nearest(name, known), name)
	}
	require.Empty(t, settings.Nearest("x", map[string]int{}))
}

func TestBlame(t *testing.T) {
	t.Parallel()
	table := map[string]string{"Config.Path": "file"}
	require.NoError(t, settings.Blame("x", nil, table))
	known := &settings.Error{Setting: "a", Problem: "b"}
	require.Same(t, known, settings.Blame("x", known, table))
	require.EqualError(t, settings.Blame("x", errors.New("p: Config.Path: bad"), table), "file: p: Config.Path: bad")
	require.EqualError(t, settings.Blame("x", errors.New("bad"), table), "x: bad")
}
