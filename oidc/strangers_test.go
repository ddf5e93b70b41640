package oidc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
	"github.com/stretchr/testify/require"
)

// However many issuers strangers make up, and however soon they hang up, Resolve is
// asked by a fixed number at a time.
func TestJ47_ResolveIsNotFlooded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		op := newOP(t)
		release := make(chan struct{})
		var asked atomic.Int32
		i := newIssuers(t, oidc.IssuersConfig{Resolve: func(context.Context, string) (*oidc.AccessTokenVerifier, error) {
			asked.Add(1)
			<-release
			return nil, nil
		}})
		var busy atomic.Int32
		var wg sync.WaitGroup
		for n := range 200 {
			raw := signAccess(op, object{"iss": fmt.Sprintf("https://evil%d.example", n)})
			ctx, cancel := context.WithCancel(t.Context())
			wg.Go(func() {
				defer cancel()
				if _, err := i.Verify(ctx, raw); err != nil {
					busy.Add(1)
				}
			})
			synctest.Wait()
			cancel()
		}
		wg.Wait()
		require.EqualValues(t, 64, asked.Load())
		require.EqualValues(t, 200, busy.Load())
		close(release)
		synctest.Wait()
		_, err := i.Verify(t.Context(), signAccess(op, object{"iss": "https://another.example"}))
		requireRefused(t, err, oidc.ReasonIssuer, "iss")
	})
}

// A tenant keeps its place among those that are known only by a good token: strangers
// who name others displace nobody.
func TestJ47_StrangersDisplaceNoTenant(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	var asked atomic.Int32
	honest := issuer + "/honest"
	i := newIssuers(t, oidc.IssuersConfig{MaxResolved: 10, Resolve: func(_ context.Context, iss string) (*oidc.AccessTokenVerifier, error) {
		if iss == honest {
			asked.Add(1)
		}
		m := discovery.Metadata{Issuer: iss, JWKSURI: issuer + "/jwks"}
		return newVerifier(t, newProvider(t, op, func(c *oidc.Config) { c.Issuer, c.Metadata = iss, &m })), nil
	}})
	good := signAccess(op, object{"iss": honest})
	for n := range 50 {
		_, err := i.Verify(t.Context(), good)
		require.NoError(t, err)
		for k := range 20 {
			_, err := i.Verify(t.Context(), signAccess(op, object{"iss": fmt.Sprintf("%s/evil-%d-%d", issuer, n, k), "exp": 1}))
			requireRefused(t, err, oidc.ReasonExpired, "exp")
		}
	}
	require.EqualValues(t, 1, asked.Load())
}

func TestJ37_SubjectsAreShort(t *testing.T) {
	op := newOP(t)
	v, ids := newVerifier(t, newProvider(t, op)), newIDVerifier(t, newProvider(t, op))
	for length, ok := range map[int]bool{255: true, 256: false} {
		sub := strings.Repeat("s", length)
		_, err := v.Verify(t.Context(), signAccess(op, object{"sub": sub}))
		require.Equal(t, ok, err == nil, length)
		_, err = ids.Verify(t.Context(), op.Sign(nil, with(idClaims(op), object{"sub": sub})), "")
		require.Equal(t, ok, err == nil, length)
		if !ok {
			requireRefused(t, err, oidc.ReasonSubject, "sub")
		}
	}
}

func TestJ26_IdentifiersHaveNothingInvisible(t *testing.T) {
	op := newOP(t)
	v := newVerifier(t, newProvider(t, op))
	for _, sub := range []string{"admin\u0085", "admin\u200b", "\u202eadmin", "a\x00", "a\n", "a\x7f", "\ufeffa"} {
		_, err := v.Verify(t.Context(), signAccess(op, object{"sub": sub}))
		requireRefused(t, err, oidc.ReasonSubject, "sub")
	}
	for _, sub := range []string{"Zoë", "山田", "a b", "a|b", "😀"} {
		_, err := v.Verify(t.Context(), signAccess(op, object{"sub": sub}))
		require.NoError(t, err, "%q", sub)
	}
}

// G10: an option may have a token for a value.
func TestG10_OptionsPrintTheirName(t *testing.T) {
	t.Parallel()
	for _, o := range []oidc.Option{oidc.WithLoginHint(marker), oidc.WithParameter("login_hint", marker)} {
		var b bytes.Buffer
		printAll(&b, o)
		printAll(&b, oidc.TokenSourceConfig{Options: []oidc.Option{o}})
		require.NotContains(t, b.String(), marker)
		require.Equal(t, "oidc.Option(login_hint)", fmt.Sprint(o))
	}
}

// G10: errors that hold what others wrote print, in JSON too, their text alone.
func TestG10_ErrorsPrintTheirText(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		&oidc.AuthorizationError{Code: marker, Description: marker}, &oidc.ResponseError{Status: 400, Code: marker, Description: marker, URI: marker},
		&oidc.StepUpError{ACRValues: []string{marker}},
		&oidc.RegistrationError{Member: "jwks_uri", Registration: &oidc.Registration{ClientSecret: marker}},
		&oidc.Error{Reason: oidc.ReasonRevoked, Err: &oidc.ResponseError{Code: marker}},
	} {
		var b bytes.Buffer
		printAll(&b, err)
		require.NotContains(t, b.String(), marker)
		text, jerr := json.Marshal(map[string]any{"err": err})
		require.NoError(t, jerr)
		require.NotContains(t, string(text), marker)
	}
}

func TestG10_ConfigurationsDoNotPrintHeaders(t *testing.T) {
	header := http.Header{"Authorization": {marker}}
	for _, v := range []any{
		oidc.Config{Issuer: issuer, Header: header}, &oidc.Config{Header: header},
		jwks.RemoteConfig{Header: header}, &jwks.RemoteConfig{Header: header}, discovery.Config{Header: header},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			require.NotContains(t, fmt.Sprintf(verb, v), marker)
		}
	}
}

// What was not made by its constructor refuses, and neither panics nor is the token's
// fault.
func TestG06_ZeroValuesRefuse(t *testing.T) {
	op := newOP(t)
	raw := signAccess(op, nil)
	_, err := oidc.NewAccessTokenVerifier(&oidc.Provider{}, oidc.AccessTokenConfig{Audience: []string{api}})
	require.Error(t, err)
	for name, do := range map[string]func() error{
		"Provider.Metadata": func() error { _, err := (&oidc.Provider{}).Metadata(t.Context()); return err },
		"Provider.Ready":    func() error { return (&oidc.Provider{}).Ready(t.Context()) },
		"nil Provider":      func() error { _, err := (*oidc.Provider)(nil).Metadata(t.Context()); return err },
		"nil Client":        func() error { _, err := (*oidc.Client)(nil).VerifyIDToken(t.Context(), raw, ""); return err },
		"zero Client":       func() error { _, err := new(oidc.Client).VerifyIDToken(t.Context(), raw, ""); return err },
		"Issuers":           func() error { _, err := new(oidc.Issuers).Verify(t.Context(), raw); return err },
		"LogoutVerifier":    func() error { _, err := new(oidc.LogoutTokenVerifier).Verify(t.Context(), raw); return err },
		"Remote":            func() error { _, err := new(jwks.Remote).Keys(t.Context(), jwks.Query{}); return err },
		"nil Remote":        func() error { _, err := (*jwks.Remote)(nil).Keys(t.Context(), jwks.Query{}); return err },
		"Remote.Ready":      func() error { return new(jwks.Remote).Ready(t.Context()) },
		"File":              func() error { _, err := new(jwks.File).Keys(t.Context(), jwks.Query{}); return err },
	} {
		err := do()
		require.Error(t, err, name)
		require.NotErrorIs(t, err, oidckit.ErrInvalidToken, name)
	}
	_, ok := new(jwks.Remote).Version(t.Context(), start)
	require.False(t, ok)
	_, ok = new(jwks.File).Version(t.Context(), start)
	require.False(t, ok)
}

// A Provider takes its metadata from where it is told.
func TestMetadataSource(t *testing.T) {
	op := newOP(t)
	c, err := discovery.NewCache(discovery.CacheConfig{
		Allow: func(iss string) bool { return iss == issuer }, InsecurePrivateAddresses: true,
		Template: discovery.Config{HTTPClient: op.HTTPClient(), Now: op.Now},
	})
	require.NoError(t, err)
	source := func(cfg *oidc.Config) { cfg.MetadataSource = c.Source(issuer) }
	_, err = newVerifier(t, newProvider(t, op, source)).Verify(t.Context(), signAccess(op, nil))
	require.NoError(t, err)
	require.Equal(t, 1, c.Len())
	_, err = oidc.NewProvider(oidc.Config{Issuer: issuer, MetadataSource: c.Source(issuer), DiscoveryURL: issuer})
	require.Error(t, err)
}
