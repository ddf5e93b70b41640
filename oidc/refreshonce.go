package oidc

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/url"
	"sync"
	"time"
)

// refreshes see to it that a client sends a refresh token once, however many ask: a
// provider that rotates refresh tokens takes the second use for a thief's, and revokes
// all tokens of the login (RFC 9700 section 4.14.2).
type refreshes struct {
	mu    sync.Mutex
	byKey map[refreshKey]*refreshment
	spent []*refreshment // whose answers are kept, oldest first
}

// A refreshKey is the hash of the form that is sent, refresh token and options alike.
type refreshKey [sha256.Size]byte

func keyOf(form url.Values) refreshKey { return sha256.Sum256([]byte(form.Encode())) }

const (
	// answerKept is for how long the answer to a refresh token that is spent by it is
	// there for those who come too late with the same one: requests that read the
	// session before another one refreshed it.
	answerKept = time.Minute
	// maxAnswers is how many are kept, the newest ones.
	maxAnswers = 1024
)

// A refreshment is a request with a refresh token, and its answer.
type refreshment struct {
	*flight[*tokenResponse]
	form     url.Values
	answered time.Time

	turn chan struct{} // taken while the tokens are being kept
	kept bool          // somebody has kept them
}

func (r *refreshment) sent() string { return r.form.Get("refresh_token") }

// withRefreshToken returns the form with another refresh token.
func withRefreshToken(form url.Values, refreshToken string) url.Values {
	next := cloneValues(form)
	next.Set("refresh_token", refreshToken)
	return next
}

// refreshOnce sends a form that has a refresh token, unless it is under way or was
// answered a moment ago.
func (c *Client) refreshOnce(form url.Values) *refreshment {
	rs := &c.refreshes
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.forget(c.provider.now())
	if r := rs.newest(form); r != nil {
		return r
	}
	r := &refreshment{flight: newFlight[*tokenResponse](), form: form, turn: make(chan struct{}, 1)}
	if rs.byKey == nil {
		rs.byKey = map[refreshKey]*refreshment{}
	}
	rs.byKey[keyOf(form)] = r
	go r.fly(func(ctx context.Context) (*tokenResponse, error) {
		return c.requestToken(ctx, cloneValues(form), nil)
	}, func(answer *tokenResponse, err error) {
		r.answered = c.provider.now()
		rs.land(r, successor(answer, err))
	})
	return r
}

// newest returns the last one of the refreshments that began with the token of form. Who
// got the answer of an earlier one would go on with a token that is spent as well.
func (rs *refreshes) newest(form url.Values) *refreshment {
	var last *refreshment
	next := form
	for {
		r := rs.byKey[keyOf(next)]
		if r == nil {
			return last
		}
		last = r
		if !r.landed() {
			return r
		}
		next = withRefreshToken(next, successor(r.value, r.err))
	}
}

// land keeps an answer that has replaced the refresh token. Any other one is for those
// who waited for it only: the refresh token can be sent again.
func (rs *refreshes) land(r *refreshment, successor string) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if successor == "" || successor == r.sent() {
		delete(rs.byKey, keyOf(r.form))
		return
	}
	// One that is given out is not spent, even if it was there before.
	delete(rs.byKey, keyOf(withRefreshToken(r.form, successor)))
	rs.spent = append(rs.spent, r)
	rs.forget(r.answered)
}

func (rs *refreshes) forget(now time.Time) {
	for len(rs.spent) > 0 && (!now.Before(rs.spent[0].answered.Add(answerKept)) || len(rs.spent) > maxAnswers) {
		if key := keyOf(rs.spent[0].form); rs.byKey[key] == rs.spent[0] {
			delete(rs.byKey, key)
		}
		rs.spent = rs.spent[1:]
	}
}

// successor returns the refresh token that came with an answer, usable or not.
func successor(answer *tokenResponse, err error) string {
	var unusable *unusableResponseError
	switch {
	case errors.As(err, &unusable):
		return unusable.refreshToken
	case err != nil:
		return ""
	}
	return answer.RefreshToken
}

// keep hands the tokens of the answer to persist, unless that was done before: a second
// source must not overwrite what a later refresh has kept by now. The parts that are
// left of an answer that cannot be used do not count as all.
func (r *refreshment) keep(ctx context.Context, persist func(context.Context, *Tokens) error, t *Tokens, all bool) error {
	if persist == nil {
		return nil
	}
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if r.kept {
		return nil
	}
	if err := persist(ctx, t); err != nil {
		return err
	}
	r.kept = all
	return nil
}
