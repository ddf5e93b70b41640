package oidc

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"log/slog"
	"slices"
	"time"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/internal/jwt"
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
	first     *loginClaims // of the login, if this is the token of a refresh
}

// Raw returns the signed token, for an id_token_hint: the one as it was issued, or the
// one inside if that was encrypted (RP-Initiated Logout 1.0 section 2).
func (t *IDToken) Raw() string { return t.raw }

// Format prints the issuer with every verb: the rest is personal data.
func (t IDToken) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "oidc.IDToken(%s)", t.Issuer) }

// LogValue redacts, as Format does.
func (t IDToken) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(t)) }

// checkAccessTokenHash compares "at_hash", if it is there, with the access token
// that came along (OpenID Connect Core section 3.1.3.6).
func (t *IDToken) checkAccessTokenHash(accessToken string) error {
	return t.checkHash("at_hash", accessToken)
}

// checkHash compares a claim, if it is there, with the left half of the hash of a text.
func (t *IDToken) checkHash(claim, text string) error {
	want, err := t.Claims.String(claims.P(claim))
	if missing(err) {
		return nil
	}
	hash := jwt.Hash(t.algorithm).New()
	hash.Write([]byte(text))
	sum := hash.Sum(nil)
	got := base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
	if err != nil || subtle.ConstantTimeCompare([]byte(got), []byte(want)) != 1 {
		return &Error{Reason: reasonOfHash[claim], Claim: claim, Err: err}
	}
	return nil
}

var reasonOfHash = map[string]Reason{"at_hash": ReasonAccessTokenHash, "c_hash": ReasonClaim}

// checkAuthentication compares when and how the person logged in with what the login
// asked for (OpenID Connect Core section 3.1.3.7, 12 and 13).
func (t *IDToken) checkAuthentication(d demands, now time.Time, leeway time.Duration) error {
	if !d.AuthenticatedSince.IsZero() {
		at, err := t.Claims.Time(claims.P("auth_time"))
		if err != nil || at.Before(d.AuthenticatedSince.Add(-leeway)) || at.After(now.Add(leeway)) {
			return &Error{Reason: ReasonAuthentication, Claim: "auth_time", Err: err}
		}
	}
	if len(d.ACRValues) > 0 {
		acr, err := t.Claims.String(claims.P("acr"))
		if err != nil || !slices.Contains(d.ACRValues, acr) {
			return &Error{Reason: ReasonAuthentication, Claim: "acr", Err: err}
		}
	}
	return nil
}
