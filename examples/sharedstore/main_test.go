package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/middleware"
)

func TestMistakes(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, os.WriteFile(keys, []byte("a secret of this test\n"), 0o600))
	for _, args := range [][]string{
		{"-redis", "127.0.0.1:1"}, // no keys
		{"-keys-file", keys},
		{"-keys-file", keys, "-redis", "127.0.0.1:1", "-postgres", "postgres:///"},
		{"-keys-file", keys, "-postgres", "no URL"},
	} {
		require.Error(t, run(t.Context(), append([]string{"-listen", "127.0.0.1:0"}, args...)), args)
	}
}

// It starts without its store, and says so.
func TestStoreIsDown(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, os.WriteFile(keys, []byte("a secret of this test\n"), 0o600))
	for name, args := range map[string][]string{
		"Redis": {"-redis", "127.0.0.1:1"}, "PostgreSQL": {"-postgres", "postgres://127.0.0.1:1/?connect_timeout=1"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			require.NoError(t, l.Close())
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- run(ctx, append([]string{"-listen", l.Addr().String(), "-keys-file", keys}, args...)) }()
			base := "http://" + l.Addr().String()
			require.Eventually(t, func() bool { return status(base+"/healthz") == http.StatusOK }, time.Minute, 10*time.Millisecond)
			require.Equal(t, http.StatusServiceUnavailable, status(base+"/readyz"))
			stop()
			require.NoError(t, <-done)
		})
	}
}

func status(target string) int {
	res, err := http.Get(target)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body) // the status is all
	return res.StatusCode
}

func TestLogin(t *testing.T) {
	s := &shared{redis: "127.0.0.1:1", lifetime: time.Second, sealedCookies: true}
	c := middleware.LoginConfig{}
	require.NoError(t, s.login(&c))
	require.Equal(t, time.Second, c.Lifetime)
	require.True(t, c.SealedCookies)
	require.NotNil(t, c.Store)
}
