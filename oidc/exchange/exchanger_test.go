package exchange_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/exchange"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

func TestExchange(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	issued, err := r.exchange(t, map[string]any{"aud": []string{ourAudience, "https://sts.example"}})
	require.NoError(t, err)
	require.Equal(t, "acme", issued.Rule)
	require.Equal(t, "JWT", issued.Type)
	require.Equal(t, "repo:acme/app", issued.Subject.Subject)
	require.Equal(t, "ES256", issued.Algorithm, "that of the subject token")
	c := r.claimsOf(t, issued.Compact)
	now := float64(r.Now().Unix())
	require.NotEmpty(t, c["jti"])
	require.Equal(t, map[string]any{
		"iss": ourIssuer, "sub": "repo:acme/app", "aud": []any{ourAudience, "https://sts.example"}, "ref": "refs/heads/main",
		"iat": now, "nbf": now, "exp": now + 300, "jti": c["jti"],
	}, c)
	require.Equal(t, issued.ID, c["jti"])
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", issued.Minted, issued, issued.Minted), issued.Compact)
}

func TestExchange_Rule(t *testing.T) {
	t.Parallel()
	rule := func(f func(*exchange.Rule)) func(*exchange.ExchangerConfig) {
		return func(c *exchange.ExchangerConfig) { f(&c.Rules[0]) }
	}
	for name, test := range map[string]struct {
		change func(*exchange.Rule)
		claim  string
		want   any
	}{
		"audience":      {func(r *exchange.Rule) { r.Audience = []string{"https://api.example"} }, "aud", "https://api.example"},
		"subject":       {func(r *exchange.Rule) { r.Clone, r.Subject = nil, "bot" }, "sub", "bot"},
		"no subject":    {func(r *exchange.Rule) { r.Clone = nil }, "sub", nil},
		"claims":        {func(r *exchange.Rule) { r.Claims = map[string]any{"roles": []string{"a"}} }, "roles", []any{"a"}},
		"a whole claim": {func(r *exchange.Rule) { r.Clone = []string{"big"} }, "big", map[string]any{"n": 1.5, "l": []any{true}}},
		"not there":     {func(r *exchange.Rule) { r.Clone = []string{"nothing"} }, "nothing", nil},
		"anyone":        {func(r *exchange.Rule) { r.Policy, r.InsecureAnyone = claims.Policy{}, true }, "iss", ourIssuer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, rule(test.change))
			issued, err := r.exchange(t, map[string]any{"big": map[string]any{"n": 1.5, "l": []bool{true}}})
			require.NoError(t, err)
			require.Equal(t, test.want, r.claimsOf(t, issued.Compact)[test.claim])
		})
	}
}

func TestExchange_Algorithm(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *exchange.ExchangerConfig) { c.InsecureReuse = true })
	subject := map[string]any{"iss": upstreamIssuer, "sub": "s", "aud": ourAudience, "exp": r.Now().Unix() + 600, "owner_id": "42"}
	for _, test := range []struct{ upstream, asked, want string }{
		{"ES256", "", "ES256"}, {"EdDSA", "", "EdDSA"}, {"RS256", "", "ES256"}, {"RS256", "EdDSA", "EdDSA"}, {"ES256", "EdDSA", "EdDSA"},
	} {
		r.advance(11 * time.Second) // the verifier may look for a new key
		raw := r.upstream.Sign(map[string]any{"alg": test.upstream, "typ": "JWT"}, subject)
		issued, err := r.x.Exchange(t.Context(), exchange.Request{SubjectToken: raw, Algorithm: test.asked})
		require.NoError(t, err, test)
		require.Equal(t, test.want, issued.Algorithm, test)
	}
}

func TestT01_RulesWithoutAnIdentityAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	event := must(claims.NewPolicy(claims.Equals(claims.P("ref"), "refs/heads/main")))
	rule := exchange.Rule{Name: "x", Issuer: "https://token.actions.githubusercontent.com", Policy: event}
	cfg := exchange.ExchangerConfig{Issuer: r.issuer, Verifier: r.verifier, Rules: []exchange.Rule{rule}}
	_, err := exchange.NewExchanger(cfg)
	var lint *claims.LintError
	require.ErrorAs(t, err, &lint)
	require.Equal(t, claims.NoIdentity, lint.Rule)

	cfg.Rules[0].InsecureAnyone = true
	_, err = exchange.NewExchanger(cfg)
	require.NoError(t, err, "it is said aloud")

	require.NoError(t, (&exchange.Rule{Issuer: upstreamIssuer}).Lint())
	require.ErrorAs(t, (&exchange.Rule{Issuer: "https://gitlab.com"}).Lint(), &lint, "everybody who has an account there")

	cfg.Rules[0] = exchange.Rule{Name: "x", Issuer: upstreamIssuer}
	_, err = exchange.NewExchanger(cfg)
	require.ErrorContains(t, err, "Policy")
}

// An audience is whom the upstream's token is for: one that is for somebody else is no proof
// that its bearer was meant to come here.
func TestT09_TokensForOthersAreNotExchanged(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, aud := range []any{"https://github.com/acme", []string{"https://pypi.example"}, nil, []string{}} {
		_, err := r.exchange(t, map[string]any{"aud": aud})
		require.Equal(t, exchange.ReasonToken, reasonOf(t, err))
		var e *oidc.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, oidc.ReasonAudience, e.Reason)
	}
}

func TestT10_ARequestOnlyNarrows(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *exchange.ExchangerConfig) { c.Rules[0].Audience = []string{"a", "b"} })
	ask := func(audience ...string) (*exchange.Issued, error) {
		return r.x.Exchange(t.Context(), exchange.Request{SubjectToken: r.token(map[string]any{"jti": fmt.Sprint(audience)}), Audience: audience})
	}
	issued, err := ask("b")
	require.NoError(t, err)
	require.Equal(t, "b", r.claimsOf(t, issued.Compact)["aud"])
	issued, err = ask()
	require.NoError(t, err)
	require.Equal(t, []any{"a", "b"}, r.claimsOf(t, issued.Compact)["aud"])
	for _, audience := range [][]string{{"c"}, {"a", "c"}, {ourAudience}, {""}} {
		_, err = ask(audience...)
		require.Equal(t, exchange.ReasonAudience, reasonOf(t, err), audience)
	}
}

func TestT12_TheNewTokenNeverLivesLonger(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		upstream, rule, want time.Duration
		outlive              bool
	}{
		"upstream is shorter":          {5 * time.Minute, 0, 5 * time.Minute, false},
		"the limit is":                 {time.Hour, 0, exchange.DefaultLifetime, false},
		"the rule is":                  {time.Hour, time.Minute, time.Minute, false},
		"the rule is over the limit":   {time.Hour, time.Hour, exchange.DefaultLifetime, false},
		"upstream, not the rule":       {time.Minute, 10 * time.Minute, time.Minute, false},
		"said aloud":                   {time.Minute, 10 * time.Minute, 10 * time.Minute, true},
		"said aloud, without lifetime": {time.Minute, 0, exchange.DefaultLifetime, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(c *exchange.ExchangerConfig) {
				c.Rules[0].Lifetime, c.Rules[0].InsecureOutlive = test.rule, test.outlive
			})
			issued, err := r.exchange(t, map[string]any{"exp": r.Now().Add(test.upstream).Unix(), "nbf": r.Now().Add(-time.Hour).Unix(), "iat": r.Now().Add(-time.Hour).Unix()})
			require.NoError(t, err)
			require.Equal(t, r.Now().Add(test.want), issued.Expiry.UTC())
			c := r.claimsOf(t, issued.Compact)
			require.EqualValues(t, r.Now().Unix(), c["iat"])
			require.EqualValues(t, r.Now().Unix(), c["nbf"])
		})
	}
	// A token that is taken for the sake of clocks that differ has nothing left to give.
	r := newRig(t)
	for _, ago := range []int64{0, 30} {
		_, err := r.exchange(t, map[string]any{"exp": r.Now().Unix() - ago, "iat": r.Now().Unix() - 90})
		require.Equal(t, exchange.ReasonExpired, reasonOf(t, err))
		require.ErrorIs(t, err, oidckit.ErrInvalidToken)
	}
}

func TestT13_ReservedNamesAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, name := range []string{"iss", "aud", "exp", "nbf", "iat", "jti", "cnf", "act", "may_act", "scope", "scp", "client_id", "azp", "nonce", "at_hash", "events", "ISS", "Cnf", "Sub", ""} {
		_, err := exchange.NewExchanger(exchange.ExchangerConfig{
			Issuer: r.issuer, Verifier: r.verifier, Rules: []exchange.Rule{{Name: "x", Issuer: upstreamIssuer, Policy: ofAcme, Clone: []string{name}}},
		})
		require.ErrorContains(t, err, "Clone", name)
	}
	for _, name := range []string{"iss", "aud", "exp", "sub", "Exp"} {
		rule := exchange.Rule{Name: "x", Issuer: upstreamIssuer, Policy: ofAcme, Claims: map[string]any{name: "x"}}
		require.ErrorContains(t, rule.Check(), "Claims", name)
	}
	both := exchange.Rule{Name: "x", Issuer: upstreamIssuer, Policy: ofAcme, Clone: []string{"a"}, Claims: map[string]any{"a": 1}}
	require.ErrorContains(t, both.Check(), "both")
	// Nor two spellings of one name, for readers that ignore case.
	for want, rule := range map[string]exchange.Rule{
		"both":                  {Clone: []string{"Role"}, Claims: map[string]any{"role": 1}},
		"Clone has":             {Clone: []string{"role", "Role"}},
		"Clone has \"a\" twice": {Clone: []string{"a", "a"}},
		"there twice":           {Claims: map[string]any{"role": 1, "ROLE": 2}},
	} {
		rule.Name, rule.Issuer, rule.Policy = "x", upstreamIssuer, ofAcme
		require.ErrorContains(t, rule.Check(), want)
	}
}

// What is not named does not come through, whatever the upstream writes.
func TestT13_ClaimsOfTheUpstreamStayThere(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *exchange.ExchangerConfig) { c.Rules[0].Clone = []string{"a.b", "admin"} })
	issued, err := r.exchange(t, map[string]any{"scope": "all", "a": map[string]any{"b": "nested"}, "a.b": "dotted", "cloned": 1, "admin": true})
	require.NoError(t, err)
	c := r.claimsOf(t, issued.Compact)
	require.Equal(t, "dotted", c["a.b"], "names are names, not paths")
	require.NotContains(t, c, "scope")
	require.NotContains(t, c, "a")
	require.NotContains(t, c, "sub")
	require.Equal(t, true, c["admin"], "the operator has named it")

	_, err = r.exchange(t, map[string]any{"a.b": strings.Repeat("x", 5000)})
	require.Equal(t, exchange.ReasonClaims, reasonOf(t, err))
	_, err = r.exchange(t, map[string]any{"a.b": strings.Repeat("x", 4000)})
	require.NoError(t, err)
}

func TestT14_ATokenIsExchangedOnce(t *testing.T) {
	t.Parallel()
	for name, changes := range map[string]map[string]any{"by its jti": {"jti": "one"}, "by what is signed": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			raw := r.token(changes)
			_, err := r.x.Exchange(t.Context(), exchange.Request{SubjectToken: raw})
			require.NoError(t, err)
			_, err = r.x.Exchange(t.Context(), exchange.Request{SubjectToken: raw})
			require.Equal(t, exchange.ReasonReplayed, reasonOf(t, err))
			r.advance(time.Second)
			_, err = r.exchange(t, map[string]any{"jti": "two"})
			require.NoError(t, err)
			// ECDSA signs anew each time: it is another text, and the same token.
			if changes["jti"] != nil {
				_, err = r.exchange(t, changes)
				require.Equal(t, exchange.ReasonReplayed, reasonOf(t, err))
			}
		})
	}
	r := newRig(t, func(c *exchange.ExchangerConfig) { c.InsecureReuse = true })
	raw := r.token(map[string]any{"jti": "one"})
	for range 3 {
		_, err := r.x.Exchange(t.Context(), exchange.Request{SubjectToken: raw})
		require.NoError(t, err)
	}
}

// A token without jti is known by what is signed: its other ECDSA signature is no other token.
func TestT14_AnotherSignatureIsNoOtherToken(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first, second := r.token(nil), r.token(nil)
	require.NotEqual(t, first, second)
	_, err := r.x.Exchange(t.Context(), exchange.Request{SubjectToken: first})
	require.NoError(t, err)
	_, err = r.x.Exchange(t.Context(), exchange.Request{SubjectToken: second})
	require.Equal(t, exchange.ReasonReplayed, reasonOf(t, err))
}

// Of many at one time, one is the first.
func TestT14_OnceAtOneTime(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	raw := r.token(nil)
	var good, replayed int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			_, err := r.x.Exchange(t.Context(), exchange.Request{SubjectToken: raw})
			mu.Lock()
			defer mu.Unlock()
			var e *exchange.Error
			if err == nil {
				good++
			} else if errors.As(err, &e) && e.Reason == exchange.ReasonReplayed {
				replayed++
			}
		})
	}
	all.Wait()
	require.Equal(t, []int{1, 49}, []int{good, replayed})
}

// A memory of the program's: how long a token is remembered, and that an outage spends none.
type memory struct {
	until time.Time
	key   string
	err   error
}

func (m *memory) Once(_ context.Context, key string, until time.Time) (bool, error) {
	m.key, m.until = key, until
	return true, m.err
}

func TestT14_ReplayStore(t *testing.T) {
	t.Parallel()
	m := &memory{err: errors.New("down")}
	r := newRig(t, func(c *exchange.ExchangerConfig) { c.Replay = m })
	issued, err := r.exchange(t, nil)
	require.ErrorIs(t, err, oidckit.ErrUnavailable)
	require.Nil(t, issued)
	require.Len(t, m.key, 43)
	require.False(t, m.until.Before(r.Now().Add(10*time.Minute)), "as long as a verifier with the most leeway takes it")

	m.key = ""
	_, err = r.exchange(t, map[string]any{"owner_id": "43"})
	require.Error(t, err)
	require.Empty(t, m.key, "strangers fill no memory")
}

// What one issuer calls its token says nothing about another's.
func TestT14_JTIsAreOfAnIssuer(t *testing.T) {
	t.Parallel()
	keys := map[string]bool{}
	for _, issuer := range []string{"https://a.example", "https://b.example"} {
		m := &memory{}
		r := newRig(t, func(c *exchange.ExchangerConfig) {
			c.Replay, c.Rules = m, []exchange.Rule{{Name: "x", Issuer: issuer, InsecureAnyone: true}}
			c.Verifier = verifierFunc(func(context.Context, string) (*oidc.AccessToken, error) {
				return &oidc.AccessToken{
					Issuer: issuer, Audience: []string{"a"}, Expiry: time.Date(2026, 6, 1, 13, 0, 0, 0, time.UTC), Claims: must(claims.Parse([]byte(`{"jti":"1"}`))),
				}, nil
			})
		})
		_, err := r.exchange(t, nil)
		require.NoError(t, err)
		keys[m.key] = true
	}
	require.Len(t, keys, 2)
}

func TestT15_OurOwnTokensAreNotExchanged(t *testing.T) {
	t.Parallel()
	asked := 0
	r := newRig(t, func(c *exchange.ExchangerConfig) {
		c.Refused = []string{"https://alias.example"}
		c.Verifier = verifierFunc(func(context.Context, string) (*oidc.AccessToken, error) {
			asked++
			return &oidc.AccessToken{Issuer: "https://alias.example", Expiry: time.Now().Add(time.Hour)}, nil
		})
	})
	own, err := r.issuer.Mint(t.Context(), exchange.Token{Audience: []string{ourAudience}, Subject: "s"})
	require.NoError(t, err)
	for _, raw := range []string{own.Compact, r.token(map[string]any{"iss": ourIssuer}), r.token(map[string]any{"iss": "https://alias.example"})} {
		_, err = r.x.Exchange(t.Context(), exchange.Request{SubjectToken: raw})
		require.Equal(t, exchange.ReasonSelf, reasonOf(t, err))
	}
	require.Zero(t, asked, "it costs nothing")
	_, err = r.exchange(t, nil)
	require.Equal(t, exchange.ReasonSelf, reasonOf(t, err), "what the verifier says counts besides")

	_, err = exchange.NewExchanger(exchange.ExchangerConfig{
		Issuer: r.issuer, Verifier: r.verifier, Rules: []exchange.Rule{{Name: "x", Issuer: ourIssuer, InsecureAnyone: true}},
	})
	require.ErrorContains(t, err, "our own")
}

func TestT15_ChainsEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.exchange(t, map[string]any{"act": map[string]any{"sub": "a"}})
	require.NoError(t, err)
	_, err = r.exchange(t, map[string]any{"act": map[string]any{"sub": "a", "act": map[string]any{"sub": "b"}}})
	require.Equal(t, exchange.ReasonDelegated, reasonOf(t, err))
}

type verifierFunc func(context.Context, string) (*oidc.AccessToken, error)

func (f verifierFunc) Verify(ctx context.Context, raw string) (*oidc.AccessToken, error) {
	return f(ctx, raw)
}

// The issuer of a token that nobody has verified leads nowhere.
func TestT16_AnIssuerThatATokenNamesIsNotAsked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stranger := must(oidctest.New(oidctest.Config{Issuer: "https://evil.example", Algorithm: "ES256", Now: r.Now}))
	var asked []string
	client := &http.Client{Transport: transport(func(req *http.Request) (*http.Response, error) {
		asked = append(asked, req.URL.Host)
		return r.upstream.HTTPClient().Transport.RoundTrip(req)
	})}
	provider := must(oidc.NewProvider(oidc.Config{Issuer: upstreamIssuer, HTTPClient: client, Now: r.Now}))
	verifier := must(oidc.NewAccessTokenVerifier(provider, oidc.AccessTokenConfig{Audience: []string{ourAudience}, InsecureAllowUntyped: true}))
	x := must(exchange.NewExchanger(exchange.ExchangerConfig{
		Issuer: r.issuer, Verifier: verifier, Rules: []exchange.Rule{{Name: "x", Issuer: upstreamIssuer, Policy: ofAcme}},
	}))
	raw := stranger.Sign(map[string]any{"alg": "ES256", "typ": "JWT"}, map[string]any{
		"iss": "https://evil.example", "sub": "s", "aud": ourAudience, "exp": r.Now().Unix() + 60, "owner_id": "42", "jku": "https://evil.example/keys",
	})
	_, err := x.Exchange(t.Context(), exchange.Request{SubjectToken: raw})
	require.Equal(t, exchange.ReasonToken, reasonOf(t, err))
	require.Empty(t, asked)
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestT25_RulesAreAlternatives(t *testing.T) {
	t.Parallel()
	main := must(claims.NewPolicy(claims.Equals(claims.P("owner_id"), "42"), claims.Equals(claims.P("ref"), "refs/heads/main")))
	r := newRig(t, func(c *exchange.ExchangerConfig) {
		c.Rules = []exchange.Rule{
			{Name: "another issuer", Issuer: "https://other.example", Policy: ofAcme},
			{Name: "main", Issuer: upstreamIssuer, Policy: main},
			{Name: "acme", Issuer: upstreamIssuer, Policy: ofAcme},
		}
	})
	for ref, want := range map[string]string{"refs/heads/main": "main", "refs/heads/other": "acme"} {
		issued, err := r.exchange(t, map[string]any{"ref": ref})
		require.NoError(t, err)
		require.Equal(t, want, issued.Rule, "the first that holds, all of whose conditions do")
	}
	both := newRig(t, func(c *exchange.ExchangerConfig) { c.Rules[0].InsecureAnyone = true })
	_, err := both.exchange(t, map[string]any{"owner_id": "43"})
	require.Equal(t, exchange.ReasonPolicy, reasonOf(t, err), "a policy counts, however it was let pass")
	_, err = r.exchange(t, map[string]any{"owner_id": "43"})
	require.Equal(t, exchange.ReasonPolicy, reasonOf(t, err))
	require.ErrorIs(t, err, oidckit.ErrForbidden)
	require.NotErrorIs(t, err, oidckit.ErrInvalidToken)
	var unmet *claims.PolicyError
	require.ErrorAs(t, err, &unmet)
	require.Equal(t, "main", unmet.Policy)
}

func TestT26_EachDecisionIsTold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	raw := r.token(map[string]any{"jti": "input-jti"})
	issued, err := r.x.Exchange(t.Context(), exchange.Request{SubjectToken: raw, Client: "192.0.2.1"})
	require.NoError(t, err)
	_, err = r.x.Exchange(t.Context(), exchange.Request{SubjectToken: raw, Client: "192.0.2.1"})
	require.Error(t, err)
	_, err = r.x.Exchange(t.Context(), exchange.Request{SubjectToken: raw[:len(raw)-4] + "AAAA"})
	require.Error(t, err)

	require.Len(t, r.records, 3)
	first := r.records[0]
	require.Len(t, first.Input, 43)
	require.Equal(t, exchange.Record{
		Client: "192.0.2.1", Issued: true, Rule: "acme", Issuer: upstreamIssuer, Subject: "repo:acme/app", Input: first.Input,
		ID: issued.ID, Expiry: issued.Expiry, Algorithm: issued.Algorithm, KeyID: issued.KeyID,
	}, first)
	require.Equal(t, first.Input, r.records[1].Input, "the same token can be found again")
	require.False(t, r.records[1].Issued)
	require.Empty(t, r.records[1].ID)
	require.Equal(t, exchange.ReasonReplayed, reasonOf(t, r.records[1].Err))
	require.Empty(t, r.records[2].Subject, "what nobody has verified is not told")
	require.Empty(t, r.records[2].Issuer)

	lines := strings.Split(strings.TrimSpace(r.log.String()), "\n")
	require.Len(t, lines, 3)
	for _, want := range []string{"level=INFO", "rule=acme", "upstream_iss=" + upstreamIssuer, "upstream_sub=repo:acme/app", "input=" + first.Input, "jti=" + issued.ID, "kid=" + issued.KeyID, "client=192.0.2.1", "exp="} {
		require.Contains(t, lines[0], want)
	}
	require.Contains(t, lines[1], "level=WARN")
	require.Contains(t, lines[1], "reason=replayed")
	require.NotContains(t, lines[2], "upstream_iss")
	require.NotContains(t, lines[1], "repo:acme/app")
	for _, secret := range append(strings.Split(raw, "."), strings.Split(issued.Compact, ".")[1:]...) {
		require.NotContains(t, r.log.String(), secret)
	}
	require.NotContains(t, r.log.String(), "not-cloned")
}

// A token of another issuer, with the same sub and all else.
func TestT28_TheIssuerComesFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *exchange.ExchangerConfig) { c.Rules[0].Issuer = "https://other.example" })
	_, err := r.exchange(t, nil)
	require.Equal(t, exchange.ReasonPolicy, reasonOf(t, err))

	// One that calls itself the upstream has another key.
	impostor := must(oidctest.New(oidctest.Config{Issuer: upstreamIssuer, Algorithm: "ES256", Now: r.Now}))
	r = newRig(t)
	raw := impostor.Sign(map[string]any{"alg": "ES256", "typ": "JWT"}, map[string]any{
		"iss": upstreamIssuer, "sub": "repo:acme/app", "aud": ourAudience, "exp": r.Now().Unix() + 60, "owner_id": "42",
	})
	_, err = r.x.Exchange(t.Context(), exchange.Request{SubjectToken: raw})
	require.Equal(t, exchange.ReasonToken, reasonOf(t, err))
}

// An outage is no refusal, and is told as what it is.
func TestExchange_Outage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.upstream.SetFault(oidctest.JWKS, oidctest.Fault{Status: 503})
	_, err := r.exchange(t, nil)
	require.ErrorIs(t, err, oidckit.ErrUnavailable)
	require.NotErrorIs(t, err, oidckit.ErrInvalidToken)
	require.Contains(t, r.log.String(), "level=ERROR")

	// Its cause may be what another provider said about its token.
	r = newRig(t, func(c *exchange.ExchangerConfig) {
		c.Verifier = verifierFunc(func(context.Context, string) (*oidc.AccessToken, error) {
			return nil, &oidckit.UnavailableError{What: "x", Err: oidckit.ErrInvalidToken}
		})
	})
	_, err = r.exchange(t, nil)
	var refused *exchange.Error
	require.NotErrorAs(t, err, &refused)
}

func TestExchange_RulesFor(t *testing.T) {
	t.Parallel()
	broken := errors.New("database")
	var find exchange.RuleFunc
	r := newRig(t, func(c *exchange.ExchangerConfig) {
		c.Rules = nil
		c.RulesFor = func(ctx context.Context, token *oidc.AccessToken) ([]exchange.Rule, error) { return find(ctx, token) }
	})
	find = func(_ context.Context, token *oidc.AccessToken) ([]exchange.Rule, error) {
		return []exchange.Rule{{Name: token.Subject, Issuer: token.Issuer, Policy: ofAcme}}, nil
	}
	issued, err := r.exchange(t, nil)
	require.NoError(t, err)
	require.Equal(t, "repo:acme/app", issued.Rule)

	find = func(context.Context, *oidc.AccessToken) ([]exchange.Rule, error) { return nil, nil }
	_, err = r.exchange(t, nil)
	require.Equal(t, exchange.ReasonPolicy, reasonOf(t, err), "no rule is no permission")
	find = func(context.Context, *oidc.AccessToken) ([]exchange.Rule, error) { return nil, broken }
	_, err = r.exchange(t, nil)
	require.ErrorIs(t, err, broken)
	find = func(context.Context, *oidc.AccessToken) ([]exchange.Rule, error) {
		return []exchange.Rule{{Name: "x", Issuer: upstreamIssuer}}, nil
	}
	_, err = r.exchange(t, nil)
	require.ErrorContains(t, err, "Policy")
	require.NotErrorIs(t, err, oidckit.ErrInvalidToken)

	find = func(context.Context, *oidc.AccessToken) ([]exchange.Rule, error) { return nil, broken }
	_, err = r.x.Exchange(t.Context(), exchange.Request{
		SubjectToken: r.token(map[string]any{"jti": "x"}),
		RulesFor: func(context.Context, *oidc.AccessToken) ([]exchange.Rule, error) {
			return []exchange.Rule{{Name: "of the request", Issuer: upstreamIssuer, Policy: ofAcme}}, nil
		},
	})
	require.NoError(t, err)
}

func TestNewExchanger_Refuses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	good := func() exchange.ExchangerConfig {
		return exchange.ExchangerConfig{Issuer: r.issuer, Verifier: r.verifier, Rules: []exchange.Rule{{Name: "x", Issuer: upstreamIssuer, Policy: ofAcme}}}
	}
	_, err := exchange.NewExchanger(good())
	require.NoError(t, err)
	for field, change := range map[string]func(*exchange.ExchangerConfig){
		"Issuer":   func(c *exchange.ExchangerConfig) { c.Issuer = nil },
		"Verifier": func(c *exchange.ExchangerConfig) { c.Verifier = nil },
		"Rules":    func(c *exchange.ExchangerConfig) { c.Rules = nil },
		"RulesFor": func(c *exchange.ExchangerConfig) {
			c.RulesFor = func(context.Context, *oidc.AccessToken) ([]exchange.Rule, error) { return nil, nil }
		},
		"Replay":        func(c *exchange.ExchangerConfig) { c.InsecureReuse, c.Replay = true, &memory{} },
		"Name":          func(c *exchange.ExchangerConfig) { c.Rules[0].Name = "" },
		"Issuer is req": func(c *exchange.ExchangerConfig) { c.Rules[0].Issuer = "" },
		"Lifetime":      func(c *exchange.ExchangerConfig) { c.Rules[0].Lifetime = -1 },
		"Audience":      func(c *exchange.ExchangerConfig) { c.Rules[0].Audience = []string{""} },
		"Audience: ":    func(c *exchange.ExchangerConfig) { c.Rules[0].Audience = []string{} },
		"Subject":       func(c *exchange.ExchangerConfig) { c.Rules[0].Subject, c.Rules[0].Clone = "s", []string{"sub"} },
		"Type":          func(c *exchange.ExchangerConfig) { c.Rules[0].Type = "at jwt" },
		"Type is":       func(c *exchange.ExchangerConfig) { c.Rules[0].Type = strings.Repeat("x", 257) },
		"use NewIssuer": func(c *exchange.ExchangerConfig) { c.Issuer = &exchange.Issuer{} },
	} {
		cfg := good()
		change(&cfg)
		_, err := exchange.NewExchanger(cfg)
		require.ErrorContains(t, err, field)
	}
	_, err = (&exchange.Exchanger{}).Exchange(t.Context(), exchange.Request{})
	require.Error(t, err)
	_, err = (*exchange.Exchanger)(nil).Exchange(t.Context(), exchange.Request{})
	require.Error(t, err)
}

// 200 exchanges at one time, again and again: nobody gets another's token, nothing is lost.
func TestExchange_Many(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *exchange.ExchangerConfig) { c.Logger = slog.New(slog.DiscardHandler) })
	var all sync.WaitGroup
	errs := make(chan error, 200)
	ids := sync.Map{}
	for worker := range 200 {
		all.Go(func() {
			for n := range 5 {
				sub := fmt.Sprintf("repo:acme/%d-%d", worker, n)
				issued, err := r.exchange(t, map[string]any{"sub": sub})
				if err != nil {
					errs <- err
					return
				}
				if _, twice := ids.LoadOrStore(issued.ID, true); twice || r.claimsOf(t, issued.Compact)["sub"] != sub || issued.Subject.Subject != sub {
					errs <- errors.New("another's token: " + sub)
					return
				}
			}
		})
	}
	all.Wait()
	close(errs)
	require.NoError(t, <-errs)
	require.Len(t, r.records, 1000)
}

func TestT26_ARequestPrintsWithoutItsToken(t *testing.T) {
	t.Parallel()
	req := exchange.Request{SubjectToken: "a-secret"}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "req", req, "pointer", &req, "within", struct{ R exchange.Request }{req})
	text, err := json.Marshal(map[string]any{"req": req, "pointer": &req})
	require.NoError(t, err)
	require.Equal(t, "exchange.Request[redacted]", slog.AnyValue(req).Resolve().String(), "for handlers that print in their own way")
	require.Equal(t, slog.KindString, slog.AnyValue(req).Resolve().Kind())
	for _, printed := range []string{fmt.Sprintf("%v %+v %#v %s %q %x %v", req, req, req, req, req, req, &req), log.String(), string(text)} {
		require.NotContains(t, printed, "secret")
		require.NotContains(t, printed, fmt.Sprintf("%x", "secret"))
		require.Contains(t, printed, "exchange.Request[redacted]")
	}
}
