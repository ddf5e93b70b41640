package oidctest

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"
)

// logoutEvent is the member of "events" that makes a JWT a logout token.
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// logoutTokenTTL is at most what OpenID Connect Back-Channel Logout 1.0, section
// 4, recommends.
const logoutTokenTTL = 2 * time.Minute

// LogoutToken returns a logout token for a client (OpenID Connect Back-Channel
// Logout 1.0, section 2.4), signed as its ID tokens are and encrypted as they are,
// for a user, a session or both; an empty one is left out. The session is "sid",
// which every ID token of the provider has, each login another one: a test reads it
// there, or chooses it by OnIDToken.
//
// The provider sends none by itself: a test posts it as the parameter logout_token.
// Its "iat" has whole seconds, as the specification has it. A logout by sub alone
// ends what began no later, so that it also ends a login of the same second: call
// [Provider.Advance] between the two.
//
// LogoutToken panics if there is no such client or user, or if an OnLogoutToken hook
// leaves what cannot be signed.
func (p *Provider) LogoutToken(ctx context.Context, clientID, username, sid string) string {
	c := p.client(clientID)
	if c == nil {
		panic(fmt.Sprintf("oidctest: LogoutToken: no client %q", clientID))
	}
	now := p.Now()
	claims := map[string]any{
		"iss": p.cfg.Issuer, "aud": clientID, "iat": now.Unix(), "exp": now.Add(logoutTokenTTL).Unix(),
		"jti": rand.Text(), "events": map[string]any{logoutEvent: map[string]any{}},
	}
	if username != "" {
		user := p.users[username]
		if user == nil {
			panic(fmt.Sprintf("oidctest: LogoutToken: no user %q", username))
		}
		claims["sub"] = user.Subject
	}
	if sid != "" {
		claims["sid"] = sid
	}
	token, err := p.logoutToken(ctx, c, claims)
	if err != nil {
		panic(err)
	}
	return token
}

func (p *Provider) logoutToken(ctx context.Context, c *Client, claims map[string]any) (string, error) {
	header, err := p.header(c.IDTokenAlgorithm, "logout+jwt")
	if err != nil {
		return "", err
	}
	p.hooks.changeLogoutToken(header, claims)
	token, err := p.signClaims(header, claims, c.IDTokenAlgorithm, c.Secret)
	if err != nil {
		return "", err
	}
	return p.sealed(ctx, c, c.IDTokenEncryptionAlgorithm, c.IDTokenEncryptionMethod, token)
}
