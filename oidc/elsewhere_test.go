package oidc_test

import (
	"context"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

// elsewhere are the logins without a browser: each begins one, which alice approves, and
// fetches its tokens.
func elsewhere() map[string]func(context.Context, *oidctest.Provider, *oidc.Client, []oidc.Option, ...oidc.Option) (*oidc.Tokens, error) {
	return map[string]func(context.Context, *oidctest.Provider, *oidc.Client, []oidc.Option, ...oidc.Option) (*oidc.Tokens, error){
		"device": func(ctx context.Context, op *oidctest.Provider, c *oidc.Client, begin []oidc.Option, fetch ...oidc.Option) (*oidc.Tokens, error) {
			d, err := c.DeviceAuthorization(ctx, begin...)
			if err != nil {
				return nil, err
			}
			if err := op.ApproveDevice(d.UserCode, "alice"); err != nil {
				return nil, err
			}
			return c.DeviceTokens(ctx, d, fetch...)
		},
		"CIBA": func(ctx context.Context, op *oidctest.Provider, c *oidc.Client, begin []oidc.Option, fetch ...oidc.Option) (*oidc.Tokens, error) {
			b, err := c.BackchannelAuthentication(ctx, oidc.BackchannelRequest{LoginHint: "alice"}, begin...)
			if err != nil {
				return nil, err
			}
			if err := op.ApproveBackchannel(ctx, op.PendingBackchannel()[0]); err != nil {
				return nil, err
			}
			return c.BackchannelTokens(ctx, b, fetch...)
		},
	}
}

// What a login on another device asks for is checked as that of Begin is.
func TestJ32_AuthenticationElsewhere(t *testing.T) {
	t.Parallel()
	gold, recent := oidc.WithACRValues("gold", "silver"), oidc.WithMaxAge(time.Minute)
	for name, tt := range map[string]struct {
		options []oidc.Option
		claims  object
		claim   string // at fault
	}{
		"as asked for":      {[]oidc.Option{gold, recent}, nil, ""},
		"nothing asked for": {nil, object{"acr": nil, "auth_time": nil}, ""},
		"another acr":       {[]oidc.Option{gold}, object{"acr": "bronze"}, "acr"},
		"no acr":            {[]oidc.Option{gold, recent}, object{"acr": nil}, "acr"},
		"too long ago":      {[]oidc.Option{recent}, object{"auth_time": 1}, "auth_time"},
		"no auth_time":      {[]oidc.Option{gold, recent}, object{"auth_time": nil}, "auth_time"},
		"a wish":            {[]oidc.Option{oidc.WithParameter("acr_values", "gold")}, object{"acr": "bronze"}, ""},
	} {
		for kind, logIn := range elsewhere() {
			t.Run(kind+" "+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					op := newOP(t, ownClock)
					client := newClient(t, newProvider(t, op), resourceServer)
					op.OnIDToken(func(_, c map[string]any) {
						for name, value := range tt.claims {
							if c[name] = value; value == nil {
								delete(c, name)
							}
						}
					})
					tokens, err := logIn(t.Context(), op, client, tt.options)
					if tt.claim == "" {
						require.NoError(t, err)
						return
					}
					requireRefused(t, err, oidc.ReasonAuthentication, tt.claim)
					require.Nil(t, tokens)
				})
			})
		}
	}
}

func TestAuthenticationElsewhere_Misused(t *testing.T) {
	t.Parallel()
	op, client := setup(t)
	for name, options := range map[string][]oidc.Option{
		"no acr": {oidc.WithACRValues()}, "negative": {oidc.WithMaxAge(-time.Second)}, "max_age twice": {oidc.WithMaxAge(1), oidc.WithMaxAge(1)},
		"no ID token to check, max_age": {oidc.WithScopes("read"), oidc.WithMaxAge(0)},
		"no ID token to check, acr":     {oidc.WithScopes("read"), oidc.WithACRValues("gold")},
	} {
		for kind, logIn := range elsewhere() {
			_, err := logIn(t.Context(), op, client, options)
			require.Error(t, err, kind+" "+name)
		}
	}
	require.Zero(t, op.Requests(oidctest.DeviceAuthorization)+op.Requests(oidctest.BackchannelAuthentication))
}

// An option that promises a check is no option of a call that makes none.
func TestJ32_OptionsOfLogins(t *testing.T) {
	op, client, tokens := setupOffline(t)
	pending, err := client.DeviceAuthorization(t.Context())
	require.NoError(t, err)
	calls := map[string]func(...oidc.Option) error{
		"Refresh":    func(o ...oidc.Option) error { _, err := client.Refresh(t.Context(), tokens, o...); return err },
		"Introspect": func(o ...oidc.Option) error { _, err := client.Introspect(t.Context(), "a", o...); return err },
		"Revoke":     func(o ...oidc.Option) error { return client.Revoke(t.Context(), "a", "", o...) },
		"DeviceTokens": func(o ...oidc.Option) error {
			_, err := client.DeviceTokens(t.Context(), pending, o...)
			return err
		},
	}
	for name, tt := range grants() {
		calls[name] = func(o ...oidc.Option) error { _, err := tt.call(t.Context(), client, o...); return err }
	}
	sent := op.Requests(oidctest.Token)
	for name, call := range calls {
		for _, o := range []oidc.Option{oidc.WithACRValues("gold"), oidc.WithMaxAge(0), oidc.WithPrompt("login"), oidc.WithLoginHint("alice")} {
			require.Error(t, call(o), "%s %v", name, o)
		}
	}
	require.Equal(t, sent, op.Requests(oidctest.Token))
	require.Zero(t, op.Requests(oidctest.Introspection)+op.Requests(oidctest.Revocation))
}

// other is an API that the configuration does not name.
const other = "https://other.example"

// The tokens of a login elsewhere are for the APIs that it asked for, or some of them.
func TestResourcesElsewhere(t *testing.T) {
	t.Parallel()
	both := []oidc.Option{oidc.WithResource(api), oidc.WithResource(other)}
	for name, tt := range map[string]struct {
		configured   []string
		begin, fetch []oidc.Option
		want         []string
	}{
		"configured":            {[]string{api}, nil, nil, []string{api}},
		"others":                {[]string{api}, []oidc.Option{oidc.WithResource(other)}, nil, []string{other}},
		"some of them":          {nil, both, []oidc.Option{oidc.WithResource(other)}, []string{other}},
		"all, which nobody has": {nil, both, nil, []string{api, other}},
		"none":                  {nil, nil, nil, nil},
	} {
		for kind, logIn := range elsewhere() {
			t.Run(kind+" "+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					op := newOP(t, ownClock)
					r, via := record(op)
					client := newClient(t, newProvider(t, op, via), offline, func(c *oidc.ClientConfig) { c.Resources = tt.configured })
					tokens, err := logIn(t.Context(), op, client, tt.begin, tt.fetch...)
					require.NoError(t, err)
					_, forms := r.sent(oidctest.Token)
					require.Equal(t, tt.want, forms[0]["resource"])
					_, err = client.Refresh(t.Context(), tokens)
					require.NoError(t, err)
				})
			})
		}
	}
}

// A refresh is for the APIs that the login asked for, after a restart too, whatever the
// configuration says by then; one that asks for some of them leaves the others to the next.
func TestF30_RefreshKeepsTheResources(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r, via := record(op)
	configured := func(resources ...string) func(*oidc.ClientConfig) {
		return func(c *oidc.ClientConfig) { c.Resources = resources }
	}
	client := newClient(t, newProvider(t, op, via), offline, configured("https://third.example"))
	flow, callback := authorize(t, op, client, oidc.WithResource(api), oidc.WithResource(other))
	tokens, err := finish(t, client, flow, callback)
	require.NoError(t, err)
	last := func() url.Values {
		_, forms := r.sent(oidctest.Token)
		return forms[len(forms)-1]
	}
	for _, options := range [][]oidc.Option{nil, {oidc.WithResource(api)}, nil} {
		data, err := tokens.MarshalBinary()
		require.NoError(t, err)
		var read oidc.Tokens
		require.NoError(t, read.UnmarshalBinary(data))
		client = newClient(t, newProvider(t, op, via), offline, configured("https://fourth.example"))
		tokens, err = client.Refresh(t.Context(), &read, options...)
		require.NoError(t, err)
		want := []string{api, other}
		if options != nil {
			want = []string{api}
		}
		require.Equal(t, want, last()["resource"])
	}
	_, err = client.TokenSource(tokens).Token()
	require.NoError(t, err)
	require.Equal(t, []string{api, other}, last()["resource"])
}
