package oidc_test

import (
	"crypto/sha256"
	"maps"
	"net/url"
	"testing"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

// F07: what a login asks for as to how and when the person logged in is compared with the
// signed token, by another process too.
func TestF07_AuthenticationThatWasAskedFor(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration) object { return object{"auth_time": start.Add(d).Unix()} }
	for name, tt := range map[string]struct {
		options []oidc.Option
		claims  object
		claim   string // at fault
	}{
		"nothing asked":                    {nil, object{"auth_time": nil, "acr": nil}, ""},
		"long ago, and nothing asked":      {nil, at(-10 * time.Hour), ""},
		"recent":                           {[]oidc.Option{oidc.WithMaxAge(time.Minute)}, at(-time.Minute), ""},
		"within the leeway":                {[]oidc.Option{oidc.WithMaxAge(time.Minute)}, at(-2 * time.Minute), ""},
		"too long ago":                     {[]oidc.Option{oidc.WithMaxAge(time.Minute)}, at(-2*time.Minute - time.Second), "auth_time"},
		"now":                              {[]oidc.Option{oidc.WithMaxAge(0)}, at(0), ""},
		"before now":                       {[]oidc.Option{oidc.WithMaxAge(0)}, at(-61 * time.Second), "auth_time"},
		"in the future":                    {[]oidc.Option{oidc.WithMaxAge(0)}, at(10 * time.Minute), "auth_time"},
		"missing":                          {[]oidc.Option{oidc.WithMaxAge(time.Hour)}, object{"auth_time": nil}, "auth_time"},
		"null":                             {[]oidc.Option{oidc.WithMaxAge(time.Hour)}, object{"auth_time": null}, "auth_time"},
		"a text":                           {[]oidc.Option{oidc.WithMaxAge(time.Hour)}, object{"auth_time": "now"}, "auth_time"},
		"as a plain parameter":             {[]oidc.Option{oidc.WithParameter("max_age", "60")}, at(-time.Hour), "auth_time"},
		"acr":                              {[]oidc.Option{oidc.WithACRValues("gold", "silver")}, object{"acr": "silver"}, ""},
		"another acr":                      {[]oidc.Option{oidc.WithACRValues("gold", "silver")}, object{"acr": "bronze"}, "acr"},
		"both as one":                      {[]oidc.Option{oidc.WithACRValues("gold", "silver")}, object{"acr": "gold silver"}, "acr"},
		"no acr":                           {[]oidc.Option{oidc.WithACRValues("gold")}, object{"acr": nil}, "acr"},
		"empty acr":                        {[]oidc.Option{oidc.WithACRValues("gold")}, object{"acr": ""}, "acr"},
		"acr as a list":                    {[]oidc.Option{oidc.WithACRValues("gold")}, object{"acr": []string{"gold"}}, "acr"},
		"another acr than was wished for":  {[]oidc.Option{oidc.WithParameter("acr_values", "gold")}, object{"acr": "bronze"}, ""},
		"both asked for, one not there":    {[]oidc.Option{oidc.WithACRValues("gold"), oidc.WithMaxAge(0)}, with(at(0), object{"acr": "bronze"}), "acr"},
		"both asked for, the other missed": {[]oidc.Option{oidc.WithACRValues("gold"), oidc.WithMaxAge(0)}, with(at(-time.Hour), object{"acr": "gold"}), "auth_time"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			provider := newProvider(t, op)
			begun, callback := authorize(t, op, newClient(t, provider), tt.options...)
			data, err := begun.MarshalBinary()
			require.NoError(t, err)
			var flow oidc.Flow
			require.NoError(t, flow.UnmarshalBinary(data))
			// A login that takes its time is as good.
			op.Advance(30 * time.Second)
			op.OnIDToken(func(_, c map[string]any) {
				for name, value := range tt.claims {
					if c[name] = value; value == nil {
						delete(c, name)
					}
				}
			})
			_, err = finish(t, newClient(t, provider), &flow, callback)
			if tt.claim == "" {
				require.NoError(t, err)
				return
			}
			requireRefused(t, err, oidc.ReasonAuthentication, tt.claim)
		})
	}
}

func TestBegin_AuthenticationParameters(t *testing.T) {
	t.Parallel()
	_, client := setup(t)
	flow, err := client.Begin(t.Context(), oidc.WithMaxAge(90*time.Second+time.Millisecond), oidc.WithACRValues("gold", "silver"))
	require.NoError(t, err)
	q := queryOf(t, flow.AuthorizationURL)
	require.Equal(t, []string{"90"}, q["max_age"])
	require.Equal(t, []string{"gold silver"}, q["acr_values"])
	for name, options := range map[string][]oidc.Option{
		"negative": {oidc.WithMaxAge(-time.Second)}, "a word": {oidc.WithParameter("max_age", "soon")}, "empty": {oidc.WithParameter("max_age", "")},
		"a fraction": {oidc.WithParameter("max_age", "1.5")}, "too large": {oidc.WithParameter("max_age", "9999999999")},
		"twice": {oidc.WithMaxAge(1), oidc.WithMaxAge(1)}, "no acr": {oidc.WithACRValues()}, "empty acr": {oidc.WithACRValues("", " ")},
		"acr twice": {oidc.WithACRValues("gold"), oidc.WithParameter("acr_values", "bronze")},
	} {
		flow, err := client.Begin(t.Context(), options...)
		require.Error(t, err, name)
		require.Nil(t, flow, name)
	}
	require.NotErrorIs(t, err, oidc.ErrNoEndpoint)
}

// What an option asks for in one login replaces what the configuration has for all.
func TestBegin_OptionsReplaceSingleParameters(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	client := newClient(t, newProvider(t, op), func(c *oidc.ClientConfig) {
		c.AdditionalParameters = url.Values{
			"prompt": {"consent"}, "login_hint": {"bob"}, "max_age": {"9"}, "acr_values": {"silver"}, "ui_locales": {"de"}, "display": {"page"}, "x": {"1"},
		}
	})
	stepUp := (&oidc.StepUpError{ACRValues: []string{"gold"}, MaxAge: new(time.Duration)}).Options()
	flow, err := client.Begin(t.Context(), append(stepUp, oidc.WithPrompt("login"), oidc.WithLoginHint("alice"),
		oidc.WithParameter("ui_locales", "fr"), oidc.WithParameter("display", "popup"), oidc.WithParameter("x", "2"))...)
	require.NoError(t, err)
	q := queryOf(t, flow.AuthorizationURL)
	for name, want := range map[string][]string{
		"prompt": {"login"}, "login_hint": {"alice"}, "max_age": {"0"}, "acr_values": {"gold"}, "ui_locales": {"fr"}, "display": {"popup"}, "x": {"1", "2"},
	} {
		require.Equal(t, want, q[name], name)
	}
	flow, callback := authorize(t, op, client, stepUp...)
	op.OnIDToken(func(_, c map[string]any) { c["acr"] = "silver" })
	_, err = finish(t, client, flow, callback)
	requireRefused(t, err, oidc.ReasonAuthentication, "acr")
	flow, err = client.Begin(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"consent"}, queryOf(t, flow.AuthorizationURL)["prompt"])
}

// The resources of one login take the place of the configured ones, also when the code is
// exchanged.
func TestBegin_Resources(t *testing.T) {
	t.Parallel()
	const configured, other = "https://configured.example", "https://other.example"
	for name, tt := range map[string]struct {
		options []oidc.Option
		want    []string
	}{
		"the configured one": {nil, []string{configured}},
		"others":             {[]oidc.Option{oidc.WithResource(api), oidc.WithResource(other)}, []string{api, other}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			r, via := record(op)
			client := newClient(t, newProvider(t, op, via), func(c *oidc.ClientConfig) { c.Resources = []string{configured} })
			flow, callback := authorize(t, op, client, tt.options...)
			require.Equal(t, tt.want, queryOf(t, flow.AuthorizationURL)["resource"])
			_, err := finish(t, client, flow, callback)
			require.NoError(t, err)
			_, forms := r.sent(oidctest.Token)
			require.Len(t, forms, 1)
			require.Equal(t, tt.want, forms[0]["resource"])
		})
	}
}

// A client that logs nobody in needs no RedirectURL.
func TestBegin_NeedsARedirectURL(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	client := newClient(t, newProvider(t, op), func(c *oidc.ClientConfig) { c.RedirectURL = "" })
	flow, err := client.Begin(t.Context())
	require.Error(t, err)
	require.Nil(t, flow)
	require.Zero(t, op.Requests(oidctest.Discovery))
}

// F04: the attacker's callback in the victim's browser, which has the victim's flow or none.
func TestF04_CallbackOfAnotherBrowser(t *testing.T) {
	t.Parallel()
	op, client := setup(t)
	victim, _ := authorize(t, op, client)
	attacker, callback := authorize(t, op, client)
	_, err := finish(t, client, victim, callback)
	requireCallback(t, err, "state")
	_, err = finish(t, client, nil, callback)
	requireCallback(t, err, "state")
	callback.Set("state", victim.State()) // which he would have to know
	_, err = finish(t, client, victim, callback)
	requireCallback(t, err, "code") // PKCE
	require.Equal(t, 1, op.Requests(oidctest.Token))
	callback.Set("state", attacker.State())
	require.GreaterOrEqual(t, len(attacker.State())*6, 128, "bits")
}

// F41: the response mode is the default one, nothing changes that, and what comes in
// another way is not taken.
func TestF41_ResponseMode(t *testing.T) {
	t.Parallel()
	op, client := setup(t)
	flow, callback := authorize(t, op, client)
	require.False(t, queryOf(t, flow.AuthorizationURL).Has("response_mode"))
	_, err := client.Begin(t.Context(), oidc.WithParameter("response_mode", "fragment"))
	require.Error(t, err)
	for _, name := range []string{"response", "id_token", "access_token"} {
		for _, value := range []string{"x", ""} {
			mixed := maps.Clone(callback)
			mixed.Set(name, value)
			_, err := finish(t, client, flow, mixed)
			requireCallback(t, err, name)
		}
	}
	require.Zero(t, op.Requests(oidctest.Token))
	_, err = finish(t, client, flow, callback)
	require.NoError(t, err)
}

func TestF10_DuplicateErrorURI(t *testing.T) {
	t.Parallel()
	op, client := setup(t)
	flow, callback := authorize(t, op, client)
	callback["error_uri"] = []string{"a", "b"}
	_, err := finish(t, client, flow, callback)
	requireCallback(t, err, "error_uri")
}

// A code that an ID token vouches for is the one that was sent (OpenID Connect Core section
// 3.3.2.10).
func TestF06_CodeHash(t *testing.T) {
	t.Parallel()
	op, client := setup(t)
	flow, callback := authorize(t, op, client)
	op.OnIDToken(func(_, c map[string]any) { c["c_hash"] = halfOfSHA256(callback.Get("code")) })
	_, err := finish(t, client, flow, callback)
	require.NoError(t, err)
	flow, callback = authorize(t, op, client)
	op.OnIDToken(func(_, c map[string]any) { c["c_hash"] = halfOfSHA256("another code") })
	_, err = finish(t, client, flow, callback)
	requireRefused(t, err, oidc.ReasonClaim, "c_hash")
}

func halfOfSHA256(text string) string {
	sum := sha256.Sum256([]byte(text))
	return encode(sum[:16])
}

// What a client asks of ID tokens is what its verifier is made with.
func TestClientConfig_PolicyOfIDTokens(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	provider := newProvider(t, op)
	ours := newRecipient(t)
	for name, tt := range map[string]struct {
		change  func(*oidc.ClientConfig)
		changes object
		reason  oidc.Reason
		claim   string
	}{
		"required claim":         {func(c *oidc.ClientConfig) { c.RequiredClaims = []claims.Path{claims.P("org")} }, object{"org": "a"}, "", ""},
		"required claim missing": {func(c *oidc.ClientConfig) { c.RequiredClaims = []claims.Path{claims.P("org")} }, nil, oidc.ReasonClaim, "org"},
		"young":                  {func(c *oidc.ClientConfig) { c.MaxAge = time.Minute }, object{"iat": start.Unix() - 120}, "", ""},
		"too old":                {func(c *oidc.ClientConfig) { c.MaxAge = time.Minute }, object{"iat": start.Unix() - 121}, oidc.ReasonTooOld, "iat"},
		"not encrypted":          {func(c *oidc.ClientConfig) { c.DecryptionKeys = []jwks.DecryptionKey{ours.key} }, nil, oidc.ReasonEncryption, ""},
		"not encrypted, and need not": {func(c *oidc.ClientConfig) {
			c.DecryptionKeys, c.InsecureAllowUnencrypted = []jwks.DecryptionKey{ours.key}, true
		}, nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := loginForged(t, op, newClient(t, provider, tt.change), attack{claims: tt.changes})
			requireVerdict(t, err, tt.reason, tt.claim)
		})
	}
	for field, change := range map[string]func(*oidc.ClientConfig){
		"ClientConfig.MaxAge":                   func(c *oidc.ClientConfig) { c.MaxAge = -1 },
		"ClientConfig.RequiredClaims":           func(c *oidc.ClientConfig) { c.RequiredClaims = []claims.Path{{}} },
		"ClientConfig.InsecureAllowUnencrypted": func(c *oidc.ClientConfig) { c.InsecureAllowUnencrypted = true },
		"ClientConfig.UserInfoAlgorithms":       func(c *oidc.ClientConfig) { c.UserInfoAlgorithms = []string{"none"} },
		"ClientConfig.UserInfoByForm": func(c *oidc.ClientConfig) {
			c.UserInfoByForm, c.DPoP = true, new(oidc.DPoP)
		},
	} {
		cfg := clientConfig()
		change(&cfg)
		_, err := oidc.NewClient(provider, cfg)
		requireConfigError(t, err, field)
	}
}
