package interop_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/internal/interop"
	"github.com/oidckit/oidckit/oidc"
)

// strict returns a verifier with nothing configured but what must be.
func strict(t *testing.T, cfg oidc.Config, audience string) *oidc.AccessTokenVerifier {
	t.Helper()
	v, err := oidc.NewAccessTokenVerifier(newProvider(t, cfg), oidc.AccessTokenConfig{Audience: []string{audience}})
	require.NoError(t, err)
	return v
}

func TestStrictVerifierTakesTheProvidersAccessTokens(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	verifier := strict(t, oidc.Config{Issuer: op.Issuer}, apiTest)
	tokens := tokensFor(t, op, "alice", apiTest, "reports:read")

	token, err := verifier.Verify(t.Context(), tokens.OAuth2.AccessToken)
	require.NoError(t, err)
	require.Equal(t, op.Issuer, token.Issuer)
	require.Equal(t, "alice", token.Subject)
	require.Equal(t, "app-basic", token.ClientID)
	require.Equal(t, []string{apiTest}, token.Audience)
	require.Equal(t, []string{"reports:read"}, token.Scopes)
	require.WithinDuration(t, time.Now().Add(300*time.Second), token.Expiry, 60*time.Second)

	_, err = verifier.Verify(t.Context(), accessTokenFor(t, op, "alice", otherTest))
	requireReason(t, oidc.ReasonAudience, err)
	_, err = verifier.Verify(t.Context(), tokens.IDToken.Raw())
	var refusal *oidc.Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, oidc.Error{Reason: oidc.ReasonType, Claim: "typ", Err: refusal.Err}, *refusal)
}

func TestStrictVerifierKnowsTheTime(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	at := func(shift time.Duration) oidc.Config {
		return oidc.Config{Issuer: op.Issuer, Now: func() time.Time { return time.Now().Add(shift) }}
	}
	fresh := accessTokenFor(t, op, "alice", apiTest)
	_, err := strict(t, at(330*time.Second), apiTest).Verify(t.Context(), fresh)
	require.NoError(t, err, "within the leeway")
	_, err = strict(t, at(370*time.Second), apiTest).Verify(t.Context(), fresh)
	requireReason(t, oidc.ReasonExpired, err)
	_, err = strict(t, at(-2*time.Minute), apiTest).Verify(t.Context(), fresh)
	requireReason(t, oidc.ReasonNotYetValid, err)

	old := accessTokenFor(t, op, "alice", expiredTest)
	_, err = strict(t, at(0), expiredTest).Verify(t.Context(), old)
	requireReason(t, oidc.ReasonExpired, err)
	_, err = strict(t, at(-30*time.Minute), expiredTest).Verify(t.Context(), old)
	require.NoError(t, err, "half an hour ago it was good: nothing else is wrong with it")
}

// Every bit of the token counts, those of the encoding that no byte needs included.
func TestStrictVerifierRefusesEveryFlippedBit(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	verifier := strict(t, oidc.Config{Issuer: op.Issuer}, apiTest)
	token := accessTokenFor(t, op, "alice", apiTest, "reports:read")
	_, err := verifier.Verify(t.Context(), token)
	require.NoError(t, err)
	for i := range len(token) {
		for bit := range 8 {
			flipped := []byte(token)
			flipped[i] ^= 1 << bit
			_, err := verifier.Verify(t.Context(), string(flipped))
			require.ErrorIs(t, err, oidckit.ErrInvalidToken, "bit %d of byte %d", bit, i)
		}
	}
}

func TestAPI(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	bin := interop.BuildExample(t, "api")
	api := startAPI(t, bin, op.Issuer, apiTest)
	tokens := tokensFor(t, op, "alice", apiTest, "reports:read")
	alice := tokens.OAuth2.AccessToken
	bob := accessTokenFor(t, op, "bob", apiTest)

	t.Run("good token", func(t *testing.T) {
		got := api.get(t, "/whoami", alice)
		require.Equal(t, http.StatusOK, got.status, "%s", got.body)
		require.Equal(t, map[string]any{
			"iss": op.Issuer, "sub": "alice", "username": "alice", "scopes": []any{"reports:read"}, "roles": []any{"admin", "user"},
		}, got.json(t))
		require.Equal(t, http.StatusOK, api.get(t, "/reports", alice).status)
	})
	t.Run("scope", func(t *testing.T) {
		got := api.get(t, "/reports", bob)
		require.Equal(t, http.StatusForbidden, got.status)
		require.Contains(t, got.header.Get("WWW-Authenticate"), `error="insufficient_scope"`)
		require.Contains(t, got.header.Get("WWW-Authenticate"), `scope="reports:read"`)
	})
	t.Run("role", func(t *testing.T) {
		require.Equal(t, http.StatusOK, api.call(t, http.MethodPost, "/admin", alice).status)
		require.Equal(t, http.StatusForbidden, api.call(t, http.MethodPost, "/admin", bob).status)
		require.Equal(t, http.StatusOK, api.get(t, "/whoami", bob).status)
	})
	t.Run("no token", func(t *testing.T) {
		require.Equal(t, http.StatusOK, api.get(t, "/public", "").status)
		got := api.get(t, "/whoami", "")
		require.Equal(t, http.StatusUnauthorized, got.status)
		require.True(t, strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Bearer"))
		require.NotContains(t, got.header.Get("WWW-Authenticate"), "error", "RFC 6750 section 3.1")
	})
	t.Run("metadata", func(t *testing.T) {
		metadata := api.base + "/.well-known/oauth-protected-resource"
		require.Contains(t, api.get(t, "/whoami", "").header.Get("WWW-Authenticate"), `resource_metadata="`+metadata+`"`)
		got := api.get(t, strings.TrimPrefix(metadata, api.base), "").json(t)
		require.Equal(t, api.base, got["resource"])
		require.Equal(t, []any{op.Issuer}, got["authorization_servers"])
	})
	t.Run("another API's token", func(t *testing.T) {
		requireRefused(t, api.get(t, "/whoami", accessTokenFor(t, op, "alice", otherTest, "reports:read")))
	})
	t.Run("opaque token", func(t *testing.T) {
		client, _ := newClient(t, op, configure(t, op, "app-basic"))
		opaque := logIn(t, op, client, "alice").OAuth2.AccessToken
		require.NotContains(t, opaque, ".")
		requireRefused(t, api.get(t, "/whoami", opaque))
	})
	t.Run("ID token", func(t *testing.T) {
		requireRefused(t, api.get(t, "/whoami", tokens.IDToken.Raw()))
		// Not even where the API's name is the client's, so that the audience fits.
		named := startAPI(t, bin, op.Issuer, "app-basic")
		requireRefused(t, named.get(t, "/whoami", tokens.IDToken.Raw()))
	})
	t.Run("flipped bit", func(t *testing.T) {
		for part := range 3 {
			requireRefused(t, api.get(t, "/whoami", flipBit(t, alice, part)))
		}
		require.Equal(t, http.StatusOK, api.get(t, "/whoami", alice).status)
	})
	t.Run("expired token", func(t *testing.T) {
		expired := accessTokenFor(t, op, "alice", expiredTest)
		patient := startAPI(t, bin, op.Issuer, expiredTest)
		requireRefused(t, patient.get(t, "/whoami", expired))
		patient.process.Wait(regexp.MustCompile(`status=401 .*reason=.*expired`))
	})
}

// Two providers at a time, and keys without metadata.
func TestAPIOfSeveralIssuers(t *testing.T) {
	t.Parallel()
	op, other := interop.StartOP(t, []string{callbackURL}), interop.StartOP(t, []string{callbackURL})
	bin := interop.BuildExample(t, "api")
	both := runAPI(t, bin, "-issuer", op.Issuer, "-issuer", other.Issuer, "-audience", apiTest)
	one := runAPI(t, bin, "-issuer", op.Issuer, "-audience", apiTest, "-jwks-uri", op.Issuer+"/jwks", "-jws-alg", "RS256")
	ours, theirs := accessTokenFor(t, op, "alice", apiTest), accessTokenFor(t, other, "alice", apiTest)
	require.Equal(t, op.Issuer, both.get(t, "/whoami", ours).json(t)["iss"])
	require.Equal(t, other.Issuer, both.get(t, "/whoami", theirs).json(t)["iss"])
	require.Equal(t, http.StatusOK, one.get(t, "/whoami", ours).status)
	requireRefused(t, one.get(t, "/whoami", theirs))
}

// This provider's opaque tokens name no API: they are for userinfo. JWTs are judged as ever.
func TestAPIThatAsksAboutOpaqueTokens(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	registered := op.Client(t, "app-basic")
	t.Setenv("API_CLIENT_SECRET", registered.Secret)
	api := runAPI(t, interop.BuildExample(t, "api"), "-issuer", op.Issuer, "-audience", apiTest, "-roles-claim", "scope",
		"-introspection-url", op.Issuer+"/token/introspection", "-client-id", registered.ID, "-client-secret", "env:API_CLIENT_SECRET")
	require.Equal(t, http.StatusOK, api.get(t, "/whoami", accessTokenFor(t, op, "alice", apiTest, "reports:read")).status)
	client, _ := newClient(t, op, configure(t, op, "app-basic"))
	requireRefused(t, api.get(t, "/whoami", logIn(t, op, client, "alice").OAuth2.AccessToken))
	api.process.Wait(regexp.MustCompile(`status=401 .*reason=.*aud`))
	requireRefused(t, api.get(t, "/whoami", "made-up"))
	api.process.Wait(regexp.MustCompile(`status=401 .*reason=.*(revoked|active)`))
}

// Tokens that the provider bound to a key, and proofs by our client, at our API.
func TestAPIThatRequiresDPoP(t *testing.T) {
	t.Parallel()
	op := interop.StartOP(t, []string{callbackURL})
	bin := interop.BuildExample(t, "api")
	api := runAPI(t, bin, "-issuer", op.Issuer, "-audience", apiTest, "-require-dpop")
	row := privateKeyMethod(t, "ES256")
	registered := row.register(t, op, interop.Metadata{"dpop_bound_access_tokens": true})
	client := clientOf(t, op, registered, oidc.ClientConfig{
		ClientAuth: row.method(registered), DPoP: newDPoP(t, "ES256"), Resources: []string{apiTest}, Scopes: []string{"reports:read"},
	})
	tokens := logIn(t, op, client, "alice")
	transport, err := client.APITransport(oidc.APITransportConfig{Source: client.TokenSource(tokens), Allowed: []string{api.base}})
	require.NoError(t, err)
	for _, path := range []string{"/whoami", "/reports", "/whoami?a=b"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, api.base+path, http.NoBody)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, send(t, &http.Client{Transport: transport}, req).status, path)
	}
	for _, token := range []string{tokens.OAuth2.AccessToken, accessTokenFor(t, op, "alice", apiTest), ""} {
		got := api.get(t, "/whoami", token)
		require.Equal(t, http.StatusUnauthorized, got.status)
		require.True(t, strings.HasPrefix(got.header.Get("WWW-Authenticate"), "DPoP "))
		require.Contains(t, got.header.Get("WWW-Authenticate"), `algs="ES256 `)
	}
	// An API that knows no proofs does not take the token without one.
	requireRefused(t, startAPI(t, bin, op.Issuer, apiTest).get(t, "/whoami", tokens.OAuth2.AccessToken))
}

func runAPI(t *testing.T, bin string, flags ...string) *api {
	t.Helper()
	p := interop.Run(t, bin, append([]string{"-listen", "127.0.0.1:0"}, flags...)...)
	return &api{base: p.Wait(apiReady)[1], process: p}
}

// flipBit flips one bit of what is encoded in a part of a token, so that the part still is JSON: of the key's name in
// the header, of the subject in the payload.
func flipBit(t *testing.T, token string, part int) string {
	t.Helper()
	parts := strings.Split(token, ".")
	require.Len(t, parts, 3)
	raw, err := base64.RawURLEncoding.DecodeString(parts[part])
	require.NoError(t, err)
	at := 10
	if mark := []string{`"kid":"RS256-`, `"sub":"`, ""}[part]; mark != "" {
		at = strings.Index(string(raw), mark)
		require.GreaterOrEqual(t, at, 0, "%s", raw)
		at += len(mark)
	}
	raw[at] ^= 1
	parts[part] = base64.RawURLEncoding.EncodeToString(raw)
	return strings.Join(parts, ".")
}

func TestKeyRotationUnderARunningAPI(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	api := startAPI(t, interop.BuildExample(t, "api"), op.Issuer, apiTest)
	before := accessTokenFor(t, op, "alice", apiTest)
	require.Equal(t, http.StatusOK, api.get(t, "/whoami", before).status)

	require.NoError(t, op.Rotate(t.Context(), false))
	after := accessTokenFor(t, op, "alice", apiTest)
	requireOtherKey(t, before, after)
	require.Equal(t, http.StatusOK, api.get(t, "/whoami", after).status, "at once")
	require.Equal(t, http.StatusOK, api.get(t, "/whoami", before).status, "the old key is published still")
}

func TestKeyRotationInTheMiddleOfALogin(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	client, _ := newClient(t, op, configure(t, op, "app-basic"))
	first := logIn(t, op, client, "alice")
	flow, callback := begin(t, op, client, "alice")
	require.NoError(t, op.Rotate(t.Context(), true))
	second, err := client.Finish(t.Context(), flow, callback)
	require.NoError(t, err)
	requireOtherKey(t, first.IDToken.Raw(), second.IDToken.Raw())
}

func requireOtherKey(t *testing.T, before, after string) {
	t.Helper()
	old, _ := decode(t, before)
	current, _ := decode(t, after)
	require.NotEmpty(t, current["kid"])
	require.NotEqual(t, old["kid"], current["kid"])
}

func TestOutage(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	bin := interop.BuildExample(t, "api")
	running := startAPI(t, bin, op.Issuer, apiTest)
	verifier := strict(t, oidc.Config{Issuer: op.Issuer}, apiTest)
	token := accessTokenFor(t, op, "alice", apiTest)
	require.Equal(t, http.StatusOK, running.get(t, "/whoami", token).status)
	_, err := verifier.Verify(t.Context(), token)
	require.NoError(t, err)

	op.Stop()
	require.Equal(t, http.StatusOK, running.get(t, "/whoami", token).status, "the keys are there")
	_, err = verifier.Verify(t.Context(), token)
	require.NoError(t, err)
	_, err = strict(t, oidc.Config{Issuer: op.Issuer}, apiTest).Verify(t.Context(), token)
	require.ErrorIs(t, err, oidckit.ErrUnavailable)
	require.NotErrorIs(t, err, oidckit.ErrInvalidToken)

	late := startAPI(t, bin, op.Issuer, apiTest)
	require.Equal(t, http.StatusOK, late.get(t, "/public", "").status, "it starts without its provider")
	require.Equal(t, http.StatusUnauthorized, late.get(t, "/whoami", "").status, "what needs no key is judged")
	requireRefused(t, late.get(t, "/whoami", accessTokenOfNobody))
	got := late.get(t, "/whoami", token)
	require.Equal(t, http.StatusServiceUnavailable, got.status, "%s", got.body)
	retryAfter(t, got)
	require.Empty(t, got.header.Get("WWW-Authenticate"), "nothing is wrong with the token")

	back := interop.StartOP(t, []string{callbackURL}, interop.WithPort(port(t, op.Issuer)))
	require.Equal(t, op.Issuer, back.Issuer)
	fresh := accessTokenFor(t, back, "alice", apiTest) // it comes back with other keys
	requireOtherKey(t, token, fresh)
	require.Equal(t, http.StatusOK, running.get(t, "/whoami", fresh).status, "at once")

	deadline := time.Now().Add(15 * time.Second)
	for got = late.get(t, "/whoami", fresh); got.status != http.StatusOK; got = late.get(t, "/whoami", fresh) {
		require.Equal(t, http.StatusServiceUnavailable, got.status, "%s", got.body)
		require.True(t, time.Now().Before(deadline), "it does not heal")
		time.Sleep(retryAfter(t, got))
	}
}

// accessTokenOfNobody is {"alg":"none"} and {}.
const accessTokenOfNobody = "eyJhbGciOiJub25lIn0.e30."

func retryAfter(t *testing.T, a answer) time.Duration {
	t.Helper()
	seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
	require.NoError(t, err)
	require.Positive(t, seconds)
	require.LessOrEqual(t, seconds, 10)
	return time.Duration(seconds) * time.Second
}

func port(t *testing.T, issuer string) int {
	t.Helper()
	u, err := url.Parse(issuer)
	require.NoError(t, err)
	n, err := strconv.Atoi(u.Port())
	require.NoError(t, err)
	return n
}
