package oidc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/oidckit/oidckit"
	"golang.org/x/oauth2"
)

// TokenSourceConfig describes a source of access tokens for a login.
type TokenSourceConfig struct {
	// Tokens of the login, or of its last refresh: those that Persist got last. Required. Those
	// that Finish returned are the caller's to keep; Persist gets what comes after them.
	Tokens *Tokens
	// Persist, if not nil, keeps the tokens of a refresh, before they are used or
	// returned: a refresh token that was replaced is good for nothing, and whoever loses
	// the new one has to log in again. Keep what [Tokens.MarshalBinary] returns: json.Marshal
	// redacts. It is called once for each refresh, however many
	// sources of a client take part, so that all of one login must have the same store;
	// and not for tokens whose refresh token a later refresh has spent by then.
	// An error leaves the tokens unused: calls fail with a *[PersistError], and each
	// next one calls Persist again before anything else, until somebody takes the tokens
	// of such an error. After an answer that cannot be used, it gets the old tokens with
	// the new refresh token. Its context ends after 30 s together with the refresh, and
	// not with the caller's; while it runs on, calls fail without another try.
	Persist func(ctx context.Context, tokens *Tokens) error
	// Options go with each refresh. Sources of one client whose options differ refresh
	// one login in turn, each with the refresh token that the other one got.
	Options []Option
}

// A TokenSource gives the access token of a login while it is good, and then refreshes
// it, one at a time. It is an oauth2.TokenSource, and safe for concurrent use. Several
// sources of one [Client] that begin with the same tokens refresh them once, as
// [Client.Refresh] says. What it returns is shared, and not to be changed.
type TokenSource struct {
	client  *Client
	persist func(context.Context, *Tokens) error
	options []Option

	// internal/refresh is not used: it renews ahead of time, without anybody who waits
	// for it, and a refresh token must be spent for somebody only.
	mu      sync.Mutex
	tokens  *Tokens
	waiting *waitingTokens // for Persist; tokens are those of before
	renewal *flight[*Tokens]
	failure failure
}

// waitingTokens are new ones, which are not used before somebody has kept them.
type waitingTokens struct {
	tokens *Tokens
	from   *refreshment
	cause  error // why they are not all; nil if they are
}

// A failure is what came of the last attempt.
type failure struct {
	err   error
	until time.Time // when to try again
	final bool      // never: the refresh token is refused
}

// NewTokenSource returns a source for cfg, without I/O.
func (c *Client) NewTokenSource(cfg TokenSourceConfig) (*TokenSource, error) {
	if cfg.Tokens == nil || cfg.Tokens.OAuth2 == nil {
		return nil, errors.New("oidc: TokenSourceConfig.Tokens is required: those that Finish or Refresh returned")
	}
	return &TokenSource{client: c, tokens: cfg.Tokens, persist: cfg.Persist, options: slices.Clone(cfg.Options)}, nil
}

// TokenSource returns a source that begins with tokens, and keeps new ones nowhere but in
// memory; see [Client.NewTokenSource].
func (c *Client) TokenSource(tokens *Tokens) *TokenSource {
	return &TokenSource{client: c, tokens: tokens}
}

// Token is [TokenSource.TokenContext] without a context: it may take as long as a
// refresh, 30 s.
func (s *TokenSource) Token() (*oauth2.Token, error) { return s.TokenContext(context.Background()) }

// TokenContext returns an access token that is good for ten seconds more, or for a fifth
// of its life if that is less; a token whose life nobody knows is good for ever. The end
// of ctx ends the wait for a refresh, not the refresh.
//
// Errors are those of [Client.Refresh], and *[PersistError]. After a failure nothing is
// sent for a second, or for as long as the provider asks for (a minute at most), and
// calls get the same error; while the old token has not expired they get that one. A token
// that has expired when it comes is a failure of that kind, with [ReasonExpired]. A
// refresh token that was refused is never sent again.
func (s *TokenSource) TokenContext(ctx context.Context) (*oauth2.Token, error) {
	// Twice: the answer to a refresh that was made a moment ago, by another source, may
	// have expired by now.
	for range 2 {
		token, renewal, err := s.current() //nolint:contextcheck // a renewal goes on when ctx ends
		if renewal == nil {
			return token, err
		}
		tokens, err := renewal.wait(ctx)
		switch {
		case err == nil && s.client.unexpired(tokens.OAuth2):
			return tokens.OAuth2, nil
		case err != nil && mayUseOld(err) && s.client.unexpired(token):
			return token, nil
		case err != nil:
			return nil, err
		}
	}
	return nil, errExpired()
}

// Tokens returns the tokens of the last refresh that were kept, or those that the source
// began with.
func (s *TokenSource) Tokens() *Tokens {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokens
}

// Format prints that it is a source, with every verb.
func (s *TokenSource) Format(f fmt.State, _ rune) {
	_, _ = f.Write([]byte("oidc.TokenSource[redacted]"))
}

// current returns the token if nothing has to be done, else what to wait for, and the
// token all the same.
func (s *TokenSource) current() (*oauth2.Token, *flight[*Tokens], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tokens == nil || s.tokens.OAuth2 == nil {
		return nil, nil, errors.New("oidc: TokenSource was made without tokens")
	}
	token, now := s.tokens.OAuth2, s.client.provider.now()
	switch {
	case token.AccessToken == "" && token.RefreshToken == "":
		return nil, nil, errors.New("oidc: there is no access token, and no refresh token to get one with")
	case s.waiting == nil && isFresh(token, now):
		return token, nil, nil
	case s.renewal != nil:
	case s.failure.final || now.Before(s.failure.until):
		if mayUseOld(s.failure.err) && s.client.unexpired(token) {
			return token, nil, nil
		}
		return nil, nil, s.failure.err
	default:
		s.launch()
	}
	return token, s.renewal, nil
}

// launch begins a renewal. The caller holds the lock.
func (s *TokenSource) launch() {
	old, waiting := s.tokens, s.waiting
	s.renewal = newFlight[*Tokens]()
	go s.renewal.fly(s.client.provider.logger, func(ctx context.Context) (*Tokens, error) {
		return s.renew(ctx, old, waiting)
	}, s.land)
}

// renew refreshes old, unless there are new tokens already, and has the new ones kept.
func (s *TokenSource) renew(ctx context.Context, old *Tokens, waiting *waitingTokens) (*Tokens, error) {
	w := waiting
	if w == nil {
		var err error
		if w, err = s.refresh(ctx, old); err != nil {
			return nil, err
		}
		s.await(w) // whatever Persist does, also if it panics
	}
	refreshes := &s.client.refreshes
	if err := refreshes.keep(ctx, w.from, s.persist, w.tokens, w.part()); err != nil {
		return nil, &PersistError{Err: err, tokens: func() *Tokens {
			refreshes.setKept(w.from, w.part())
			return w.tokens
		}}
	}
	s.use(w.tokens)
	if w == waiting && w.cause != nil { // it was told before
		return s.renew(ctx, w.tokens, nil)
	}
	return w.tokens, w.cause
}

// part is what of the answer the tokens are.
func (w *waitingTokens) part() kept {
	if w.cause != nil {
		return keptRefreshToken
	}
	return keptAll
}

// refresh returns new tokens to be kept.
func (s *TokenSource) refresh(ctx context.Context, old *Tokens) (*waitingTokens, error) {
	form, err := s.client.refreshForm(old, s.options)
	if err != nil {
		return nil, err
	}
	tokens, from, err := s.client.refresh(ctx, old, form)
	var unusable *RefreshError
	if errors.As(err, &unusable) {
		// The old refresh token is spent. The next refresh goes on with the new one.
		tokens = from.family.mark(old.withRefreshToken(unusable.refreshToken))
	} else if err != nil {
		return nil, err
	}
	return &waitingTokens{tokens: tokens, from: from, cause: err}, nil
}

// withRefreshToken returns the tokens with another refresh token.
func (t *Tokens) withRefreshToken(refreshToken string) *Tokens {
	token, with := *t.OAuth2, *t
	token.RefreshToken = refreshToken
	with.OAuth2 = &token
	return &with
}

func (s *TokenSource) await(w *waitingTokens) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = w
}

func (s *TokenSource) use(t *Tokens) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens, s.waiting = t, nil
}

const (
	failurePause    = time.Second
	longestWishKept = time.Minute
)

// land ends a renewal.
func (s *TokenSource) land(t *Tokens, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && cameExpired(t.OAuth2) {
		err = errExpired()
	}
	s.renewal, s.failure = nil, failure{err: err}
	var refused *Error
	switch {
	case err == nil || s.waiting != nil: // what is kept at last is there at once
	case errors.As(err, &refused) && refused.Reason == ReasonRevoked:
		s.failure.final = true
	default:
		s.failure.until = s.client.provider.now().Add(min(max(failurePause, retryAfter(err)), longestWishKept))
	}
}

// cameExpired reports whether a token had no time left when it came.
func cameExpired(t *oauth2.Token) bool { return !t.Expiry.IsZero() && t.ExpiresIn <= 0 }

// mayUseOld reports whether a failure says nothing against the old access token. One
// that the program could keep nothing of is to be seen at once.
func mayUseOld(err error) bool {
	var unkept *PersistError
	return errors.Is(err, oidckit.ErrUnavailable) && !errors.As(err, &unkept)
}

const expiryMargin = 10 * time.Second

// isFresh reports whether a token is good for so long that it does not expire on its
// way. ExpiresIn is its whole life, in seconds.
func isFresh(t *oauth2.Token, now time.Time) bool {
	return t.AccessToken != "" && (t.Expiry.IsZero() || now.Add(margin(t)).Before(t.Expiry))
}

func margin(t *oauth2.Token) time.Duration {
	if t.ExpiresIn <= 0 {
		return expiryMargin
	}
	return min(expiryMargin, time.Duration(t.ExpiresIn)*time.Second/5)
}

func (c *Client) unexpired(t *oauth2.Token) bool {
	return t.AccessToken != "" && (t.Expiry.IsZero() || c.provider.now().Before(t.Expiry))
}
