package middleware

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc"
)

// accessInToken, as the claims of an access token in a record, says that they are what the token
// itself has, so that a cookie need not have them twice.
const accessInToken = "jwt"

// setAccess has LoginConfig.AccessTokens verify the access token of an answer, and keeps its
// claims. Without a verifier there are none: what nobody has verified is not believed.
func (s *sessions) setAccess(ctx context.Context, rec *record, t *oidc.Tokens) error {
	v := s.login.cfg.AccessTokens
	if v == nil {
		return nil
	}
	raw := t.OAuth2.AccessToken
	token, err := verifyIssued(ctx, v, raw)
	if err == nil {
		err = checkUser(token, t.IDToken)
	}
	if err != nil {
		return fmt.Errorf("middleware: the access token of the session: %w", err)
	}
	rec.access = string(token.Claims.Raw())
	if rec.access == payloadOf(raw) {
		rec.access = accessInToken
	}
	return nil
}

// verifyIssued verifies a token that has just been issued to us. One that is bound to a key is
// bound to that of our client: nobody presents it here, so there is nothing to prove.
func verifyIssued(ctx context.Context, v TokenVerifier, raw string) (*oidc.AccessToken, error) {
	bound, ok := v.(BoundVerifier)
	if !ok {
		return v.Verify(ctx, raw)
	}
	return bound.VerifyBound(ctx, raw, func(_ context.Context, token *oidc.AccessToken) (oidc.Confirmation, error) {
		return token.Confirmation, nil
	})
}

var errNoAccessToken = errors.New("middleware: LoginConfig.AccessTokens returned neither a token nor an error")

// checkUser reports an access token that is of somebody else: its rights are not those of the
// user who logged in.
func checkUser(token *oidc.AccessToken, id *oidc.IDToken) error {
	switch {
	case token == nil:
		return errNoAccessToken
	case token.Issuer != id.Issuer:
		return &oidc.Error{Reason: oidc.ReasonIssuer, Claim: "iss"}
	case token.Subject != id.Subject:
		return &oidc.Error{Reason: oidc.ReasonSubject, Claim: "sub"}
	}
	return nil
}

// accessClaims are the claims of the access token of a record, as JSON; empty for none.
func accessClaims(kept string, t *oidc.Tokens) string {
	if kept != accessInToken || t.OAuth2 == nil {
		return kept
	}
	return payloadOf(t.OAuth2.AccessToken)
}

// payloadOf is that of a JWT (RFC 7515 section 7.1), which somebody else has verified.
func payloadOf(raw string) string {
	_, rest, _ := strings.Cut(raw, ".")
	part, _, _ := strings.Cut(rest, ".")
	payload, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return ""
	}
	return string(payload)
}

// AccessTokenClaims are those of the access token of the login, or of the last refresh, if
// LoginConfig.AccessTokens has verified it; else the zero Set, which has none.
func (s *Session) AccessTokenClaims() claims.Set {
	if s.access == nil {
		return claims.Set{}
	}
	return s.access()
}

func (s *Session) readAccess() claims.Set {
	text := accessClaims(s.rec().access, s.Tokens())
	if text == "" {
		return claims.Set{}
	}
	set, err := claims.Parse([]byte(text))
	if err != nil {
		return claims.Set{} // unreachable: it was a Set when it was kept
	}
	return set
}

// setMapper fails where the Mapper wants what nobody verifies.
func (l *Login) setMapper() error {
	if m := l.cfg.Mapper; m != nil && l.cfg.AccessTokens == nil && m.Names(claims.FromAccessToken) {
		return errors.New("AccessTokens is required, for Mapper reads claims of access tokens: give it a verifier, or leave access_token out of the mapping")
	}
	return nil
}
