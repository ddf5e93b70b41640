package oidc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/internal/refresh"
	"golang.org/x/oauth2"
)

// The grants that need nobody in front of a browser. Resource owner password credentials
// are not offered: they teach people to give their password to programs, and know no
// second factor (RFC 9700 section 2.4).

// requestGrant asks for an access token that no login is behind.
func (c *Client) requestGrant(ctx context.Context, form url.Values, options []Option) (*oauth2.Token, error) {
	if err := addOptions(form, options, c.cfg.Resources); err != nil {
		return nil, err
	}
	answer, err := c.requestToken(ctx, form)
	if err != nil {
		return nil, revokedGrant(err)
	}
	return c.granted(answer, form), nil
}

// granted returns the token of an answer. An ID token in it was verified by nobody, and
// is left out.
func (c *Client) granted(answer *tokenResponse, form url.Values) *oauth2.Token {
	answer.Scope = cmp.Or(answer.Scope, form.Get("scope")) // RFC 6749 section 5.1
	return answer.oauth2(c.provider.now(), "")
}

// revokedGrant gives the answer that what was sent is no longer good its reason.
func revokedGrant(err error) error {
	var re *ResponseError
	if errors.As(err, &re) && re.refusesGrant() {
		return &Error{Reason: ReasonRevoked, Err: err}
	}
	return err
}

// A GrantSource gives the access token of a grant that can be repeated, and asks for the
// next one shortly before it expires. It is an oauth2.TokenSource, and safe for
// concurrent use. What it returns is shared, and not to be changed.
//
// The first call waits for the token. It is renewed in the background, for whoever asks
// after 80 to 90 % of its time, by one request for all; it is never returned within ten
// seconds of its end, or within the last fifth of its life if that is less. A token
// whose life the provider does not tell is used for five minutes.
//
// After a failure nothing is sent for a second, then two, four and five, or for as long
// as the provider asks for (a minute at most), and calls get the same error; a token
// that is good serves on meanwhile.
type GrantSource struct{ value *refresh.Value[*oauth2.Token] }

const (
	unknownLife   = 5 * time.Minute
	grantCooldown = 5 * time.Second
)

func (c *Client) newGrantSource(request func(context.Context) (*oauth2.Token, error)) *GrantSource {
	now, request := c.provider.now, guarded(c.provider.logger, request)
	return &GrantSource{refresh.New(refresh.Config[*oauth2.Token]{
		What: "token", Timeout: flightTime, Cooldown: grantCooldown, Jitter: true, RetryAfter: retryAfter, Now: now,
		Fetch: func(ctx context.Context) (*oauth2.Token, time.Duration, error) {
			t, err := request(ctx)
			switch {
			case err != nil && !errors.Is(err, oidckit.ErrUnavailable):
				return nil, 0, &definiteError{err}
			case err != nil:
				return nil, 0, err
			case t.Expiry.IsZero():
				return t, unknownLife, nil
			}
			fresh := t.Expiry.Sub(now()) - margin(t)
			if fresh <= 0 {
				return nil, 0, &definiteError{errExpired()}
			}
			return t, fresh, nil
		},
	})}
}

// Token is [GrantSource.TokenContext] without a context: it may take 30 s.
func (s *GrantSource) Token() (*oauth2.Token, error) { return s.TokenContext(context.Background()) }

// TokenContext returns an access token. Its errors are those of the grant, and those of
// the function that gives what is sent. The end of ctx ends the wait, not the request.
func (s *GrantSource) TokenContext(ctx context.Context) (*oauth2.Token, error) {
	if s.value == nil {
		return nil, errors.New("oidc: GrantSource was not made by a Client")
	}
	t, err := s.value.Get(ctx)
	var definite *definiteError
	switch {
	case errors.As(err, &definite):
		return nil, definite.Unwrap()
	case err != nil:
		return nil, err
	}
	return t, nil
}

// errExpired: what has expired when it comes is not asked for again and again.
func errExpired() error {
	return &Error{Reason: ReasonExpired, Err: errors.New("the provider answers with an access token that has expired")}
}

// Format prints that it is a source, with every verb.
func (s *GrantSource) Format(f fmt.State, _ rune) {
	_, _ = f.Write([]byte("oidc.GrantSource[redacted]"))
}

// A definiteError is no outage, whatever internal/refresh makes of it.
type definiteError struct{ err error }

func (e *definiteError) Error() string { return e.err.Error() }

func (e *definiteError) Unwrap() error { return e.err }
