package oidc_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

const (
	bank         = "https://bank.example"
	bankEndpoint = "https://bank.example/claims"
	sourceToken  = marker + "-token-of-the-source"
)

// A sourcesRig is a client whose provider hands on claims of a bank.
type sourcesRig struct {
	op, bank *oidctest.Provider
	config   oidc.ClaimSource
	provider *oidc.Provider // ours

	mu       sync.Mutex
	requests []*http.Request // for distributed claims
	answer   func() *http.Response
}

func newSourcesRig(t testing.TB) *sourcesRig {
	t.Helper()
	rig := &sourcesRig{op: newOP(t), bank: newOP(t, func(c *oidctest.Config) { c.Issuer = bank })}
	rig.answer = func() *http.Response { return answerJWT(rig.signed(nil, nil)) }
	rig.provider = newProvider(t, rig.op)
	rig.config = oidc.ClaimSource{Endpoints: []string{bankEndpoint}}
	rig.config.Provider = newProvider(t, rig.bank, func(c *oidc.Config) {
		next := c.HTTPClient.Transport
		c.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if !strings.HasPrefix(r.URL.Path, "/claims") {
				return next.RoundTrip(r)
			}
			rig.mu.Lock()
			defer rig.mu.Unlock()
			rig.requests = append(rig.requests, r)
			resp := rig.answer()
			if resp == nil {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			resp.Request, resp.TLS = r, &tls.ConnectionState{Version: tls.VersionTLS13}
			return resp, nil
		})}
	})
	return rig
}

func answerJWT(raw string) *http.Response { return answerWith(200, "application/jwt", raw) }

func answerWith(status int, mediaType, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {mediaType}}, Body: io.NopCloser(strings.NewReader(body)),
	}
}

// bankClaims are what the bank says.
func (rig *sourcesRig) bankClaims() object {
	return object{"iss": bank, "score": 7, "address": object{"locality": marker}, "other": "not asked for"}
}

func (rig *sourcesRig) signed(header, changes object) string {
	return rig.bank.Sign(header, with(rig.bankClaims(), changes))
}

func (rig *sourcesRig) client(t testing.TB, change ...func(*oidc.ClaimSource)) *oidc.Client {
	t.Helper()
	source := rig.config
	for _, f := range change {
		f(&source)
	}
	return newClient(t, rig.provider, func(c *oidc.ClientConfig) { c.ClaimSources = []oidc.ClaimSource{source} })
}

// set makes claims of the provider with one source, for "score" and "address".
func set(t testing.TB, source object) claims.Set {
	t.Helper()
	return parseSet(t, object{
		"sub": marker + "-alice", "email": "alice@example.com",
		"_claim_names": object{"score": "src", "address": "src"}, "_claim_sources": object{"src": source},
	})
}

func parseSet(t testing.TB, o object) claims.Set {
	t.Helper()
	data, err := json.Marshal(o)
	require.NoError(t, err)
	s, err := claims.Parse(data)
	require.NoError(t, err)
	return s
}

func one(t testing.TB, list []oidc.SourcedClaims, err error) oidc.SourcedClaims {
	t.Helper()
	require.NoError(t, err)
	require.Len(t, list, 1)
	s := list[0]
	require.Equal(t, "src", s.Source)
	if s.Err != nil {
		tellsNothing(t, s.Err, sourceToken)
		require.Nil(t, s.Claims.Raw())
		require.Nil(t, s.Unverified.Raw())
		require.Empty(t, s.Issuer)
	}
	return s
}

// F28: claims of others are believed if their issuer is trusted and has signed them, and
// are apart if it is not.
func TestF28_AggregatedClaims(t *testing.T) {
	t.Parallel()
	rig := newSourcesRig(t)
	foreign := newOP(t, func(c *oidctest.Config) { c.Issuer = "https://foreign.example" })
	client := rig.client(t)
	right := rig.signed(nil, nil)
	payload := strings.Split(right, ".")[1]
	none := encodeJSON(object{"alg": "none"})
	const want = `{"score":7,"address":{"locality":"` + marker + `"}}`
	for name, tt := range map[string]struct {
		raw        any
		unverified bool
		reason     oidc.Reason
		claim      string
	}{
		"of the bank":                   {right, false, "", ""},
		"for us":                        {rig.signed(nil, object{"aud": oidctest.ClientID, "exp": start.Unix() + 1}), false, "", ""},
		"about its customer":            {rig.signed(nil, object{"sub": "customer"}), false, "", ""},
		"for somebody else":             {rig.signed(nil, object{"aud": "other"}), false, oidc.ReasonAudience, "aud"},
		"expired":                       {rig.signed(nil, object{"exp": start.Unix() - 60}), false, oidc.ReasonExpired, "exp"},
		"another kind":                  {rig.signed(object{"typ": "at+jwt"}, nil), false, oidc.ReasonType, "typ"},
		"a Bearer token of Keycloak":    {rig.signed(nil, object{"typ": "Bearer"}), false, oidc.ReasonType, "typ"},
		"a refresh token of Keycloak":   {rig.signed(nil, object{"typ": "Refresh"}), false, oidc.ReasonType, "typ"},
		"an access token of Cognito":    {rig.signed(nil, object{"token_use": "access"}), false, oidc.ReasonType, "token_use"},
		"an ID token for us":            {rig.signed(nil, object{"aud": oidctest.ClientID, "nonce": "n"}), false, oidc.ReasonType, "nonce"},
		"one with an access token":      {rig.signed(nil, object{"at_hash": "h"}), false, oidc.ReasonType, "at_hash"},
		"one with a code":               {rig.signed(nil, object{"c_hash": "h"}), false, oidc.ReasonType, "c_hash"},
		"bound to somebody's key":       {rig.signed(nil, object{"cnf": object{"jkt": "x"}}), false, oidc.ReasonType, "cnf"},
		"sub is no name":                {rig.signed(nil, object{"sub": 1}), false, oidc.ReasonSubject, "sub"},
		"forged":                        {forgeSignature(right), false, oidc.ReasonSignature, ""},
		"by our provider":               {rig.op.Sign(nil, rig.bankClaims()), false, oidc.ReasonKey, ""},
		"of the bank with alg none":     {none + "." + payload + ".", false, oidc.ReasonMalformed, ""},
		"of the bank with an empty sig": {none + "." + payload + ".AA", false, oidc.ReasonAlgorithm, ""},
		"of a stranger":                 {foreign.Sign(nil, with(rig.bankClaims(), object{"iss": foreign.Issuer()})), true, "", ""},
		"of nobody, as in the suite":    {none + "." + encodeJSON(with(rig.bankClaims(), object{"iss": nil})) + ".", true, "", ""},
		"of our provider, no source":    {rig.op.Sign(nil, with(rig.bankClaims(), object{"iss": issuer})), true, "", ""},
		"no JWT":                        {"a", false, oidc.ReasonMalformed, ""},
		"a number":                      {1, false, oidc.ReasonMalformed, ""},
		"encrypted":                     {newRecipient(t).encrypt(t, right), false, oidc.ReasonMalformed, ""},
		"too long":                      {"a." + strings.Repeat("A", 16<<10) + ".a", false, oidc.ReasonMalformed, ""},
		"too long, of nobody":           {"a." + encode([]byte(`{"score":"`+strings.Repeat("x", 12<<10)+`"}`)) + ".a", false, oidc.ReasonMalformed, ""},
		"J22 duplicate":                 {"a." + encode([]byte(`{"score":1,"score":2}`)) + ".a", false, oidc.ReasonMalformed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := client.AggregatedClaims(t.Context(), set(t, object{"JWT": tt.raw}))
			s := one(t, list, err)
			require.Equal(t, []string{"address", "score"}, s.Names)
			switch {
			case tt.reason != "":
				requireRefused(t, s.Err, tt.reason, tt.claim)
			case tt.unverified:
				require.NoError(t, s.Err)
				require.Empty(t, s.Issuer)
				require.Nil(t, s.Claims.Raw())
				require.JSONEq(t, want, string(s.Unverified.Raw()))
			default:
				require.NoError(t, s.Err)
				require.Equal(t, bank, s.Issuer)
				require.JSONEq(t, want, string(s.Claims.Raw()))
				require.Nil(t, s.Unverified.Raw())
			}
		})
	}
	require.Zero(t, rig.bank.Requests(oidctest.UserInfo))
	require.Empty(t, rig.requests)
	// An outage of the bank leaves the rest as it is.
	rig.bank.SetFault(oidctest.Discovery, oidctest.Fault{Status: 503})
	other := newSourcesRig(t)
	other.bank.SetFault(oidctest.JWKS, oidctest.Fault{Status: 503})
	list, err := other.client(t).AggregatedClaims(t.Context(), set(t, object{"JWT": other.signed(nil, nil)}))
	requireUnavailable(t, one(t, list, err).Err)
}

// F28: nobody states what the provider states itself, nor what tokens are judged by.
func TestF28_ClaimsOfOthersReplaceNothing(t *testing.T) {
	t.Parallel()
	rig := newSourcesRig(t)
	raw := rig.signed(nil, object{"sub": "evil", "email": "evil@example.com", "acr": "gold", "score": 1})
	names := object{}
	for _, name := range []string{"sub", "iss", "aud", "exp", "acr", "auth_time", "email", "score", "missing", "_claim_names"} {
		names[name] = "src"
	}
	list, err := rig.client(t).AggregatedClaims(t.Context(), parseSet(t, object{
		"sub": "alice", "email": "alice@example.com", "_claim_names": names, "_claim_sources": object{"src": object{"JWT": raw}},
	}))
	s := one(t, list, err)
	require.NoError(t, s.Err)
	require.Equal(t, []string{"missing", "score"}, s.Names)
	require.JSONEq(t, `{"score":1}`, string(s.Claims.Raw()))
}

// F28: of a source that is our provider, the person is ours.
func TestF28_SourceThatIsTheProvider(t *testing.T) {
	t.Parallel()
	rig := newSourcesRig(t)
	client := rig.client(t, func(s *oidc.ClaimSource) { s.Provider = rig.provider })
	for sub, reason := range map[string]oidc.Reason{marker + "-alice": "", "bob": oidc.ReasonSubject} {
		raw := rig.op.Sign(nil, object{"iss": issuer, "sub": sub, "score": 1})
		list, err := client.AggregatedClaims(t.Context(), set(t, object{"JWT": raw}))
		claim := ""
		if reason != "" {
			claim = "sub"
		}
		requireVerdict(t, one(t, list, err).Err, reason, claim)
	}
}

// F28, F29: what a set may name is bounded, and malformed ones are refused as a whole.
func TestF29_SourcesAreBounded(t *testing.T) {
	t.Parallel()
	rig := newSourcesRig(t)
	client := rig.client(t)
	many := func(claimsCount, sources int) object {
		names, list := object{}, object{}
		for i := range claimsCount {
			source := fmt.Sprintf("src%d", i%sources)
			names[fmt.Sprintf("claim%d", i)], list[source] = source, object{"JWT": "a.e30.a", "endpoint": "https://evil.example/"}
		}
		return object{"_claim_names": names, "_claim_sources": list}
	}
	for name, tt := range map[string]struct {
		set   object
		claim string // at fault
		count int
	}{
		"none":                     {object{}, "", 0},
		"8 sources":                {many(8, 8), "", 8},
		"9 sources":                {many(9, 9), "_claim_names", 0},
		"64 claims":                {many(64, 8), "", 8},
		"65 claims":                {many(65, 8), "_claim_names", 0},
		"names are a list":         {object{"_claim_names": []string{"a"}}, "_claim_names", 0},
		"names are null":           {object{"_claim_names": nil}, "_claim_names", 0},
		"a source is no name":      {object{"_claim_names": object{"a": 1}, "_claim_sources": object{"1": object{"JWT": "x"}}}, "_claim_names", 0},
		"a source is missing":      {object{"_claim_names": object{"a": "s"}, "_claim_sources": object{}}, "_claim_sources", 0},
		"no sources":               {object{"_claim_names": object{"a": "s"}}, "_claim_sources", 0},
		"a source is no object":    {object{"_claim_names": object{"a": "s"}, "_claim_sources": object{"s": "x"}}, "_claim_sources", 0},
		"a source that none names": {object{"_claim_names": object{}, "_claim_sources": object{"s": object{"JWT": "x"}}}, "", 0},
		"neither kind":             {object{"_claim_names": object{"a": "s"}, "_claim_sources": object{"s": object{}}}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			for method, f := range map[string]func() ([]oidc.SourcedClaims, error){
				"aggregated": func() ([]oidc.SourcedClaims, error) { return client.AggregatedClaims(t.Context(), parseSet(t, tt.set)) },
				"distributed": func() ([]oidc.SourcedClaims, error) {
					return client.DistributedClaims(t.Context(), parseSet(t, tt.set))
				},
			} {
				list, err := f()
				if tt.claim != "" {
					require.Nil(t, list, method)
					requireRefused(t, err, oidc.ReasonMalformed, tt.claim)
					continue
				}
				require.NoError(t, err, method)
				require.Len(t, list, tt.count, method)
			}
		})
	}
	for _, f := range []func() ([]oidc.SourcedClaims, error){
		func() ([]oidc.SourcedClaims, error) { return client.AggregatedClaims(t.Context(), claims.Set{}) },
		func() ([]oidc.SourcedClaims, error) { return client.DistributedClaims(t.Context(), claims.Set{}) },
	} {
		list, err := f()
		require.NoError(t, err)
		require.Empty(t, list)
	}
	require.Empty(t, rig.requests)
}

// F29: claims are fetched from where the configuration allows, and believed if they are of
// the issuer that it says is there.
func TestF29_DistributedClaims(t *testing.T) {
	t.Parallel()
	rig := newSourcesRig(t)
	client := rig.client(t)
	source := object{"endpoint": bankEndpoint, "access_token": sourceToken}
	list, err := client.DistributedClaims(t.Context(), set(t, source))
	s := one(t, list, err)
	require.NoError(t, s.Err)
	require.Equal(t, bank, s.Issuer)
	require.JSONEq(t, `{"score":7,"address":{"locality":"`+marker+`"}}`, string(s.Claims.Raw()))
	require.Len(t, rig.requests, 1)
	require.Equal(t, http.MethodGet, rig.requests[0].Method)
	require.Equal(t, []string{"Bearer " + sourceToken}, rig.requests[0].Header["Authorization"])
	require.Empty(t, rig.requests[0].URL.RawQuery)

	_, err = client.DistributedClaims(t.Context(), set(t, object{"endpoint": bankEndpoint}))
	require.NoError(t, err)
	require.Empty(t, rig.requests[1].Header.Values("Authorization"))
	// The other method fetches nothing.
	aggregated, err := client.AggregatedClaims(t.Context(), set(t, source))
	require.NoError(t, err)
	require.Empty(t, aggregated)
	require.Len(t, rig.requests, 2)
}

// F29: nothing goes anywhere else, whatever the provider writes.
func TestF29_EndpointsAreAllowListed(t *testing.T) {
	t.Parallel()
	for endpoint, allowed := range map[string]bool{
		bankEndpoint: true, bankEndpoint + "?user=1": true, "https://BANK.example:443/claims": true,
		"https://bank.example/claims/below/x": true, "https://bank.example/claims/below/": true,
		"https://bank.example/claims/": false, "https://bank.example/claims/below": false, "https://bank.example/Claims": false, "https://bank.example/": false,
		"http://bank.example/claims": false, "https://bank.example:8443/claims": false, "https://evil.example/claims": false,
		"https://bank.example.evil.example/claims": false, "https://bank.example@evil.example/claims": false, "https://a@bank.example/claims": false,
		"https://bank.example/claims#x": false, "https://bank.example/x/../claims": false, "https://bank.example/claims/below/../../admin": false,
		"https://bank.example/claims/below/%2e%2e/admin": false, "https://bank.example/claims/below//x": false, "https://bank.example/claims/below/a;b": false,
		"https://bank.example/claims/below/%2fx": false, `https://bank.example/claims/below/\x`: false, "https://169.254.169.254/claims": false,
		"file:///claims": false, "/claims": false, "claims": false, "": false, "https://bank.example/claims\r\n": false,
	} {
		t.Run(endpoint, func(t *testing.T) {
			t.Parallel()
			rig := newSourcesRig(t)
			client := rig.client(t, func(s *oidc.ClaimSource) { s.Endpoints = append(s.Endpoints, "https://bank.example/claims/below/") })
			list, err := client.DistributedClaims(t.Context(), set(t, object{"endpoint": endpoint, "access_token": sourceToken}))
			s := one(t, list, err)
			if allowed {
				require.NoError(t, s.Err)
				require.Len(t, rig.requests, 1)
				return
			}
			require.ErrorIs(t, s.Err, oidc.ErrUntrustedSource)
			require.Empty(t, rig.requests)
		})
	}
	// Without a source nothing is fetched at all.
	op, client := setup(t)
	before := requests(op)
	list, err := client.DistributedClaims(t.Context(), set(t, object{"endpoint": issuer + "/userinfo", "access_token": sourceToken}))
	require.ErrorIs(t, one(t, list, err).Err, oidc.ErrUntrustedSource)
	require.Equal(t, before, requests(op))
}

// F29: what comes is judged, and what does not come is an outage.
func TestF29_AnswersOfSources(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer func(*sourcesRig) *http.Response
		reason oidc.Reason // empty: unavailable
		claim  string
	}{
		"of another issuer": {func(r *sourcesRig) *http.Response {
			return answerJWT(r.signed(nil, object{"iss": "https://evil.example"}))
		}, oidc.ReasonIssuer, "iss"},
		"of our provider": {func(r *sourcesRig) *http.Response {
			return answerJWT(r.op.Sign(nil, with(r.bankClaims(), object{"iss": issuer})))
		}, oidc.ReasonIssuer, "iss"},
		"of nobody":         {func(r *sourcesRig) *http.Response { return answerJWT(r.signed(nil, object{"iss": nil})) }, oidc.ReasonIssuer, "iss"},
		"forged":            {func(r *sourcesRig) *http.Response { return answerJWT(forgeSignature(r.signed(nil, nil))) }, oidc.ReasonSignature, ""},
		"for somebody else": {func(r *sourcesRig) *http.Response { return answerJWT(r.signed(nil, object{"aud": "other"})) }, oidc.ReasonAudience, "aud"},
		"expired":           {func(r *sourcesRig) *http.Response { return answerJWT(r.signed(nil, object{"exp": start.Unix() - 60})) }, oidc.ReasonExpired, "exp"},
		"alg none":          {func(*sourcesRig) *http.Response { return answerJWT(encodeJSON(object{"alg": "none"}) + ".e30.AA") }, oidc.ReasonAlgorithm, ""},
		"too long":          {func(*sourcesRig) *http.Response { return answerJWT("a." + strings.Repeat("A", 16<<10) + ".a") }, oidc.ReasonMalformed, ""},
		"JSON":              {func(*sourcesRig) *http.Response { return answerWith(200, "application/json", `{"score":1}`) }, "", ""},
		"HTML":              {func(*sourcesRig) *http.Response { return answerWith(200, "text/html", marker) }, "", ""},
		"a JWT of another type": {func(r *sourcesRig) *http.Response {
			return answerWith(200, "text/plain", r.signed(nil, nil))
		}, "", ""},
		"503": {func(*sourcesRig) *http.Response { return answerWith(503, "text/plain", marker) }, "", ""},
		"F31 redirect": {func(*sourcesRig) *http.Response {
			resp := answerWith(307, "text/plain", "")
			resp.Header.Set("Location", "https://evil.example/claims")
			return resp
		}, "", ""},
		"oversized": {func(*sourcesRig) *http.Response { return answerJWT(strings.Repeat("a", 1<<20+1)) }, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rig := newSourcesRig(t)
			rig.answer = func() *http.Response { return tt.answer(rig) }
			list, err := rig.client(t).DistributedClaims(t.Context(), set(t, object{"endpoint": bankEndpoint, "access_token": sourceToken}))
			s := one(t, list, err)
			if tt.reason == "" {
				requireUnavailable(t, s.Err)
			} else {
				requireRefused(t, s.Err, tt.reason, tt.claim)
			}
			require.Len(t, rig.requests, 1)
		})
	}
	t.Run("401", func(t *testing.T) {
		t.Parallel()
		rig := newSourcesRig(t)
		rig.answer = func() *http.Response { return answerWith(401, "application/json", `{"error":"invalid_token"}`) }
		list, err := rig.client(t).DistributedClaims(t.Context(), set(t, object{"endpoint": bankEndpoint}))
		var re *oidc.ResponseError
		require.ErrorAs(t, one(t, list, err).Err, &re)
		require.Equal(t, 401, re.Status)
	})
	for name, token := range map[string]any{"a number": 1, "with a line break": "a\r\nb", "empty": "", "too long": strings.Repeat("a", 16<<10+1)} {
		t.Run("access_token is "+name, func(t *testing.T) {
			t.Parallel()
			rig := newSourcesRig(t)
			list, err := rig.client(t).DistributedClaims(t.Context(), set(t, object{"endpoint": bankEndpoint, "access_token": token}))
			requireRefused(t, one(t, list, err).Err, oidc.ReasonMalformed, "")
			require.Empty(t, rig.requests)
		})
	}
}

func TestF29_SourceThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rig := newSourcesRig(t)
		rig.answer = func() *http.Response { return nil }
		began := time.Now()
		list, err := rig.client(t).DistributedClaims(t.Context(), set(t, object{"endpoint": bankEndpoint}))
		requireUnavailable(t, one(t, list, err).Err)
		require.Equal(t, 10*time.Second, time.Since(began))
	})
}

// F29: sources that hang hold a login up for the time of two requests, however many they are.
func TestF29_AllSourcesTogetherHaveOneTimeLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rig := newSourcesRig(t)
		rig.answer = func() *http.Response { return nil }
		names, sources := object{}, object{}
		for i := range 8 {
			names[fmt.Sprint("c", i)], sources[fmt.Sprint("s", i)] = fmt.Sprint("s", i), object{"endpoint": bankEndpoint}
		}
		began := time.Now()
		list, err := rig.client(t).DistributedClaims(t.Context(), parseSet(t, object{"_claim_names": names, "_claim_sources": sources}))
		require.NoError(t, err)
		require.Len(t, list, 8)
		require.Equal(t, 20*time.Second, time.Since(began))
		for _, s := range list {
			requireUnavailable(t, s.Err)
		}
	})
}

// F29: keys that were not there when the time was over are an outage as well.
func TestF29_TimeLimitWhileKeysAreFetched(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rig := newSourcesRig(t)
		right := rig.signed(nil, nil)
		rig.bank.SetFault(oidctest.JWKS, oidctest.Fault{Delay: time.Hour})
		calls := 0
		rig.answer = func() *http.Response {
			if calls++; calls == 1 {
				return nil
			}
			time.Sleep(9 * time.Second)
			return answerJWT(right)
		}
		names, sources := object{"a": "a", "b": "b"}, object{"a": object{"endpoint": bankEndpoint}, "b": object{"endpoint": bankEndpoint}}
		began := time.Now()
		list, err := rig.client(t).DistributedClaims(t.Context(), parseSet(t, object{"_claim_names": names, "_claim_sources": sources}))
		require.NoError(t, err)
		require.Len(t, list, 2)
		require.Equal(t, 20*time.Second, time.Since(began))
		for _, s := range list {
			requireUnavailable(t, s.Err)
		}
		time.Sleep(10 * time.Second) // the fetch is for all who want the keys, and goes on
	})
}

func TestClaimSources_RefusesConfig(t *testing.T) {
	t.Parallel()
	rig := newSourcesRig(t)
	for name, tt := range map[string]struct {
		change func(*oidc.ClaimSource)
		field  string
	}{
		"no provider":         {func(s *oidc.ClaimSource) { s.Provider = nil }, ""},
		"zero provider":       {func(s *oidc.ClaimSource) { s.Provider = new(oidc.Provider) }, ""},
		"none":                {func(s *oidc.ClaimSource) { s.Algorithms = []string{"none"} }, ".Algorithms"},
		"HS with public keys": {func(s *oidc.ClaimSource) { s.Algorithms = []string{"HS256"} }, ".Algorithms"},
		"empty audience":      {func(s *oidc.ClaimSource) { s.Audience = []string{""} }, ".Audience"},
		"plain http":          {func(s *oidc.ClaimSource) { s.Endpoints = []string{"http://bank.example/claims"} }, ".Endpoints"},
		"no host":             {func(s *oidc.ClaimSource) { s.Endpoints = []string{"https:///claims"} }, ".Endpoints"},
		"a query":             {func(s *oidc.ClaimSource) { s.Endpoints = []string{bankEndpoint + "?a"} }, ".Endpoints"},
		"an empty query":      {func(s *oidc.ClaimSource) { s.Endpoints = []string{bankEndpoint + "?"} }, ".Endpoints"},
		"dots":                {func(s *oidc.ClaimSource) { s.Endpoints = []string{"https://bank.example/../claims"} }, ".Endpoints"},
		"an escape":           {func(s *oidc.ClaimSource) { s.Endpoints = []string{"https://bank.example/cl%61ims"} }, ".Endpoints"},
	} {
		source := rig.config
		tt.change(&source)
		cfg := clientConfig()
		cfg.ClaimSources = []oidc.ClaimSource{source}
		_, err := oidc.NewClient(rig.provider, cfg)
		require.Error(t, err, name)
		requireConfigError(t, err, "ClientConfig.ClaimSources[0]"+tt.field)
	}
	cfg := clientConfig()
	cfg.ClaimSources = []oidc.ClaimSource{rig.config, rig.config}
	_, err := oidc.NewClient(rig.provider, cfg)
	requireConfigError(t, err, "ClientConfig.ClaimSources[1].Provider")
	// The lists are the client's own.
	source := rig.config
	source.Endpoints = []string{bankEndpoint}
	client := newClient(t, rig.provider, func(c *oidc.ClientConfig) { c.ClaimSources = []oidc.ClaimSource{source} })
	source.Endpoints[0] = "https://evil.example/claims"
	list, err := client.DistributedClaims(t.Context(), set(t, object{"endpoint": bankEndpoint}))
	require.NoError(t, one(t, list, err).Err)
}

func TestG10_SourcedClaimsAreRedacted(t *testing.T) {
	t.Parallel()
	rig := newSourcesRig(t)
	client := rig.client(t)
	list, err := client.AggregatedClaims(t.Context(), set(t, object{"JWT": rig.signed(nil, nil)}))
	verified := one(t, list, err)
	list, err = client.AggregatedClaims(t.Context(), set(t, object{"JWT": rig.signed(nil, object{"iss": "https://foreign.example"})}))
	unverified := one(t, list, err)
	require.NotNil(t, unverified.Unverified.Raw())
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		fmt.Fprintf(&out, verb+verb+verb, verified, &unverified, list)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", verified, "w", unverified)
	require.NotContains(t, out.String(), marker)
	require.NotContains(t, out.String(), fmt.Sprintf("%x", marker))
	require.Contains(t, fmt.Sprint(verified), bank)
}
