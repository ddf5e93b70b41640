package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	out, err := os.Create(filepath.Join(t.TempDir(), "out")) // the token that it prints is not for the tests' log
	require.NoError(t, err)
	before := os.Stdout
	os.Stdout = out
	t.Cleanup(func() { os.Stdout = before; require.NoError(t, out.Close()) })

	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.ErrorContains(t, run(t.Context(), []string{"-listen", addr}), "-listen: ", "it is taken")
	require.NoError(t, l.Close())

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"-listen", addr, "-redirect-uris", "http://127.0.0.1:1/a,http://127.0.0.1:1/b"})
	}()
	status := func(query string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+query, http.NoBody)
		require.NoError(t, err)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0
		}
		defer func() { _ = res.Body.Close() }()
		return res.StatusCode
	}
	require.Eventually(t, func() bool { return status("/.well-known/openid-configuration") == http.StatusOK }, 10*time.Second, 10*time.Millisecond)
	const request = "/authorize?client_id=client&response_type=code&scope=openid&code_challenge_method=S256&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&redirect_uri="
	require.Equal(t, http.StatusOK, status(request+"http://127.0.0.1:1/b"))
	require.Equal(t, http.StatusBadRequest, status(request+"http://127.0.0.1:1/c"))
	cancel()
	require.NoError(t, <-done)
}
