package oidc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

// A recipient is somebody for whom tokens are encrypted.
type recipient struct {
	private *ecdsa.PrivateKey
	key     jwks.DecryptionKey
}

func newRecipient(t testing.TB) recipient {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	key, err := jwks.NewDecryptionKey(private, "", "")
	require.NoError(t, err)
	return recipient{private, key}
}

// encrypt makes a JWE for the recipient.
func (r recipient) encrypt(t testing.TB, content string) string {
	t.Helper()
	return encryptFor(t, jose.ECDH_ES_A128KW, &r.private.PublicKey, content)
}

func encryptFor(t testing.TB, alg jose.KeyAlgorithm, public any, content string) string {
	t.Helper()
	encrypter, err := jose.NewEncrypter(jose.A128GCM, jose.Recipient{Algorithm: alg, Key: public}, (&jose.EncrypterOptions{}).WithContentType("JWT"))
	require.NoError(t, err)
	object, err := encrypter.Encrypt([]byte(content))
	require.NoError(t, err)
	raw, err := object.CompactSerialize()
	require.NoError(t, err)
	return raw
}

// An encrypted is a verifier that can decrypt, and the tokens that are meant for it.
type encrypted struct {
	judge func(keys []jwks.DecryptionKey, plain bool) judge
	sign  func(changes object) string
}

// encryptedKinds are all verifiers that have DecryptionKeys.
func encryptedKinds(t *testing.T, op *oidctest.Provider) map[string]encrypted {
	t.Helper()
	p := newProvider(t, op)
	return map[string]encrypted{
		"access token": {
			func(keys []jwks.DecryptionKey, plain bool) judge {
				return judgeAccess(t, newVerifier(t, p, func(c *oidc.AccessTokenConfig) {
					c.DecryptionKeys, c.InsecureAllowUnencrypted = keys, plain
				}))
			},
			func(changes object) string { return op.Sign(object{"typ": "at+jwt"}, with(accessClaims(op), changes)) },
		},
		"ID token": {
			func(keys []jwks.DecryptionKey, plain bool) judge {
				return judgeID(t, newIDVerifier(t, p, func(c *oidc.IDTokenConfig) {
					c.DecryptionKeys, c.InsecureAllowUnencrypted = keys, plain
				}), "")
			},
			func(changes object) string { return op.Sign(nil, with(idClaims(op), changes)) },
		},
		"logout token": {
			func(keys []jwks.DecryptionKey, plain bool) judge {
				return judgeLogout(t, newLogoutVerifier(t, p, func(c *oidc.LogoutTokenConfig) {
					c.DecryptionKeys, c.InsecureAllowUnencrypted = keys, plain
				}))
			},
			func(changes object) string { return op.Sign(nil, with(logoutClaims(op), changes)) },
		},
	}
}

// headerOf and payloadOf read a token that was signed.
func headerOf(t testing.TB, raw string) object { return segment(t, raw, 0) }

func payloadOf(t testing.TB, raw string) object { return segment(t, raw, 1) }

func segment(t testing.TB, raw string, part int) (o object) {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[part])
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &o))
	return o
}

// J19: whether a token is encrypted is agreed, and not for the token to say.
func TestJ19_EncryptedTokens(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	ours, stranger := newRecipient(t), newRecipient(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	for name, kind := range encryptedKinds(t, op) {
		signed := kind.sign(nil)
		for which, tt := range map[string]struct {
			keys   []jwks.DecryptionKey
			plain  bool
			raw    string
			reason oidc.Reason
		}{
			"for us":                       {[]jwks.DecryptionKey{ours.key}, false, ours.encrypt(t, signed), ""},
			"for one of our keys":          {[]jwks.DecryptionKey{stranger.key, ours.key}, false, ours.encrypt(t, signed), ""},
			"for us, where it need not be": {[]jwks.DecryptionKey{ours.key}, true, ours.encrypt(t, signed), ""},
			"plain":                        {[]jwks.DecryptionKey{ours.key}, false, signed, oidc.ReasonEncryption},
			"plain, which is allowed":      {[]jwks.DecryptionKey{ours.key}, true, signed, ""},
			"plain without keys":           {nil, false, signed, ""},
			"without keys":                 {nil, false, ours.encrypt(t, signed), oidc.ReasonEncryption},
			"for another":                  {[]jwks.DecryptionKey{ours.key}, false, stranger.encrypt(t, signed), oidc.ReasonEncryption},
			"for another, plain allowed":   {[]jwks.DecryptionKey{ours.key}, true, stranger.encrypt(t, signed), oidc.ReasonEncryption},
			"for a key of another type":    {[]jwks.DecryptionKey{ours.key}, false, encryptFor(t, jose.RSA_OAEP_256, &rsaKey.PublicKey, signed), oidc.ReasonAlgorithm},
			"no token":                     {[]jwks.DecryptionKey{ours.key}, false, "no token", oidc.ReasonEncryption},
			"no token, plain allowed":      {[]jwks.DecryptionKey{ours.key}, true, "no token", oidc.ReasonMalformed},
			"five parts of nothing":        {[]jwks.DecryptionKey{ours.key}, false, "a.b.c.d.e", oidc.ReasonMalformed},
		} {
			t.Run(name+"/"+which, func(t *testing.T) {
				t.Parallel()
				requireVerdict(t, kind.judge(tt.keys, tt.plain)(t.Context(), tt.raw), tt.reason, "")
			})
		}
		keys := []jwks.DecryptionKey{ours.key}
		judge := kind.judge(keys, false)
		keys[0] = stranger.key // afterwards
		require.NoError(t, judge(t.Context(), ours.encrypt(t, signed)))
	}
}

// What only our key can find out is one error: nobody asks it questions.
func TestE07_OneErrorForWhatDoesNotDecrypt(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	ours, stranger := newRecipient(t), newRecipient(t)
	flip := func(raw string, part int) string {
		parts := strings.Split(raw, ".")
		swap := map[byte]string{'A': "B"}
		first, ok := swap[parts[part][0]]
		if !ok {
			first = "A"
		}
		parts[part] = first + parts[part][1:]
		return strings.Join(parts, ".")
	}
	for name, kind := range encryptedKinds(t, op) {
		judge, signed := kind.judge([]jwks.DecryptionKey{ours.key}, false), kind.sign(nil)
		right := ours.encrypt(t, signed)
		first := judge(t.Context(), stranger.encrypt(t, signed))
		requireRefused(t, first, oidc.ReasonEncryption, "")
		for what, raw := range map[string]string{
			"encrypted key": flip(right, 1), "IV": flip(right, 2), "ciphertext": flip(right, 3), "tag": flip(right, 4),
			"nothing inside": ours.encrypt(t, ""), "no JWS inside": ours.encrypt(t, `{"sub":"alice"}`),
			"J20 a JWE inside": ours.encrypt(t, ours.encrypt(t, signed)),
		} {
			err := judge(t.Context(), raw)
			requireRefused(t, err, oidc.ReasonEncryption, "")
			require.Equal(t, first.Error(), err.Error(), "%s: %s", name, what)
		}
	}
}

// E07: everybody can encrypt for us. What is inside is judged as if it had come alone.
func TestE07_TheTokenInsideIsJudged(t *testing.T) {
	t.Parallel()
	op, foreign := newOP(t), newOP(t)
	ours := newRecipient(t)
	for name, kind := range encryptedKinds(t, op) {
		judge, signed := kind.judge([]jwks.DecryptionKey{ours.key}, false), kind.sign(nil)
		parts := strings.Split(signed, ".")
		for what, tt := range map[string]struct {
			inner  string
			reason oidc.Reason
			claim  string
		}{
			"audience":                  {kind.sign(object{"aud": "other"}), oidc.ReasonAudience, "aud"},
			"issuer":                    {kind.sign(object{"iss": "https://evil.example"}), oidc.ReasonIssuer, "iss"},
			"expired":                   {kind.sign(object{"exp": start.Unix() - 60, "iat": start.Unix() - 90}), oidc.ReasonExpired, "exp"},
			"signature":                 {forgeSignature(signed), oidc.ReasonSignature, ""},
			"another key":               {foreign.Sign(object{"typ": headerOf(t, signed)["typ"]}, payloadOf(t, signed)), oidc.ReasonKey, ""},
			"alg none":                  {encodeJSON(object{"alg": "none"}) + "." + parts[1] + ".AA", oidc.ReasonAlgorithm, ""},
			"no signature":              {parts[0] + "." + parts[1] + ".", oidc.ReasonMalformed, ""},
			"J20 cty":                   {op.Sign(object{"cty": "JWT"}, payloadOf(t, signed)), oidc.ReasonMalformed, ""},
			"J20 a JWS inside of a JWS": {op.SignBytes(object{"typ": headerOf(t, signed)["typ"]}, []byte(signed)), oidc.ReasonMalformed, ""},
			"another kind":              {op.Sign(object{"typ": "dpop+jwt"}, payloadOf(t, signed)), oidc.ReasonType, "typ"},
		} {
			t.Run(name+"/"+what, func(t *testing.T) {
				requireRefused(t, judge(t.Context(), ours.encrypt(t, tt.inner)), tt.reason, tt.claim)
			})
		}
		require.NoError(t, judge(t.Context(), ours.encrypt(t, signed)))
	}
}

// A whole login with an encrypted ID token.
func TestE07_LoginWithEncryptedIDToken(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	ours, stranger := newRecipient(t), newRecipient(t)
	provider := newProvider(t, op)
	client := newClient(t, provider, func(c *oidc.ClientConfig) { c.DecryptionKeys = []jwks.DecryptionKey{ours.key} })
	forge := func(to recipient, changes object) attack {
		return attack{forge: func(op *oidctest.Provider, header, claims object) string {
			return to.encrypt(t, op.Sign(header, with(claims, changes)))
		}}
	}
	tokens, _, err := loginForged(t, op, client, forge(ours, nil))
	require.NoError(t, err)
	require.Equal(t, marker+"-alice", tokens.IDToken.Subject)
	require.Equal(t, tokens.IDToken.Subject, tokens.IDToken.GoOIDC.Subject)
	for name, tt := range map[string]struct {
		to      recipient
		changes object
		reason  oidc.Reason
		claim   string
	}{
		"for another": {stranger, nil, oidc.ReasonEncryption, ""},
		"nonce":       {ours, object{"nonce": "other"}, oidc.ReasonNonce, "nonce"},
		"audience":    {ours, object{"aud": "other"}, oidc.ReasonAudience, "aud"},
		"at_hash":     {ours, object{"at_hash": "AAAA"}, oidc.ReasonAccessTokenHash, "at_hash"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := loginForged(t, op, client, forge(tt.to, tt.changes))
			requireRefused(t, err, tt.reason, tt.claim)
		})
	}
	_, err = login(t, op, client)
	requireRefused(t, err, oidc.ReasonEncryption, "")
	_, _, err = loginForged(t, op, newClient(t, provider), forge(ours, nil))
	requireRefused(t, err, oidc.ReasonEncryption, "")
}

// Issuers cannot see the issuer of an encrypted token: a verifier of such tokens alone
// has no place among them.
func TestJ19_EncryptionAndIssuers(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	ours := newRecipient(t)
	verifier := func(plain bool) *oidc.AccessTokenVerifier {
		return newVerifier(t, newProvider(t, op), func(c *oidc.AccessTokenConfig) {
			c.DecryptionKeys, c.InsecureAllowUnencrypted = []jwks.DecryptionKey{ours.key}, plain
		})
	}
	_, err := oidc.NewIssuers(oidc.IssuersConfig{Verifiers: []*oidc.AccessTokenVerifier{verifier(false)}})
	require.Error(t, err)

	i := newIssuers(t, oidc.IssuersConfig{Verifiers: []*oidc.AccessTokenVerifier{verifier(true)}})
	_, err = verifyAccess(t.Context(), t, i, signAccess(op, nil))
	require.NoError(t, err)
	_, err = verifyAccess(t.Context(), t, i, ours.encrypt(t, signAccess(op, nil)))
	requireRefused(t, err, oidc.ReasonEncryption, "")

	resolved := newIssuers(t, oidc.IssuersConfig{Resolve: func(context.Context, string) (*oidc.AccessTokenVerifier, error) { return verifier(false), nil }})
	_, err = verifyAccess(t.Context(), t, resolved, signAccess(op, nil))
	requireRefused(t, err, oidc.ReasonEncryption, "")
}

// Encrypted tokens are not kept: whoever knows the inner one can encrypt it again and
// again, and fill the cache with one token.
func TestJ19_CacheOfEncryptedTokens(t *testing.T) {
	t.Parallel()
	ours := newRecipient(t)
	r := newCacheRig(t, func(c *oidc.AccessTokenConfig) { c.DecryptionKeys = []jwks.DecryptionKey{ours.key} })
	signed := r.sign(nil)
	raw := ours.encrypt(t, signed)
	r.miss(t, raw)
	r.miss(t, raw)
	_, _, err := r.verify(t, signed)
	requireRefused(t, err, oidc.ReasonEncryption, "")
	r.miss(t, ours.encrypt(t, signed))
}
