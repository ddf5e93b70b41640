package oidc_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// logoutClaims are those of a right logout token (OpenID Connect Back-Channel Logout
// 1.0 section 2.4).
func logoutClaims(op *oidctest.Provider) object {
	now := op.Now().Unix()
	return object{
		"iss": op.Issuer(), "sub": marker + "-alice", "sid": marker + "-session", "aud": oidctest.ClientID,
		"iat": now, "exp": now + 120, "jti": "id-of-the-token", "events": object{logoutEvent: object{}},
	}
}

func TestLogoutToken(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	v := newLogoutVerifier(t, newProvider(t, op))
	for name, tt := range map[string]struct {
		typ     any
		changes object
		subject string
		session string
	}{
		"both":                {"logout+jwt", nil, marker + "-alice", marker + "-session"},
		"sub alone":           {"logout+jwt", object{"sid": nil}, marker + "-alice", ""},
		"sid alone":           {"logout+jwt", object{"sub": nil}, "", marker + "-session"},
		"typ in upper case":   {"LOGOUT+JWT", nil, marker + "-alice", marker + "-session"},
		"typ as a media type": {"application/logout+jwt", nil, marker + "-alice", marker + "-session"},
		"JWT":                 {"JWT", nil, marker + "-alice", marker + "-session"},
		"no typ":              {nil, nil, marker + "-alice", marker + "-session"},
		"an event with members, and others": {"logout+jwt", object{"events": object{"https://example.com/e": 1, logoutEvent: object{"x": 1}}},
			marker + "-alice", marker + "-session"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := op.Sign(object{"typ": tt.typ}, with(logoutClaims(op), tt.changes))
			token, err := v.Verify(t.Context(), raw)
			require.NoError(t, err)
			require.Equal(t, issuer, token.Issuer)
			require.Equal(t, tt.subject, token.Subject)
			require.Equal(t, tt.session, token.SessionID)
			require.Equal(t, []string{oidctest.ClientID}, token.Audience)
			require.Equal(t, "id-of-the-token", token.ID)
			require.True(t, token.IssuedAt.Equal(start))
			require.True(t, token.Expiry.Equal(start.Add(2*time.Minute)))
			require.Contains(t, string(token.Claims.Raw()), logoutEvent)
		})
	}
	several, err := v.Verify(t.Context(), op.Sign(nil, with(logoutClaims(op), object{"aud": []string{"other", oidctest.ClientID}})))
	require.NoError(t, err)
	require.Equal(t, []string{"other", oidctest.ClientID}, several.Audience)
}

// Every rule of OpenID Connect Back-Channel Logout 1.0 section 2.6.
func TestJ40_LogoutTokensThatAreNone(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	v := newLogoutVerifier(t, newProvider(t, op))
	require.NoError(t, judgeLogout(t, v)(t.Context(), op.Sign(object{"typ": "logout+jwt"}, logoutClaims(op))))
	type row struct {
		header, claims object
		reason         oidc.Reason
		claim          string
	}
	rows := map[string]row{
		"neither sub nor sid": {nil, object{"sub": nil, "sid": nil}, oidc.ReasonSubject, "sub"},
		"kid of nobody":       {object{"kid": "nobody"}, nil, oidc.ReasonKey, ""},
		"exp missing":         {nil, object{"exp": nil}, oidc.ReasonClaim, "exp"},
		"exp before iat":      {nil, object{"exp": start.Unix() - 1}, oidc.ReasonClaim, "exp"},
		"iat in the future":   {nil, object{"iat": start.Unix() + 61}, oidc.ReasonNotYetValid, "iat"},
		"nbf in the future":   {nil, object{"nbf": start.Unix() + 61}, oidc.ReasonNotYetValid, "nbf"},
		"iat missing":         {nil, object{"iat": nil}, oidc.ReasonClaim, "iat"},
		"cty":                 {object{"cty": "JWT"}, nil, oidc.ReasonMalformed, ""},
	}
	for _, typ := range []string{"at+jwt", "dpop+jwt", "secevent+jwt", "JWS", "logout+jwt ", "logout"} {
		rows["typ "+typ] = row{object{"typ": typ}, nil, oidc.ReasonType, "typ"}
	}
	for name, events := range map[string]any{
		"missing": nil, "null": null, "text": logoutEvent, "list": []any{object{logoutEvent: object{}}}, "number": 1, "empty": object{},
		"another event":     object{"http://schemas.openid.net/event/frontchannel-logout": object{}},
		"in another case":   object{"http://schemas.openid.net/event/Backchannel-Logout": object{}},
		"nested":            object{"x": object{logoutEvent: object{}}},
		"its value is null": object{logoutEvent: null}, "its value is text": object{logoutEvent: ""}, "its value is true": object{logoutEvent: true},
		"its value is a list": object{logoutEvent: []any{}}, "its value is a number": object{logoutEvent: 1},
	} {
		rows["events "+name] = row{nil, object{"events": events}, oidc.ReasonType, "events"}
	}
	for name, nonce := range map[string]any{"text": "n", "empty": "", "null": null, "number": 1} {
		rows["nonce "+name] = row{nil, object{"nonce": nonce}, oidc.ReasonType, "nonce"}
	}
	for name, v := range map[string]any{"null": null, "empty": "", "number": 1, "control": "a\n", "list": []string{"a"}} {
		rows["sub "+name] = row{nil, object{"sub": v}, oidc.ReasonSubject, "sub"} // though there is a sid
		rows["sid "+name] = row{nil, object{"sid": v}, oidc.ReasonClaim, "sid"}   // though there is a sub
		rows["jti "+name] = row{nil, object{"jti": v}, oidc.ReasonClaim, "jti"}
		rows["iss "+name] = row{nil, object{"iss": v}, oidc.ReasonIssuer, "iss"}
	}
	rows["jti missing"] = row{nil, object{"jti": nil}, oidc.ReasonClaim, "jti"}
	for name, iss := range map[string]any{"missing": nil, "another": "https://evil.example", "slash": issuer + "/"} {
		rows["iss "+name] = row{nil, object{"iss": iss}, oidc.ReasonIssuer, "iss"}
	}
	for name, aud := range map[string]any{"missing": nil, "another": "other", "prefix": oidctest.ClientID + "-2", "null": null, "empty": []string{}} {
		rows["aud "+name] = row{nil, object{"aud": aud}, oidc.ReasonAudience, "aud"}
	}
	for _, alg := range []string{"none", "HS256"} {
		rows["alg "+alg] = row{object{"alg": alg}, nil, oidc.ReasonAlgorithm, ""}
	}
	for name, tt := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var raw string
			switch header := with(object{"typ": "logout+jwt"}, tt.header); header["alg"] {
			case "none":
				raw = encodeJSON(header) + "." + encodeJSON(logoutClaims(op)) + ".AA"
			case "HS256":
				raw = oidctest.SignHMAC(header, logoutClaims(op), []byte(secret))
			default:
				raw = op.Sign(header, with(logoutClaims(op), tt.claims))
			}
			requireRefused(t, judgeLogout(t, v)(t.Context(), raw), tt.reason, tt.claim)
		})
	}
	forged := forgeSignature(op.Sign(object{"typ": "logout+jwt"}, logoutClaims(op)))
	requireRefused(t, judgeLogout(t, v)(t.Context(), forged), oidc.ReasonSignature, "")
	requireRefused(t, judgeLogout(t, v)(t.Context(), "no token"), oidc.ReasonMalformed, "")
}

// A logout token is good for five minutes, also if the provider writes an exp of
// tomorrow.
func TestJ31_LogoutTokenAge(t *testing.T) {
	t.Parallel()
	for _, maxAge := range []time.Duration{0, time.Hour} {
		effective := maxAge
		if maxAge == 0 {
			effective = 5 * time.Minute // the default
		}
		op := newOP(t)
		v := newLogoutVerifier(t, newProvider(t, op), func(c *oidc.LogoutTokenConfig) { c.MaxAge = maxAge })
		judge, raw := judgeLogout(t, v), op.Sign(nil, with(logoutClaims(op), object{"exp": start.Unix() + 86400}))
		op.Advance(effective + time.Minute)
		require.NoError(t, judge(t.Context(), raw))
		op.Advance(1)
		requireRefused(t, judge(t.Context(), raw), oidc.ReasonTooOld, "iat")
	}
}

func TestJ33_LogoutTokenExpiry(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	v := newLogoutVerifier(t, newProvider(t, op), func(c *oidc.LogoutTokenConfig) { c.Leeway = time.Second })
	judge, raw := judgeLogout(t, v), op.Sign(nil, logoutClaims(op))
	op.Advance(2*time.Minute + time.Second - 1)
	require.NoError(t, judge(t.Context(), raw))
	op.Advance(1)
	requireRefused(t, judge(t.Context(), raw), oidc.ReasonExpired, "exp")
}

// What is refused makes nobody fetch keys: the endpoint for logout tokens is open to
// everybody.
func TestK07_LogoutJunkFetchesNothing(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	v := newLogoutVerifier(t, newProvider(t, op))
	for name, claims := range map[string]object{
		"events": {"events": nil}, "nonce": {"nonce": "n"}, "iss": {"iss": "https://evil.example"}, "aud": {"aud": "other"},
		"expired": {"exp": start.Unix() - 100, "iat": start.Unix() - 200}, "old": {"iat": start.Unix() - 361}, "jti": {"jti": nil},
		"nobody": {"sub": nil, "sid": nil},
	} {
		err := judgeLogout(t, v)(t.Context(), op.Sign(nil, with(logoutClaims(op), claims)))
		require.ErrorIs(t, err, oidckit.ErrInvalidToken, name)
		require.Zero(t, requests(op), name)
	}
	op.SetFault(oidctest.JWKS, oidctest.Fault{Status: 503})
	requireUnavailable(t, judgeLogout(t, v)(t.Context(), op.Sign(nil, logoutClaims(op))))
}

// Keys of the configuration stand in for the provider's.
func TestLogoutToken_KeysOfItsOwn(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	source, err := jwks.Symmetric([]byte(secret), "HS256")
	require.NoError(t, err)
	v := newLogoutVerifier(t, newProvider(t, op), func(c *oidc.LogoutTokenConfig) {
		c.Keys, c.Algorithms = source, []string{"HS256"}
	})
	require.NoError(t, judgeLogout(t, v)(t.Context(), oidctest.SignHMAC(nil, logoutClaims(op), []byte(secret))))
	err = judgeLogout(t, v)(t.Context(), oidctest.SignHMAC(nil, logoutClaims(op), bytes.Repeat([]byte("x"), 32)))
	requireRefused(t, err, oidc.ReasonSignature, "")
	requireRefused(t, judgeLogout(t, v)(t.Context(), op.Sign(nil, logoutClaims(op))), oidc.ReasonAlgorithm, "")
	require.Zero(t, requests(op))
}

func TestM10_ZeroLogoutTokenVerifierRefuses(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	raw := op.Sign(nil, logoutClaims(op))
	for name, v := range map[string]*oidc.LogoutTokenVerifier{"nil": nil, "zero": {}} {
		err := judgeLogout(t, v)(t.Context(), raw)
		require.Error(t, err, name)
		require.NotErrorIs(t, err, oidckit.ErrInvalidToken, name)
	}
}

func TestG10_LogoutTokenPrintsItsIssuer(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	token, err := newLogoutVerifier(t, newProvider(t, op)).Verify(t.Context(), op.Sign(nil, logoutClaims(op)))
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		for _, printed := range []string{fmt.Sprintf(verb, token), fmt.Sprintf(verb, *token), fmt.Sprintf(verb, []any{token})} {
			require.NotContains(t, printed, marker, verb)
			require.NotContains(t, printed, fmt.Sprintf("%x", marker), verb)
		}
		require.Contains(t, fmt.Sprintf(verb, token), issuer, verb)
	}
	// Its claims are there for who asks for them.
	require.True(t, json.Valid(token.Claims.Raw()))
}

// Logout tokens are signed and encrypted as the client's ID tokens are (OpenID Connect
// Back-Channel Logout 1.0 sections 2.4 and 2.6), and in no other way.
func TestJ40_LogoutTokensOfAClient(t *testing.T) {
	t.Parallel()
	op, ours := newOP(t), newRecipient(t)
	header := object{"typ": "logout+jwt", "alg": "HS256"}
	hs := func(key string) string { return oidctest.SignHMAC(header, logoutClaims(op), []byte(key)) }
	es := op.Sign(object{"typ": "logout+jwt"}, logoutClaims(op))
	source, err := jwks.Symmetric([]byte(secret), "HS512")
	require.NoError(t, err)
	symmetric := func(c *oidc.ClientConfig) { c.IDTokenAlgorithms = []string{"HS256"} }
	encrypted := func(c *oidc.ClientConfig) { c.DecryptionKeys = []jwks.DecryptionKey{ours.key} }
	for name, tt := range map[string]struct {
		client func(*oidc.ClientConfig)
		cfg    oidc.LogoutTokenConfig
		raw    string
		reason oidc.Reason // empty if it is good
	}{
		"as it is":                     {func(*oidc.ClientConfig) {}, oidc.LogoutTokenConfig{}, es, ""},
		"HS, and it is not":            {func(*oidc.ClientConfig) {}, oidc.LogoutTokenConfig{}, hs(secret), oidc.ReasonAlgorithm},
		"HS":                           {symmetric, oidc.LogoutTokenConfig{}, hs(secret), ""},
		"HS by another secret":         {symmetric, oidc.LogoutTokenConfig{}, hs(secret + "x"), oidc.ReasonSignature},
		"the provider's key, and HS":   {symmetric, oidc.LogoutTokenConfig{}, es, oidc.ReasonAlgorithm},
		"other keys by configuration":  {symmetric, oidc.LogoutTokenConfig{Algorithms: []string{"HS512"}, Keys: source}, hs(secret), oidc.ReasonAlgorithm},
		"the provider's by algorithms": {symmetric, oidc.LogoutTokenConfig{Algorithms: []string{"ES256"}}, es, ""},
		"encrypted":                    {encrypted, oidc.LogoutTokenConfig{}, ours.encrypt(t, es), ""},
		"not encrypted":                {encrypted, oidc.LogoutTokenConfig{}, es, oidc.ReasonEncryption},
		"encrypted, and it is not":     {func(*oidc.ClientConfig) {}, oidc.LogoutTokenConfig{}, ours.encrypt(t, es), oidc.ReasonEncryption},
		"encrypted for another":        {encrypted, oidc.LogoutTokenConfig{DecryptionKeys: []jwks.DecryptionKey{newRecipient(t).key}}, ours.encrypt(t, es), oidc.ReasonEncryption},
		"encrypted or not": {func(c *oidc.ClientConfig) { encrypted(c); c.InsecureAllowUnencrypted = true },
			oidc.LogoutTokenConfig{}, es, ""},
		"of another client": {func(c *oidc.ClientConfig) { c.ClientID = "other" }, oidc.LogoutTokenConfig{}, es, oidc.ReasonAudience},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := newClient(t, newProvider(t, op), tt.client).NewLogoutTokenVerifier(tt.cfg)
			require.NoError(t, err)
			if err = judgeLogout(t, v)(t.Context(), tt.raw); tt.reason == "" {
				require.NoError(t, err)
				return
			}
			var e *oidc.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, tt.reason, e.Reason)
		})
	}
}

func TestLogoutTokensOfAClient_Leeway(t *testing.T) {
	t.Parallel()
	for _, own := range []bool{false, true} {
		op, cfg, leeway := newOP(t), oidc.LogoutTokenConfig{}, 3*time.Minute
		if own {
			cfg.Leeway, leeway = time.Second, time.Second
		}
		v, err := newClient(t, newProvider(t, op), func(c *oidc.ClientConfig) { c.Leeway = 3 * time.Minute }).NewLogoutTokenVerifier(cfg)
		require.NoError(t, err)
		good, late := op.Sign(nil, with(logoutClaims(op), object{"jti": "a"})), op.Sign(nil, with(logoutClaims(op), object{"jti": "b"}))
		op.Advance(2*time.Minute + leeway - 1)
		require.NoError(t, judgeLogout(t, v)(t.Context(), good))
		op.Advance(1)
		requireRefused(t, judgeLogout(t, v)(t.Context(), late), oidc.ReasonExpired, "exp")
	}
}

func TestLogoutTokensOfAClient_Configuration(t *testing.T) {
	t.Parallel()
	client := newClient(t, newProvider(t, newOP(t)))
	_, err := client.NewLogoutTokenVerifier(oidc.LogoutTokenConfig{ClientID: "other"})
	require.ErrorContains(t, err, "LogoutTokenConfig.ClientID")
	_, err = client.NewLogoutTokenVerifier(oidc.LogoutTokenConfig{ClientID: oidctest.ClientID})
	require.NoError(t, err)
	_, err = client.NewLogoutTokenVerifier(oidc.LogoutTokenConfig{InsecureAllowUnencrypted: true})
	require.ErrorContains(t, err, "InsecureAllowUnencrypted")
	for _, none := range []*oidc.Client{nil, new(oidc.Client)} {
		_, err = none.NewLogoutTokenVerifier(oidc.LogoutTokenConfig{})
		require.Error(t, err)
	}
}
