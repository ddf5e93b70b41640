package oidc_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

func requests(op *oidctest.Provider) (n int) {
	for _, e := range endpoints {
		n += op.Requests(e)
	}
	return n
}

func TestD08_ConstructorsDoNoIO(t *testing.T) {
	op := newOP(t)
	for _, e := range endpoints {
		op.SetFault(e, oidctest.Fault{Hang: true})
	}
	provider := newProvider(t, op)
	client := newClient(t, provider)
	newVerifier(t, provider)
	require.Equal(t, issuer, provider.Issuer())
	require.Same(t, provider, client.Provider())
	require.Equal(t, oidctest.ClientID, client.ClientID())
	require.Equal(t, redirectURL, client.RedirectURL())
	require.Zero(t, requests(op))
}

func TestD01_NewProvider_RefusesConfig(t *testing.T) {
	m := metadataOf(newOP(t))
	plain := m
	plain.TokenEndpoint = "http://id.example/token"
	nameless := m
	nameless.Issuer = ""
	for name, cfg := range map[string]oidc.Config{
		"nothing":               {},
		"no URL":                {Issuer: "id.example"},
		"plain http":            {Issuer: "http://id.example"},
		"query":                 {Issuer: issuer + "?x"},
		"fragment":              {Issuer: issuer + "#x"},
		"user info":             {Issuer: "https://a:b@id.example"},
		"metadata of another":   {Issuer: "https://other.example", Metadata: &m},
		"metadata with a slash": {Issuer: issuer + "/", Metadata: &m},
		"metadata, plain http":  {Metadata: &plain},
		"metadata, no issuer":   {Metadata: &nameless},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := oidc.NewProvider(cfg)
			require.Error(t, err)
			require.Nil(t, p)
		})
	}
	_, err := oidc.NewProvider(oidc.Config{Issuer: issuer + "/", Metadata: &m})
	var ie *discovery.IssuerError
	require.ErrorAs(t, err, &ie)
	require.Equal(t, issuer, ie.Found)
}

func TestD01_MetadataOfAnotherIssuer(t *testing.T) {
	op := newOP(t)
	op.SetFault(oidctest.Discovery, oidctest.Fault{Body: `{"issuer":"https://id.example/","token_endpoint":"https://id.example/token"}`})
	_, err := newClient(t, newProvider(t, op)).Begin(t.Context())
	requireUnavailable(t, err)
	var ie *discovery.IssuerError
	require.ErrorAs(t, err, &ie)
}

// sourceOf is a discovery.Source of the program's own.
type sourceOf struct{ metadata discovery.Metadata }

func (s sourceOf) Metadata(context.Context) (*discovery.Metadata, error) { return &s.metadata, nil }

// D01: assertions of the client are made out to the issuer of the metadata, which a source
// that others write to must not choose.
func TestD01_MetadataSourceOfAnotherIssuer(t *testing.T) {
	t.Parallel()
	const template = "https://login.example/{tenantid}/v2.0"
	for name, tt := range map[string]struct {
		change func(*oidc.Config)
		found  string
		good   bool
	}{
		"the issuer":          {nil, issuer, true},
		"another issuer":      {nil, "https://honest.example", false},
		"another slash":       {nil, issuer + "/", false},
		"an alias":            {func(c *oidc.Config) { c.IssuerAliases = []string{"https://alias.example"} }, "https://alias.example", false},
		"the template":        {func(c *oidc.Config) { c.Issuer, c.Tenants = template, []string{"t"} }, template, true},
		"tenant of it":        {func(c *oidc.Config) { c.Issuer, c.Tenants = template, []string{"t"} }, "https://login.example/t/v2.0", false},
		"nothing in the text": {nil, "https://" + marker + ".example", false},
	} {
		op := newOP(t)
		p := newProvider(t, op, func(c *oidc.Config) {
			c.MetadataSource = sourceOf{discovery.Metadata{
				Issuer: tt.found, TokenEndpoint: issuer + string(oidctest.Token), JWKSURI: issuer + string(oidctest.JWKS), AuthorizationEndpoint: issuer + "/authorize",
			}}
			if tt.change != nil {
				tt.change(c)
			}
		})
		_, err := p.Metadata(t.Context())
		_, begin := newClient(t, p).Begin(t.Context())
		for _, err := range []error{err, begin, p.Ready(t.Context())} {
			if tt.good {
				require.NoError(t, err, name)
				continue
			}
			var ie *discovery.IssuerError
			require.ErrorAs(t, err, &ie, name)
			require.Equal(t, tt.found, ie.Found)
			requireUnavailable(t, err)
			tellsNothing(t, err)
		}
		if !tt.good {
			require.Zero(t, op.Requests(oidctest.JWKS), name)
			_, err := newVerifier(t, p).Verify(t.Context(), signAccess(op, nil))
			require.Error(t, err, name)
			require.Zero(t, op.Requests(oidctest.JWKS), name)
		}
	}
}

func TestD08_StartsWhileTheProviderIsDownAndHeals(t *testing.T) {
	for name, fault := range outages() {
		t.Run(name, func(t *testing.T) {
			op := newOP(t)
			provider := newProvider(t, op)
			client, verifier := newClient(t, provider), newVerifier(t, provider)
			raw := op.Sign(object{"typ": "at+jwt"}, with(accessClaims(op), object{"exp": start.Unix() + 3600}))
			op.SetFault(oidctest.Discovery, fault)

			_, err := client.Begin(t.Context())
			requireUnavailable(t, err)
			var ue *oidckit.UnavailableError
			require.ErrorAs(t, err, &ue)
			requireUnavailable(t, provider.Ready(t.Context()))
			_, err = verifier.Verify(t.Context(), raw)
			requireUnavailable(t, err)
			_, err = client.LogoutURL(t.Context(), oidc.Logout{})
			requireUnavailable(t, err)

			op.SetFault(oidctest.Discovery, oidctest.Fault{})
			op.Advance(time.Minute)
			require.NoError(t, provider.Ready(t.Context()))
			_, err = verifier.Verify(t.Context(), raw)
			require.NoError(t, err)
			mustLogin(t, op, client)
		})
	}
}

// Without metadata nobody knows whether a callback must name its issuer, nor where the
// code goes: a flow that outlived a restart is not judged then.
func TestD08_FinishWithoutMetadata(t *testing.T) {
	op, client := setup(t)
	flow, callback := authorize(t, op, client)
	restarted := newClient(t, newProvider(t, op))
	op.SetFault(oidctest.Discovery, oidctest.Fault{Status: 503})
	callback.Del("iss")
	_, err := finish(t, restarted, flow, callback)
	requireUnavailable(t, err)
	require.Zero(t, op.Requests(oidctest.Token))

	// That has not used up the flow.
	op.SetFault(oidctest.Discovery, oidctest.Fault{})
	op.Advance(2 * time.Second)
	callback.Set("iss", issuer)
	_, err = finish(t, restarted, flow, callback)
	require.NoError(t, err)
}

func TestD08_TokenRequestWithoutMetadata(t *testing.T) {
	op, client, tokens := setupOffline(t)
	flow, callback := authorize(t, op, client)
	restarted := newClient(t, newProvider(t, op))
	op.SetFault(oidctest.Discovery, oidctest.Fault{Status: 503})
	before := op.Requests(oidctest.Token)
	_, err := finish(t, restarted, flow, callback)
	requireUnavailable(t, err)
	_, err = refresh(t, restarted, tokens)
	requireUnavailable(t, err)
	_, err = restarted.UserInfo(t.Context(), tokens)
	requireUnavailable(t, err)
	require.Equal(t, before, op.Requests(oidctest.Token))
	require.Zero(t, op.Requests(oidctest.UserInfo))

	op.SetFault(oidctest.Discovery, oidctest.Fault{})
	op.Advance(2 * time.Second)
	_, err = refresh(t, restarted, tokens)
	require.NoError(t, err)
}

func TestD08_Ready(t *testing.T) {
	op := newOP(t)
	provider := newProvider(t, op)
	require.NoError(t, provider.Ready(t.Context()))
	require.NoError(t, provider.Ready(t.Context()))
	require.Equal(t, 1, op.Requests(oidctest.Discovery))
	require.Equal(t, 1, op.Requests(oidctest.JWKS))

	op = newOP(t)
	op.SetFault(oidctest.JWKS, oidctest.Fault{Empty: true})
	err := newProvider(t, op).Ready(t.Context())
	requireUnavailable(t, err)
	require.ErrorIs(t, err, jwks.ErrNoUsableKey)

	// Keys of the program's own do not make up for metadata.
	op = newOP(t)
	op.SetFault(oidctest.Discovery, oidctest.Fault{Status: 503})
	requireUnavailable(t, newProvider(t, op, func(c *oidc.Config) { c.Keys = jwks.Static{} }).Ready(t.Context()))
}

func TestD08_KeysCannotBeHad(t *testing.T) {
	for name, fault := range outages() {
		t.Run(name, func(t *testing.T) {
			op := newOP(t)
			provider := newProvider(t, op)
			client, verifier := newClient(t, provider), newVerifier(t, provider)
			op.SetFault(oidctest.JWKS, fault)
			_, err := login(t, op, client)
			requireUnavailable(t, err)
			_, err = verifier.Verify(t.Context(), op.Sign(object{"typ": "at+jwt"}, accessClaims(op)))
			requireUnavailable(t, err)

			op.SetFault(oidctest.JWKS, oidctest.Fault{})
			op.Advance(time.Minute)
			mustLogin(t, op, client)
		})
	}
}

// Keys that we have serve through an outage.
func TestK08_OutageAfterTheKeysWereFetched(t *testing.T) {
	op := newOP(t)
	provider := newProvider(t, op)
	verifier := newVerifier(t, provider)
	require.NoError(t, provider.Ready(t.Context()))
	op.SetFault(oidctest.JWKS, oidctest.Fault{Status: 503})
	op.SetFault(oidctest.Discovery, oidctest.Fault{Status: 503})
	_, err := verifier.Verify(t.Context(), op.Sign(object{"typ": "at+jwt"}, accessClaims(op)))
	require.NoError(t, err)
	op.Advance(2 * time.Hour)
	_, err = verifier.Verify(t.Context(), op.Sign(object{"typ": "at+jwt"}, accessClaims(op)))
	require.NoError(t, err)
	op.Advance(48 * time.Hour)
	_, err = verifier.Verify(t.Context(), op.Sign(object{"typ": "at+jwt"}, accessClaims(op)))
	requireUnavailable(t, err)
}

func TestD08_TokenEndpointIsDown(t *testing.T) {
	for name, fault := range outages() {
		t.Run(name, func(t *testing.T) {
			op, client := setup(t)
			op.SetFault(oidctest.Token, fault)
			_, err := login(t, op, client)
			requireUnavailable(t, err)
			require.Equal(t, 1, op.Requests(oidctest.Token))
		})
	}
}

// A provider that hangs costs ten seconds, and the caller's context less.
func TestD10_HangingProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		op, client := setup(t)
		flow, callback := authorize(t, op, client)
		op.SetFault(oidctest.Token, oidctest.Fault{Hang: true})
		began := time.Now()
		_, err := finish(t, client, flow, callback)
		requireUnavailable(t, err)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, fetch.Timeout, time.Since(began))

		op, client = setup(t)
		op.SetFault(oidctest.Discovery, oidctest.Fault{Hang: true})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		_, err = client.Begin(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, oidckit.ErrInvalidToken)
		require.Equal(t, time.Second, time.Since(began))
		time.Sleep(time.Minute) // of the bubble: the shared fetch ends by itself
	})
}

func TestK13_Rotation(t *testing.T) {
	op := newOP(t)
	provider := newProvider(t, op)
	client, verifier := newClient(t, provider), newVerifier(t, provider)
	require.NoError(t, provider.Ready(t.Context()))
	flow, callback := authorize(t, op, client)
	old := op.Sign(object{"typ": "at+jwt"}, with(accessClaims(op), object{"exp": start.Unix() + 7200}))
	op.Rotate()
	_, err := finish(t, client, flow, callback)
	require.NoError(t, err)
	require.Equal(t, 2, op.Requests(oidctest.JWKS))
	for _, raw := range []string{old, op.Sign(object{"typ": "at+jwt"}, accessClaims(op))} {
		_, err = verifier.Verify(t.Context(), raw)
		require.NoError(t, err)
	}
	require.Equal(t, 2, op.Requests(oidctest.JWKS))

	// K09: a key that was taken back stops working.
	op.Rotate()
	op.Sign(nil, object{})
	op.Retire()
	op.Advance(time.Hour)
	_, err = verifier.Verify(t.Context(), op.Sign(object{"typ": "at+jwt"}, accessClaims(op)))
	require.NoError(t, err)
	_, err = verifier.Verify(t.Context(), old)
	requireRefused(t, err, oidc.ReasonKey, "")
}

// What is refused without keys makes nobody fetch them.
func TestK07_JunkFetchesNothing(t *testing.T) {
	op := newOP(t)
	provider := newProvider(t, op)
	client, verifier := newClient(t, provider), newVerifier(t, provider)
	junk := map[string]func(i int) (header, claims object){
		"issuer":   func(i int) (object, object) { return nil, object{"iss": fmt.Sprint("https://evil", i)} },
		"expired":  func(i int) (object, object) { return nil, object{"exp": start.Unix() - 1000 - int64(i), "iat": 0} },
		"audience": func(i int) (object, object) { return nil, object{"aud": fmt.Sprint(i)} },
		"subject":  func(int) (object, object) { return nil, object{"sub": nil} },
		"type":     func(i int) (object, object) { return object{"typ": fmt.Sprint(i)}, nil },
		"cnf, azp": func(i int) (object, object) {
			return nil, object{"cnf": object{"jkt": fmt.Sprint(i)}, "azp": fmt.Sprint(i)}
		},
		"alg none":  func(int) (object, object) { return object{"alg": "none"}, nil },
		"alg HS256": func(int) (object, object) { return object{"alg": "HS256"}, nil },
	}
	for name, forge := range junk {
		for i := range 50 {
			header, claims := forge(i)
			header = with(object{"alg": "ES256", "typ": "at+jwt", "kid": fmt.Sprint("kid", i)}, header)
			raw := encodeJSON(header) + "." + encodeJSON(with(accessClaims(op), claims)) + ".AAAA"
			_, err := verifier.Verify(t.Context(), raw)
			require.ErrorIs(t, err, oidckit.ErrInvalidToken, name)
			if header["typ"] == "at+jwt" {
				header["typ"] = "JWT"
			}
			raw = encodeJSON(header) + "." + encodeJSON(with(with(accessClaims(op), object{"aud": oidctest.ClientID}), claims)) + ".AAAA"
			_, err = client.VerifyIDToken(t.Context(), raw, "")
			require.ErrorIs(t, err, oidckit.ErrInvalidToken, name)
		}
		require.Zero(t, requests(op), name)
	}
	// The nonce is looked at before the keys, too.
	_, err := client.VerifyIDToken(t.Context(), signedFor(op, idToken, object{"nonce": "a"}), "b")
	requireRefused(t, err, oidc.ReasonNonce, "nonce")
	require.Zero(t, requests(op))
}

// Only what looks right costs a fetch, and one per cooldown.
func TestK07_UnknownKeysAreLookedForOnce(t *testing.T) {
	op := newOP(t)
	provider := newProvider(t, op)
	verifier := newVerifier(t, provider)
	for i := range 50 {
		raw := op.Sign(object{"typ": "at+jwt", "kid": fmt.Sprint("kid", i)}, accessClaims(op))
		_, err := verifier.Verify(t.Context(), raw)
		requireRefused(t, err, oidc.ReasonKey, "")
	}
	require.LessOrEqual(t, op.Requests(oidctest.JWKS), 2)
}

func TestStaticMetadataAndKeys(t *testing.T) {
	op := newOP(t)
	key, err := jwks.NewKey(op.PublicKey("ES256"), "", "ES256")
	require.NoError(t, err)
	m := metadataOf(op)
	r, via := record(op)
	provider := newProvider(t, op, via, withMetadata(m), func(c *oidc.Config) { c.Issuer, c.Keys = "", jwks.Static{key} })
	require.Equal(t, issuer, provider.Issuer())
	require.NoError(t, provider.Ready(t.Context()))
	got, err := provider.Metadata(t.Context())
	require.NoError(t, err)
	require.Equal(t, m.TokenEndpoint, got.TokenEndpoint)
	_, err = newVerifier(t, provider).Verify(t.Context(), op.Sign(object{"typ": "at+jwt"}, accessClaims(op)))
	require.NoError(t, err)
	mustLogin(t, op, newClient(t, provider))
	require.Len(t, r.seen, 1) // the code
}

func TestStaticMetadata_WithoutEndpoints(t *testing.T) {
	op := newOP(t)
	provider := newProvider(t, op, withMetadata(discovery.Metadata{Issuer: issuer, AuthorizationEndpoint: issuer + "/authorize"}))
	client := newClient(t, provider)
	tokens := mustLogin(t, op, newClient(t, newProvider(t, op), offline))
	flow, err := client.Begin(t.Context())
	require.NoError(t, err)
	_, err = client.Finish(t.Context(), flow, map[string][]string{"state": {flow.State()}, "code": {"x"}})
	require.ErrorIs(t, err, oidc.ErrNoEndpoint)
	_, err = client.Refresh(t.Context(), tokens)
	require.ErrorIs(t, err, oidc.ErrNoEndpoint)
	_, err = client.UserInfo(t.Context(), tokens)
	require.ErrorIs(t, err, oidc.ErrNoEndpoint)
	_, err = client.LogoutURL(t.Context(), oidc.Logout{})
	require.ErrorIs(t, err, oidc.ErrNoEndpoint)
	_, err = newVerifier(t, provider).Verify(t.Context(), op.Sign(object{"typ": "at+jwt"}, accessClaims(op)))
	require.ErrorIs(t, err, oidc.ErrNoEndpoint)
	require.NotErrorIs(t, err, oidckit.ErrInvalidToken)
}

func TestConfig_HeaderGoesWithEveryRequest(t *testing.T) {
	op := newOP(t)
	r, via := record(op)
	header := http.Header{"X-Tenant": {"a"}}
	provider := newProvider(t, op, via, func(c *oidc.Config) { c.Header = header })
	header.Set("X-Tenant", "changed afterwards")
	client := newClient(t, provider)
	tokens := mustLogin(t, op, client)
	_, err := client.UserInfo(t.Context(), tokens)
	require.NoError(t, err)
	require.Len(t, r.seen, 4)
	for _, req := range r.seen {
		require.Equal(t, []string{"a"}, req.Header["X-Tenant"], req.URL.Path)
	}
}

// Who gave up has learnt nothing about the token.
func TestD10_CancelledCallerIsNoInvalidToken(t *testing.T) {
	op := newOP(t)
	provider := newProvider(t, op)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	op.SetFault(oidctest.JWKS, oidctest.Fault{Status: 503})
	op.SetFault(oidctest.Discovery, oidctest.Fault{Status: 503})
	for range 2 {
		_, err := newVerifier(t, provider).Verify(ctx, signedFor(op, strictAccess, nil))
		requireUnavailable(t, err)
		_, err = newClient(t, provider).VerifyIDToken(ctx, signedFor(op, idToken, nil), "")
		requireUnavailable(t, err)
	}
}

// Where there was no login there is no nonce: a token of one is not taken.
func TestVerifyIDToken_WithoutLogin(t *testing.T) {
	op, client := setup(t)
	id, err := client.VerifyIDToken(t.Context(), signedFor(op, idToken, nil), "")
	require.NoError(t, err)
	require.Equal(t, marker+"-alice", id.Subject)
	for _, nonce := range []any{"n", null, 1} {
		_, err = client.VerifyIDToken(t.Context(), signedFor(op, idToken, object{"nonce": nonce}), "")
		requireRefused(t, err, oidc.ReasonNonce, "nonce")
	}
}

func TestInsecureHTTPHoldsForStaticMetadata(t *testing.T) {
	config := oidc.Config{Metadata: &discovery.Metadata{Issuer: "http://op.internal", JWKSURI: "http://op.internal/jwks"}}
	_, err := oidc.NewProvider(config)
	require.Error(t, err)
	config.InsecureHTTP = true
	_, err = oidc.NewProvider(config)
	require.NoError(t, err)
}

// HS tokens need a secret: with the provider's public keys none could be good.
func TestJ02_SymmetricAccessTokensNeedASecret(t *testing.T) {
	op := newOP(t)
	secret := bytes.Repeat([]byte("s"), 32)
	source, err := jwks.Symmetric(secret, "HS256")
	require.NoError(t, err)
	config := oidc.AccessTokenConfig{Audience: []string{api}, Algorithms: []string{"HS256"}}
	_, err = oidc.NewAccessTokenVerifier(newProvider(t, op), config)
	require.Error(t, err)
	v, err := oidc.NewAccessTokenVerifier(newProvider(t, op, func(c *oidc.Config) { c.Keys = source }), config)
	require.NoError(t, err)
	_, err = v.Verify(t.Context(), oidctest.SignHMAC(object{"alg": "HS256", "typ": "at+jwt"}, accessClaims(op), secret))
	require.NoError(t, err)
}
