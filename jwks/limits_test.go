package jwks_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

func TestK09_FreshnessHasALimitOfOurs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		header              string
		refresh, max, fresh time.Duration
	}{
		{"", 0, 0, 10 * time.Minute}, {"", 0, 5 * time.Minute, 5 * time.Minute}, {"", 2 * time.Minute, 5 * time.Minute, 2 * time.Minute},
		{"max-age=3600", 0, 5 * time.Minute, 5 * time.Minute}, {"max-age=120", 0, 5 * time.Minute, 2 * time.Minute}, {"max-age=3600", 0, time.Second, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &scripted{header: http.Header{"Cache-Control": {tt.header}}}
			s.publish(ec1)
			r, err := jwks.NewRemote(jwks.RemoteConfig{URL: issuer, HTTPClient: &http.Client{Transport: s}, RefreshAfter: tt.refresh, MaxFresh: tt.max})
			require.NoError(t, err)
			require.NoError(t, r.Ready(t.Context()))
			require.Equal(t, tt.fresh, time.Until(r.Status().FreshUntil), "%v", tt)
		})
	}
	for field, cfg := range map[string]jwks.RemoteConfig{"MaxFresh": {MaxFresh: -1}, "Timeout": {Timeout: -1}, "Timeout must": {Timeout: time.Minute + 1}} {
		cfg.URL = issuer
		_, err := jwks.NewRemote(cfg)
		require.ErrorContains(t, err, "RemoteConfig."+field)
	}
}

func TestD06_TimeLimitOfAFetch(t *testing.T) {
	t.Parallel()
	for set, want := range map[time.Duration]time.Duration{0: 10 * time.Second, time.Second: time.Second, 45 * time.Second: 45 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			p, err := oidctest.New(oidctest.Config{Issuer: "https://op.example"})
			require.NoError(t, err)
			p.SetFault(oidctest.JWKS, oidctest.Fault{Hang: true})
			r, err := jwks.NewRemote(jwks.RemoteConfig{URL: "https://op.example/jwks", HTTPClient: p.HTTPClient(), Timeout: set})
			require.NoError(t, err)
			began := time.Now()
			requireUnavailable(t, r.Ready(t.Context()))
			require.Equal(t, want, time.Since(began))
		})
	}
}

func TestRenamed(t *testing.T) {
	t.Parallel()
	key, err := jwks.NewSigningKey(jwks.SigningKeyConfig{Signer: ec1, KeyID: "old"})
	require.NoError(t, err)
	other, err := key.Renamed("new")
	require.NoError(t, err)
	require.Equal(t, []string{"old", "new", "ES256"}, []string{key.ID(), other.ID(), other.Algorithm()})
	compact, err := other.SignJWT(t.Context(), "JWT", []byte(`{}`))
	require.NoError(t, err)
	_, err = jwks.Verify(t.Context(), jwks.Static{other.Key()}, []string{"ES256"}, compact)
	require.NoError(t, err)
	_, err = jwks.Verify(t.Context(), jwks.Static{key.Key()}, []string{"ES256"}, compact)
	require.Error(t, err, "it names the new kid")
	_, err = key.Renamed("\n")
	require.Error(t, err)
	_, err = (*jwks.SigningKey)(nil).Renamed("x")
	require.Error(t, err)
	_, err = new(jwks.SigningKey).Renamed("x")
	require.Error(t, err)
}
