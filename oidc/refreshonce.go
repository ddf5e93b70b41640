package oidc

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// refreshes see to it that a client sends a refresh token once, however many ask: a
// provider that rotates refresh tokens takes the second use for a thief's, and revokes
// all tokens of the login (RFC 9700 section 4.14.2).
type refreshes struct {
	mu      sync.Mutex
	byToken map[textHash]*refreshment // the last one that sent a refresh token, or got it
	spent   []*refreshment            // whose answers are kept, oldest first
	bytes   int                       // of these answers
}

// A textHash stands for a refresh token, or for what is asked with it.
type textHash [sha256.Size]byte

func hashOf(s string) textHash { return sha256.Sum256([]byte(s)) }

const (
	// answerKept is for how long the answer to a refresh token that is spent by it is
	// there for those who come too late with the same one: requests that read the
	// session before another one refreshed it.
	answerKept = time.Minute
	// maxAnswers and maxAnswerBytes are how many are kept, the newest ones.
	maxAnswers     = 1024
	maxAnswerBytes = 4 << 20
	// maxAnswer is how long one may be that is kept: no more than a share of them all.
	maxAnswer = 64 << 10
)

// A family are the refresh tokens of one login, each of which came for the one before. One
// of them is sent at a time: what another request has to send is known when that is back.
type family struct {
	home     *refreshes
	current  string       // the refresh token to send next
	flying   *refreshment // the request that is under way
	last     *refreshment // the one that current came with, while its answer is kept
	sent     int          // the number of the newest request
	replaced int          // the number of the one that current came with
	revoked  int          // the number of the newest request before the revocation: its answer is not kept

	turn chan struct{} // taken while tokens are being kept
}

// A refreshment is a request with a refresh token, and its answer.
type refreshment struct {
	*flight[*tokenResponse]
	family *family
	number int // within the family
	form   url.Values
	asks   textHash // of the form without its refresh token

	answered time.Time
	next     string // the refresh token that replaced the one that was sent
	bytes    int
	end      *time.Timer // of its being kept

	kept kept
}

// kept is what of an answer has been kept by somebody.
type kept int

const (
	keptRefreshToken kept = iota + 1 // all that is left of an answer that cannot be used
	keptAll
)

// mark returns the tokens with what is known of their refresh token.
func (f *family) mark(t *Tokens) *Tokens {
	t.family, t.member = f, hashOf(t.OAuth2.RefreshToken)
	return t
}

// known returns the family of the refresh token, if it is the one that came with t.
func (t *Tokens) known() *family {
	if t.member != hashOf(t.OAuth2.RefreshToken) {
		return nil
	}
	return t.family
}

func (r *refreshment) sent() string { return r.form.Get("refresh_token") }

// withRefreshToken returns the form with another refresh token.
func withRefreshToken(form url.Values, refreshToken string) url.Values {
	next := cloneValues(form)
	next.Set("refresh_token", refreshToken)
	return next
}

// refreshOnce returns the request that a form has to wait for, and whether its answer is
// the answer to this form: what asks for something else is sent after it, with the
// refresh token that comes. known is nil, or the family of a token that is forgotten here.
func (c *Client) refreshOnce(form url.Values, known *family) (r *refreshment, answers bool) {
	rs := &c.refreshes
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.forget(c.provider.now())
	token, asks := form.Get("refresh_token"), hashOf(withRefreshToken(form, "").Encode())
	f := rs.familyOf(token, known)
	switch {
	case f.flying != nil:
		return f.flying, f.flying.asks == asks
	case f.last != nil && token != f.current && f.last.asks == asks:
		return f.last, true
	}
	return c.launch(f, withRefreshToken(form, f.current), asks), true
}

func (rs *refreshes) familyOf(token string, known *family) *family {
	var f *family
	if known != nil && known.home == rs {
		f = known
	}
	if r := rs.byToken[hashOf(token)]; r != nil {
		f = r.family
	}
	if f == nil {
		return &family{home: rs, current: token, turn: make(chan struct{}, 1)}
	}
	// The token may have been read from a store by those who knew nothing of the family.
	if r := rs.byToken[hashOf(f.current)]; r != nil {
		return r.family
	}
	return f
}

// launch sends a form. The caller holds the lock.
func (c *Client) launch(f *family, form url.Values, asks textHash) *refreshment {
	rs := &c.refreshes
	f.sent++
	r := &refreshment{flight: newFlight[*tokenResponse](), family: f, number: f.sent, form: form, asks: asks}
	f.flying = r
	if rs.byToken == nil {
		rs.byToken = map[textHash]*refreshment{}
	}
	rs.byToken[hashOf(r.sent())] = r
	go r.fly(c.provider.logger, func(ctx context.Context) (*tokenResponse, error) {
		return c.requestToken(ctx, cloneValues(form))
	}, func(answer *tokenResponse, err error) {
		r.answered = c.provider.now()
		var size int
		r.next, size = successor(answer, err)
		r.bytes = len(r.sent()) + size
		rs.land(r)
	})
	return r
}

// land keeps an answer that has replaced the refresh token. Any other one is for those
// who waited for it only: the refresh token can be sent again.
func (rs *refreshes) land(r *refreshment) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	f := r.family
	f.flying = nil
	before := f.last
	replaces := r.next != "" && r.next != r.sent()
	if replaces {
		f.current, f.replaced, f.last = r.next, r.number, nil
	}
	if !replaces || r.number <= f.revoked || r.bytes > maxAnswer {
		rs.leave(r.sent(), before)
		return
	}
	f.last = r
	// One that is given out is not spent, even if it was there before. But what is under
	// way with it goes on, whoever gave it out.
	if other := rs.byToken[hashOf(r.next)]; other == nil || other.family.flying == nil {
		rs.byToken[hashOf(r.next)] = r
	}
	rs.spent, rs.bytes = append(rs.spent, r), rs.bytes+r.bytes
	r.end = time.AfterFunc(answerKept, func() { // also if nobody calls any more
		rs.mu.Lock()
		defer rs.mu.Unlock()
		rs.drop(r)
	})
	rs.forget(r.answered)
}

// leave gives a refresh token back to the refreshment that it came with, if that is kept.
func (rs *refreshes) leave(token string, before *refreshment) {
	if before != nil {
		rs.byToken[hashOf(token)] = before
	} else {
		delete(rs.byToken, hashOf(token))
	}
}

func (rs *refreshes) forget(now time.Time) {
	for len(rs.spent) > 0 && (!now.Before(rs.spent[0].answered.Add(answerKept)) || len(rs.spent) > maxAnswers || rs.bytes > maxAnswerBytes) {
		rs.drop(rs.spent[0])
	}
}

// drop forgets an answer, if it is kept.
func (rs *refreshes) drop(r *refreshment) {
	i := slices.Index(rs.spent, r)
	if i < 0 {
		return
	}
	rs.spent, rs.bytes = slices.Delete(rs.spent, i, i+1), rs.bytes-r.bytes
	r.end.Stop()
	if r.family.last == r {
		r.family.last = nil
	}
	for _, token := range []string{r.sent(), r.next} {
		if key := hashOf(token); rs.byToken[key] == r {
			delete(rs.byToken, key)
		}
	}
}

// revoke forgets the answers of the family that a refresh token is of, and does not give
// out again an access token: whoever comes late must not get what was revoked.
func (rs *refreshes) revoke(token string) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	of := rs.byToken[hashOf(token)]
	for _, r := range slices.Clone(rs.spent) {
		switch {
		case of != nil && r.family == of.family:
			rs.drop(r)
		case r.family.last == r && r.value != nil && r.value.AccessToken == token:
			r.family.last = nil
		}
	}
	if of != nil {
		of.family.revoked = of.family.sent
	}
}

// successor returns the refresh token that came with an answer, usable or not, and how
// many bytes that had.
func successor(answer *tokenResponse, err error) (refreshToken string, bytes int) {
	var unusable *unusableResponseError
	switch {
	case errors.As(err, &unusable):
		refreshToken, bytes = unusable.refreshToken, len(unusable.refreshToken)
	case err == nil:
		refreshToken, bytes = answer.RefreshToken, answer.bytes
	}
	return strings.Clone(refreshToken), bytes // not a part of a whole answer
}

// keep hands the tokens of the answer to persist, unless that was done before, or a later
// refresh has spent their refresh token: a second source must not overwrite what came of
// that.
func (rs *refreshes) keep(ctx context.Context, r *refreshment, persist func(context.Context, *Tokens) error, t *Tokens, what kept) error {
	if persist == nil {
		return nil
	}
	select {
	case r.family.turn <- struct{}{}:
		defer func() { <-r.family.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if rs.isKept(r, what) {
		return nil
	}
	if err := persist(ctx, t); err != nil {
		return err
	}
	rs.setKept(r, what)
	return nil
}

func (rs *refreshes) isKept(r *refreshment, what kept) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return r.kept >= what || r.family.replaced > r.number
}

func (rs *refreshes) setKept(r *refreshment, what kept) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r.kept = max(r.kept, what)
}
