package middleware

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/oidc"
)

// backChannelLogout ends the sessions that a logout token names (OpenID Connect Back-Channel
// Logout 1.0 section 2.5). Section 2.8: "If the logout request was invalid or the logout
// failed, the RP MUST respond with HTTP 400 Bad Request"; the error tells the two apart, for
// whoever failed may be asked again.
func (l *Login) backChannelLogout(p *loginProvider) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		start := l.now()
		step := LoginStep{Kind: BackChannelLogout, Provider: p.id}
		step.Flow, step.Err = l.endNamed(w, r, p)
		step.Took = l.now().Sub(start)
		h := w.Header()
		h.Set("Cache-Control", "no-store") // also section 2.8
		code := ""
		switch {
		case errors.Is(step.Err, oidckit.ErrUnavailable): // before its cause, which may be another
			code = "temporarily_unavailable"
			setRetryAfter(h, step.Err)
		case errors.Is(step.Err, oidckit.ErrInvalidToken), errors.Is(step.Err, oidckit.ErrInvalidCallback):
			code = "invalid_request"
		case step.Err != nil:
			code = "server_error"
		}
		if code != "" {
			step.Kind = LogoutRefused
			l.step(r.Context(), step)
			writeJSON(w, http.StatusBadRequest, map[string]string{"error": code})
			return
		}
		l.step(r.Context(), step)
		w.WriteHeader(http.StatusOK)
	}
}

// endNamed ends the sessions that the logout token of a request names. flow names the token in
// logs, once it is known to be the provider's.
func (l *Login) endNamed(w http.ResponseWriter, r *http.Request, p *loginProvider) (flow string, err error) {
	raw, err := logoutTokenOf(w, r)
	if err != nil {
		return "", err
	}
	token, err := p.logout.Verify(r.Context(), raw)
	if err != nil {
		return "", err
	}
	// A provider that does not wait for the end has logged the user out all the same.
	return flowName(token.ID), l.revokeOnce(context.WithoutCancel(r.Context()), p, token)
}

// logoutTokenOf reads the one token of a request.
func logoutTokenOf(w http.ResponseWriter, r *http.Request) (string, error) {
	form, err := formOf(w, r)
	if err != nil {
		return "", err
	}
	token := only(form, "logout_token")
	if token == "" {
		return "", &oidc.CallbackError{Parameter: "logout_token", Problem: "is missing, or there twice"}
	}
	return token, nil
}

// revokeOnce ends the sessions that a token names, as of when it was issued: to come a second
// time ends nothing more. So a token is remembered only once it has done its work, and one whose
// work failed may come again.
func (l *Login) revokeOnce(ctx context.Context, p *loginProvider, t *oidc.LogoutToken) error {
	store, key := l.sessions.revoked, l.sessions.name("logout token", t.Issuer, p.client.ClientID(), t.ID)
	switch _, done, err := store.find(ctx, key); {
	case err != nil:
		return err
	case done:
		return &oidc.Error{Reason: oidc.ReasonReplayed, Claim: "jti"}
	}
	err := l.sessions.revoke(ctx, Revocation{Issuer: t.Issuer, Subject: t.Subject, SessionID: t.SessionID}, t.IssuedAt)
	if err != nil {
		return err
	}
	_ = store.commit(ctx, key, nil, t.IssuedAt.Add(logoutTokenLife)) // not remembered, it ends nothing more either
	return nil
}

// logoutTokenLife is longer than a logout token is good for after it was issued: the default
// MaxAge of oidc.LogoutTokenConfig, and the most that the Leeway of a client can be.
const logoutTokenLife = 11 * time.Minute

// logoutReplays is the memory of the verifiers, which has none: revokeOnce remembers.
type logoutReplays struct{}

// Once implements [oidc.ReplayStore].
func (logoutReplays) Once(context.Context, string, time.Time) (bool, error) { return true, nil }
