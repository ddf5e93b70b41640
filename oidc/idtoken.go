package oidc

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/jwks"
)

// An IDToken is a verified ID token: who logged in (OpenID Connect Core section
// 2). A person is identified by Issuer and Subject together, and by nothing else.
type IDToken struct {
	Issuer   string
	Subject  string
	Audience []string
	Expiry   time.Time
	IssuedAt time.Time
	Claims   claims.Set

	// GoOIDC is the same token as github.com/coreos/go-oidc has it. Its method Claims
	// matches names in any case, as encoding/json does; Claims.Decode does not.
	GoOIDC *goidc.IDToken

	raw       string
	algorithm string
}

// Raw returns the token as it was issued, for an id_token_hint.
func (t *IDToken) Raw() string { return t.raw }

// Format prints the issuer with every verb: the rest is personal data.
func (t IDToken) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "oidc.IDToken(%s)", t.Issuer) }

// LogValue redacts, as Format does.
func (t *IDToken) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(t)) }

// VerifyIDToken verifies an ID token that was issued to this client (OpenID
// Connect Core section 3.1.3.7). The nonce is the one of the authorization request;
// without one, a token that has a nonce is refused. An error is an *[Error] if the
// token is at fault, and answers errors.Is for oidckit.ErrUnavailable if it could
// not be judged. Logins use [Client.Finish], which calls this.
func (c *Client) VerifyIDToken(ctx context.Context, raw, nonce string) (*IDToken, error) {
	return c.verifyIDToken(ctx, raw, func(set claims.Set) error { return checkNonce(set, nonce) })
}

func (c *Client) verifyIDToken(ctx context.Context, raw string, nonce func(claims.Set) error) (*IDToken, error) {
	parsed, err := jwt.Parse(raw)
	if err != nil {
		return nil, refused(err)
	}
	set := claims.FromVerified(parsed.Payload, parsed.Claims)
	r, err := c.judgeIDToken(parsed, set, nonce)
	if err != nil {
		return nil, err
	}
	verified, err := c.runGoOIDC(ctx, raw, parsed, r.expiry)
	if err != nil {
		return nil, err
	}
	return &IDToken{
		Issuer: r.issuer, Subject: r.subject, Audience: r.audience, Expiry: r.expiry, IssuedAt: r.issuedAt,
		Claims: set, GoOIDC: verified, raw: raw, algorithm: parsed.Algorithm,
	}, nil
}

// judgeIDToken makes every check but that of the signature.
func (c *Client) judgeIDToken(parsed *jwt.Token, set claims.Set, nonce func(claims.Set) error) (registered, error) {
	if !jwt.Allows(c.cfg.IDTokenAlgorithms, parsed.Algorithm) {
		return registered{}, algorithmRefused(parsed.Algorithm)
	}
	if typ := parsed.Type; typ != "" && !strings.EqualFold(typ, "JWT") {
		return registered{}, &Error{Reason: ReasonType, Claim: "typ"}
	}
	// A logout token has events, and must not be taken for an ID token (OpenID
	// Connect Back-Channel Logout section 2.4).
	if _, ok := parsed.Claims.Get("events"); ok {
		return registered{}, &Error{Reason: ReasonType, Claim: "events"}
	}
	if err := checkKind(set, "id"); err != nil {
		return registered{}, err
	}
	r, err := readRegistered(set, c.provider.issuer, c.provider.now(), c.cfg.Leeway)
	if err != nil {
		return r, err
	}
	if r.issuedAt.IsZero() {
		return r, &Error{Reason: ReasonClaim, Claim: "iat"}
	}
	if err := c.checkAudience(set, r.audience); err != nil {
		return r, err
	}
	return r, nonce(set)
}

// checkAudience follows OpenID Connect Core section 3.1.3.7, 3 to 5: we are in
// the audience, nobody is whom we do not trust, and the token is issued to us.
func (c *Client) checkAudience(set claims.Set, audience []string) error {
	if !slices.Contains(audience, c.cfg.ClientID) {
		return &Error{Reason: ReasonAudience, Claim: "aud"}
	}
	for _, a := range audience {
		if a != c.cfg.ClientID && !slices.Contains(c.cfg.TrustedAudiences, a) {
			return &Error{Reason: ReasonAudience, Claim: "aud", Err: errors.New("holds an audience that is not trusted")}
		}
	}
	azp, err := set.String(claims.P("azp"))
	if missing(err) && len(audience) == 1 {
		return nil
	}
	if err != nil || azp != c.cfg.ClientID {
		return &Error{Reason: ReasonAuthorizedParty, Claim: "azp", Err: err}
	}
	return nil
}

func checkNonce(set claims.Set, nonce string) error {
	got, err := set.String(claims.P("nonce"))
	if nonce == "" && missing(err) {
		return nil
	}
	if err != nil || subtle.ConstantTimeCompare([]byte(got), []byte(nonce)) != 1 {
		return &Error{Reason: ReasonNonce, Claim: "nonce", Err: err}
	}
	return nil
}

// runGoOIDC lets go-oidc verify the token with our keys. What it checks, we have
// checked more strictly; it has the last word all the same, so that nothing it
// refuses is ever accepted here. Its errors are texts, hence keyCheck keeps ours.
func (c *Client) runGoOIDC(ctx context.Context, raw string, parsed *jwt.Token, expiry time.Time) (*goidc.IDToken, error) {
	check := &keyCheck{client: c, parsed: parsed}
	verifier := goidc.NewVerifier(c.provider.issuer, check, &goidc.Config{
		ClientID:             c.cfg.ClientID,
		SupportedSigningAlgs: c.cfg.IDTokenAlgorithms,
		Now:                  func() time.Time { return earlier(c.provider.now(), expiry.Truncate(time.Second)) },
	})
	verified, err := verifier.Verify(ctx, raw)
	switch {
	case check.err != nil:
		return nil, refused(check.err)
	case err != nil:
		return nil, &Error{Reason: ReasonMalformed, Err: errors.New("go-oidc refuses it")}
	}
	return verified, nil
}

// earlier is the clock that go-oidc gets: it knows no leeway for "exp", which it
// reads without fractions, and five minutes for "nbf". An earlier clock than this
// would eat those up.
func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

type keyCheck struct {
	client *Client
	parsed *jwt.Token
	err    error
}

// VerifySignature implements the KeySet of go-oidc.
func (k *keyCheck) VerifySignature(ctx context.Context, _ string) ([]byte, error) {
	k.err = jwks.VerifyParsed(ctx, k.client.keys, k.client.cfg.IDTokenAlgorithms, k.parsed)
	return []byte(k.parsed.Payload), k.err
}

// checkAccessTokenHash compares "at_hash", if it is there, with the access token
// that came along (OpenID Connect Core section 3.1.3.6): the left half of its
// hash.
func (t *IDToken) checkAccessTokenHash(accessToken string) error {
	want, err := t.Claims.String(claims.P("at_hash"))
	if missing(err) {
		return nil
	}
	hash := jwt.Hash(t.algorithm).New()
	hash.Write([]byte(accessToken))
	sum := hash.Sum(nil)
	got := base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
	if err != nil || subtle.ConstantTimeCompare([]byte(got), []byte(want)) != 1 {
		return &Error{Reason: ReasonAccessTokenHash, Claim: "at_hash", Err: err}
	}
	return nil
}
