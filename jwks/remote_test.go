package jwks_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

const issuer = "https://op.example"

// inBubble runs a test against a provider in memory, in a bubble, where time is
// ours and a goroutine that is left behind is an error.
func inBubble(t *testing.T, f func(t *testing.T, p *oidctest.Provider, r *jwks.Remote)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, err := oidctest.New(oidctest.Config{Issuer: issuer, Algorithm: "ES256"})
		require.NoError(t, err)
		r, err := jwks.NewRemote(jwks.RemoteConfig{URL: issuer + string(oidctest.JWKS), HTTPClient: p.HTTPClient()})
		require.NoError(t, err)
		f(t, p, r)
		synctest.Wait()
	})
}

func token(p *oidctest.Provider) string { return p.Sign(nil, map[string]any{"sub": "s"}) }

func verify(t *testing.T, r jwks.Source, raw string) error {
	t.Helper()
	payload, err := jwks.Verify(t.Context(), r, []string{"ES256"}, raw)
	require.Equal(t, err == nil, payload != nil, "an error comes without a payload")
	return err
}

func requireUnavailable(t *testing.T, err error) {
	t.Helper()
	var e *oidckit.UnavailableError
	require.ErrorAs(t, err, &e)
	require.ErrorIs(t, err, oidckit.ErrUnavailable)
	require.NotErrorIs(t, err, oidckit.ErrInvalidToken)
	require.Equal(t, "verification keys", e.What)
}

func TestNewRemote(t *testing.T) {
	t.Parallel()
	locate := func(context.Context, bool) (string, error) { return "", nil }
	for name, cfg := range map[string]jwks.RemoteConfig{
		"neither": {}, "both": {URL: issuer, Locate: locate}, "http": {URL: "http://op.example/jwks"}, "file": {URL: "file:///etc/passwd"},
		"user info": {URL: "https://a@op.example"}, "relative": {URL: "/jwks"}, "fragment": {URL: "https://op.example/#a"},
	} {
		r, err := jwks.NewRemote(cfg)
		require.Error(t, err, name)
		require.Nil(t, r, name)
	}
	for _, cfg := range []jwks.RemoteConfig{{URL: issuer}, {Locate: locate}, {URL: "http://127.0.0.1/jwks"}, {URL: "http://op.example", InsecureHTTP: true}} {
		_, err := jwks.NewRemote(cfg)
		require.NoError(t, err)
	}
}

func TestRemoteFetchesOnceWhenAsked(t *testing.T) {
	inBubble(t, func(t *testing.T, p *oidctest.Provider, r *jwks.Remote) {
		require.Zero(t, p.Requests(oidctest.JWKS), "a constructor does no I/O")
		p.SetFault(oidctest.JWKS, oidctest.Fault{Delay: time.Second})
		raw := token(p)
		var wg sync.WaitGroup
		var failed atomic.Int32
		for range 200 {
			wg.Go(func() {
				if _, err := jwks.Verify(context.Background(), r, []string{"ES256"}, raw); err != nil {
					failed.Add(1)
				}
			})
		}
		wg.Wait()
		require.Zero(t, failed.Load())
		require.NoError(t, r.Ready(t.Context()))
		require.Equal(t, 1, p.Requests(oidctest.JWKS))
	})
}

func TestK13_RotationIsPickedUpAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, p *oidctest.Provider, r *jwks.Remote) {
		old := token(p)
		require.NoError(t, verify(t, r, old))
		p.Rotate()
		require.NoError(t, verify(t, r, token(p)))
		require.NoError(t, verify(t, r, old), "the earlier key is published still")
		require.Equal(t, 2, p.Requests(oidctest.JWKS))

		time.Sleep(10 * time.Second) // two overlapping rotations
		p.Rotate()
		between := token(p)
		p.Rotate()
		require.NoError(t, verify(t, r, token(p)))
		require.NoError(t, verify(t, r, between))
		require.NoError(t, verify(t, r, old))
		require.Equal(t, 3, p.Requests(oidctest.JWKS))
	})
}

func TestK09_WithdrawnKeyIsDropped(t *testing.T) {
	inBubble(t, func(t *testing.T, p *oidctest.Provider, r *jwks.Remote) {
		old := token(p)
		require.NoError(t, verify(t, r, old))
		p.Rotate()
		token(p) // makes the new key
		p.Retire()
		time.Sleep(5 * time.Minute) // max-age of the provider
		require.NoError(t, verify(t, r, old), "it serves while the set is fetched")
		synctest.Wait()
		requireNotFound(t, verify(t, r, old))
	})
}

func TestK07_FloodIsTwoFetches(t *testing.T) {
	inBubble(t, func(t *testing.T, p *oidctest.Provider, r *jwks.Remote) {
		good := token(p)
		require.NoError(t, verify(t, r, good))
		other := newEC(elliptic.P256())
		head, _, _ := strings.Cut(good, ".")
		_, foreign, _ := strings.Cut(sign(t, "ES256", "", other), ".")
		for i := range 200 {
			requireNotFound(t, verify(t, r, sign(t, "ES256", fmt.Sprint("unknown", i), other)))
			err := verify(t, r, head+"."+foreign)
			requireReason(t, err, jwt.BadSigning)
			require.NoError(t, verify(t, r, good))
		}
		require.LessOrEqual(t, p.Requests(oidctest.JWKS), 2)

		// The budget comes back, once.
		time.Sleep(10 * time.Second)
		for range 20 {
			requireNotFound(t, verify(t, r, sign(t, "ES256", "unknown", other)))
		}
		require.Equal(t, 3, p.Requests(oidctest.JWKS))
	})
}

// What is refused without a key never reaches the provider.
func TestK07_RefusedTokensFetchNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, p *oidctest.Provider, r *jwks.Remote) {
		for _, raw := range []string{"", "a.b.c", p.Sign(map[string]any{"alg": "none"}, nil), oidctest.SignHMAC(nil, nil, []byte("x")), p.Sign(map[string]any{"crit": []string{"x"}}, nil)} {
			require.ErrorIs(t, verify(t, r, raw), oidckit.ErrInvalidToken)
		}
		require.Zero(t, p.Requests(oidctest.JWKS))
	})
}

func TestK08_Outage(t *testing.T) {
	inBubble(t, func(t *testing.T, p *oidctest.Provider, r *jwks.Remote) {
		down := oidctest.Fault{Status: 503, Body: "MARKER"}
		p.SetFault(oidctest.JWKS, down)
		raw := token(p)
		for range 50 {
			err := verify(t, r, raw)
			requireUnavailable(t, err)
			var e *fetch.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, 503, e.Status)
			require.NotContains(t, err.Error(), "MARKER")
		}
		require.Equal(t, 1, p.Requests(oidctest.JWKS), "a source that failed is left alone")
		requireUnavailable(t, r.Ready(t.Context()))

		p.SetFault(oidctest.JWKS, oidctest.Fault{})
		time.Sleep(time.Second)
		require.NoError(t, verify(t, r, raw), "it heals by itself")

		p.SetFault(oidctest.JWKS, down)
		for range 24 {
			time.Sleep(time.Hour)
			require.NoError(t, verify(t, r, raw), "the last good copy serves")
			synctest.Wait()
		}
		requireUnavailable(t, verify(t, r, sign(t, "ES256", "unknown", ec1))) // it may be of a key that we could not get to know
		time.Sleep(5*time.Minute - time.Nanosecond)                           // fresh for 5 min, then 24 h
		require.NoError(t, verify(t, r, raw))
		time.Sleep(time.Nanosecond)
		requireUnavailable(t, verify(t, r, raw))

		p.SetFault(oidctest.JWKS, oidctest.Fault{})
		time.Sleep(10 * time.Second)
		require.NoError(t, verify(t, r, raw))
	})
}

func TestK11_BadAnswerNeverReplacesAGoodSet(t *testing.T) {
	for name, fault := range map[string]oidctest.Fault{
		"no usable key":   {Body: `{"keys":[{"kty":"oct","k":"AA"}]}`},
		"HTML":            {Body: "<html>", ContentType: "text/html"},
		"wrong type":      {Body: `{"keys":[]}`, ContentType: "text/plain"},
		"truncated":       {Body: `{"keys":[{"kty"`},
		"too large":       {Oversized: true},
		"hanging":         {Hang: true},
		"no content":      {Status: 204},
		"not modified":    {Status: 304},
		"duplicate names": {Body: `{"keys":[],"keys":[]}`},
		"K12 redirect":    {Status: 302},
		"K13 empty set":   {Empty: true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, p *oidctest.Provider, r *jwks.Remote) {
				raw := token(p)
				require.NoError(t, r.Ready(t.Context()))
				p.SetFault(oidctest.JWKS, fault)
				time.Sleep(6 * time.Minute)
				require.NoError(t, verify(t, r, raw))
				time.Sleep(time.Minute) // the fetch in the background is over
				require.Equal(t, 2, p.Requests(oidctest.JWKS))
				require.NoError(t, verify(t, r, raw))
				time.Sleep(time.Minute)

				// Without a good set it is an outage.
				fresh, err := jwks.NewRemote(jwks.RemoteConfig{URL: issuer + string(oidctest.JWKS), HTTPClient: p.HTTPClient()})
				require.NoError(t, err)
				requireUnavailable(t, verify(t, fresh, raw))
			})
		})
	}
}

func TestK10_CancelledCallerFailsNobodyElse(t *testing.T) {
	inBubble(t, func(t *testing.T, p *oidctest.Provider, r *jwks.Remote) {
		p.SetFault(oidctest.JWKS, oidctest.Fault{Delay: 5 * time.Second})
		raw := token(p)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := jwks.Verify(ctx, r, []string{"ES256"}, raw)
		requireUnavailable(t, err)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, verify(t, r, raw))
		require.Equal(t, 1, p.Requests(oidctest.JWKS))

		// The same for a fetch that a token with an unknown key caused: who gave up
		// has learnt nothing about the token.
		p.Rotate()
		raw = token(p)
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = jwks.Verify(ctx, r, []string{"ES256"}, raw)
		requireUnavailable(t, err)
		time.Sleep(10 * time.Second)
		require.NoError(t, verify(t, r, raw))
		require.Equal(t, 2, p.Requests(oidctest.JWKS))
	})
}

// A scripted provider answers what it is told.
type scripted struct {
	mu       sync.Mutex
	body     string
	header   http.Header
	requests []*http.Request
}

func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r)
	h := s.header.Clone()
	if h == nil {
		h = http.Header{}
	}
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json")
	}
	return &http.Response{StatusCode: http.StatusOK, Header: h, Body: io.NopCloser(strings.NewReader(s.body)), Request: r}, nil
}

func (s *scripted) count() int { s.mu.Lock(); defer s.mu.Unlock(); return len(s.requests) }

func (s *scripted) publish(keys ...*ecdsa.PrivateKey) {
	var members []string
	for _, k := range keys {
		members = append(members, jwk(&k.PublicKey, with{"kid": "same"}))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.body = set(members...)
}

func TestK09_ReplacedKeyUnderTheSameKidIsPickedUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{}
		r, err := jwks.NewRemote(jwks.RemoteConfig{URL: issuer, HTTPClient: &http.Client{Transport: s}})
		require.NoError(t, err)
		s.publish(ec1)
		require.NoError(t, verify(t, r, sign(t, "ES256", "same", ec1)))
		s.publish(ec2)
		require.NoError(t, verify(t, r, sign(t, "ES256", "same", ec2)))
		require.Equal(t, 2, s.count())
		requireReason(t, verify(t, r, sign(t, "ES256", "same", ec1)), jwt.BadSigning)
		require.Equal(t, 2, s.count())

		// Keys that were tried are not tried again.
		keys, err := r.Keys(t.Context(), jwks.Query{KeyID: "same", Algorithm: "ES256"})
		require.NoError(t, err)
		require.Len(t, keys, 1)
		time.Sleep(10 * time.Second)
		keys, err = r.Keys(t.Context(), jwks.Query{KeyID: "same", Algorithm: "ES256", Retry: true})
		require.NoError(t, err)
		require.Empty(t, keys)
		time.Sleep(10 * time.Second)
		s.publish(ec1, ec2)
		keys, err = r.Keys(t.Context(), jwks.Query{KeyID: "same", Algorithm: "ES256", Retry: true})
		require.NoError(t, err)
		require.Len(t, keys, 1)
	})
}

func TestK09_FreshnessIsWhatTheAnswerSaysWithinBounds(t *testing.T) {
	t.Parallel()
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // of every bubble
	date := func(d time.Duration) []string { return []string{now.Add(d).Format(http.TimeFormat)} }
	control := func(values ...string) http.Header { return http.Header{"Cache-Control": values} }
	for _, tt := range []struct {
		header http.Header
		fresh  time.Duration
	}{
		{nil, 10 * time.Minute}, {control(""), 10 * time.Minute}, {control("public"), 10 * time.Minute}, {control("max-age=x"), 10 * time.Minute},
		{control("max-age=-1"), 10 * time.Minute}, {control("s-maxage=300"), 10 * time.Minute}, {control("max-age"), 10 * time.Minute},
		{control("max-age=300"), 5 * time.Minute}, {control("public, Max-Age=300 "), 5 * time.Minute}, {control(`max-age="300"`), 5 * time.Minute},
		{control("public", "max-age=300"), 5 * time.Minute}, {control("max-age=300, max-age=900"), 5 * time.Minute},
		{control("max-age=0"), time.Minute}, {control("max-age=59"), time.Minute}, {control("max-age=61"), 61 * time.Second},
		{control("max-age=86400"), 24 * time.Hour}, {control("max-age=86401"), 24 * time.Hour}, {control("max-age=2147483647"), 24 * time.Hour},
		{control("max-age=99999999999999999999"), 24 * time.Hour},
		{control("no-cache"), time.Minute}, {control("No-Store"), time.Minute}, {control("max-age=300, no-store"), time.Minute}, {control("no-cache, max-age=300"), time.Minute},
		{http.Header{"Cache-Control": {"max-age=300"}, "Age": {"100"}}, 200 * time.Second}, {http.Header{"Cache-Control": {"max-age=300"}, "Age": {"299"}}, time.Minute},
		{http.Header{"Cache-Control": {"max-age=300"}, "Age": {"9999"}}, time.Minute}, {http.Header{"Cache-Control": {"max-age=300"}, "Age": {"x"}}, 5 * time.Minute},
		{http.Header{"Cache-Control": {"max-age=172800"}, "Age": {"100000"}}, 72800 * time.Second}, {http.Header{"Age": {"100"}}, 10 * time.Minute},
		{http.Header{"Expires": date(20 * time.Minute)}, 20 * time.Minute}, {http.Header{"Expires": date(48 * time.Hour)}, 24 * time.Hour},
		{http.Header{"Expires": {"Mon, 01 Jan 0001 00:00:00 GMT"}, "Age": {"2147483647"}}, time.Minute},
		{http.Header{"Expires": date(-time.Hour)}, time.Minute}, {http.Header{"Expires": {"0"}}, time.Minute}, {http.Header{"Expires": {""}}, 10 * time.Minute},
		{http.Header{"Expires": date(20 * time.Minute), "Date": date(10 * time.Minute)}, 10 * time.Minute},
		{http.Header{"Expires": date(20 * time.Minute), "Date": {"x"}}, 20 * time.Minute},
		{http.Header{"Expires": date(20 * time.Minute), "Age": {"300"}}, 15 * time.Minute},
		{http.Header{"Expires": date(20 * time.Minute), "Cache-Control": {"max-age=300"}}, 5 * time.Minute},
		{http.Header{"Expires": date(20 * time.Minute), "Cache-Control": {"no-cache"}}, time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &scripted{header: tt.header}
			s.publish(ec1)
			r, err := jwks.NewRemote(jwks.RemoteConfig{URL: issuer, HTTPClient: &http.Client{Transport: s}})
			require.NoError(t, err)
			require.NoError(t, r.Ready(t.Context()))
			require.Equal(t, tt.fresh, time.Until(r.Status().FreshUntil), "%v", tt.header)
			// A fetch is due at 80 to 90 % of it, and not made for its own sake.
			time.Sleep(8*tt.fresh/10 - time.Nanosecond)
			require.NoError(t, r.Ready(t.Context()))
			synctest.Wait()
			require.Equal(t, 1, s.count(), "%v", tt.header)
			time.Sleep(tt.fresh / 10)
			synctest.Wait()
			require.Equal(t, 1, s.count(), "%v", tt.header)
			time.Sleep(time.Nanosecond)
			require.NoError(t, r.Ready(t.Context()))
			synctest.Wait()
			require.Equal(t, 2, s.count(), "%v", tt.header)
		})
	}
}

func TestRemoteConfigIsObeyed(t *testing.T) {
	t.Parallel()
	s := &scripted{header: http.Header{"Content-Type": {"application/jwk-set+json"}}}
	s.publish(ec1)
	now := time.Unix(1e9, 0)
	located := errors.New("not yet")
	r, err := jwks.NewRemote(jwks.RemoteConfig{
		Locate:       func(context.Context, bool) (string, error) { return "http://op.example/keys?a=b", located },
		HTTPClient:   &http.Client{Transport: s},
		Header:       http.Header{"X-Extra": {"1"}},
		InsecureHTTP: true, RefreshAfter: time.Hour, MaxStale: time.Hour, Cooldown: time.Minute,
		Now: func() time.Time { return now },
	})
	require.NoError(t, err)
	err = r.Ready(t.Context())
	requireUnavailable(t, err)
	require.ErrorIs(t, err, located)
	require.Zero(t, s.count())

	now, located = now.Add(time.Second), nil
	require.NoError(t, r.Ready(t.Context()))
	require.Equal(t, "http://op.example/keys?a=b", s.requests[0].URL.String())
	require.Equal(t, "1", s.requests[0].Header.Get("X-Extra"))

	unknown := sign(t, "ES256", "unknown", ec1)
	requireNotFound(t, verify(t, r, unknown))
	require.Equal(t, 2, s.count())
	now = now.Add(time.Minute - time.Nanosecond)
	requireNotFound(t, verify(t, r, unknown))
	require.Equal(t, 2, s.count())
	now = now.Add(time.Nanosecond)
	requireNotFound(t, verify(t, r, unknown))
	require.Equal(t, 3, s.count())

	located = errors.New("gone")
	now = now.Add(2*time.Hour - time.Nanosecond)
	require.NoError(t, verify(t, r, sign(t, "ES256", "same", ec1)))
	now = now.Add(2 * time.Minute)
	requireUnavailable(t, verify(t, r, sign(t, "ES256", "same", ec1)))
}

// The address that Locate finds is held to the same rules.
func TestD02_LocatedURLIsChecked(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"http://op.example", "file:///etc/passwd", "", "https://a:b@op.example", "://"} {
		s := &scripted{}
		s.publish(ec1)
		r, err := jwks.NewRemote(jwks.RemoteConfig{
			Locate: func(context.Context, bool) (string, error) { return target, nil }, HTTPClient: &http.Client{Transport: s},
		})
		require.NoError(t, err)
		requireUnavailable(t, r.Ready(t.Context()))
		require.Zero(t, s.count(), target)
	}
}

// outage is a source that cannot be asked the second time.
type outage struct {
	keys []jwks.Key
	err  error
}

func (o outage) Keys(_ context.Context, q jwks.Query) ([]jwks.Key, error) {
	if q.Retry {
		return nil, o.err
	}
	return o.keys, nil
}

func TestFirstFindingStandsIfTheSecondQuestionFails(t *testing.T) {
	t.Parallel()
	down := &oidckit.UnavailableError{What: "keys", Err: errors.New("down")}
	wrong := []jwks.Key{must(jwks.NewKey(&ec2.PublicKey, "", ""))}
	raw := sign(t, "ES256", "", ec1)
	requireReason(t, verify(t, outage{wrong, down}, raw), jwt.BadSigning)
	requireNotFound(t, verify(t, outage{nil, down}, raw))
	requireReason(t, verify(t, outage{wrong, &jwks.KeyNotFoundError{}}, raw), jwt.BadSigning)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := jwks.Verify(ctx, outage{wrong, down}, []string{"ES256"}, raw)
	requireReason(t, err, jwt.BadSigning)
	_, err = jwks.Verify(ctx, outage{wrong, &jwks.KeyNotFoundError{}}, []string{"ES256"}, raw)
	requireReason(t, err, jwt.BadSigning)
}

// asked notes what it was asked, and has the right key the second time only.
type asked struct{ queries []jwks.Query }

func (a *asked) Keys(_ context.Context, q jwks.Query) ([]jwks.Key, error) {
	a.queries = append(a.queries, q)
	if q.Retry {
		return []jwks.Key{must(jwks.NewKey(&ec1.PublicKey, "a", ""))}, nil
	}
	return []jwks.Key{must(jwks.NewKey(&ec2.PublicKey, "a", ""))}, nil
}

// The second question says what came of the first.
func TestK09_SecondQuestionSaysWhatWasTried(t *testing.T) {
	t.Parallel()
	src := &asked{}
	require.NoError(t, verify(t, src, signClaims(t, "ES256", "a", ec1, `{"iss":"https://op.example"}`)))
	require.Equal(t, []jwks.Query{
		{KeyID: "a", Algorithm: "ES256", Issuer: issuer},
		{KeyID: "a", Algorithm: "ES256", Issuer: issuer, Retry: true, Tried: []jwks.Key{must(jwks.NewKey(&ec2.PublicKey, "a", ""))}},
	}, src.queries)

	// A source that found nothing is not asked twice.
	empty := &counting{Source: jwks.Static{}}
	requireNotFound(t, verify(t, empty, signA(t)))
	require.Equal(t, 1, empty.asked)
}
