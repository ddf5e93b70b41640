package jwks_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
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
)

// An origin is a provider that behaves like an HTTP cache's origin: its answers
// have an ETag, and it says what is asked of it.
type origin struct {
	mu       sync.Mutex
	body     string
	etag     string
	header   http.Header // added to every answer
	status   int         // other than 0: an answer without the set
	delay    time.Duration
	hang     bool
	requests []*http.Request
}

func (o *origin) RoundTrip(r *http.Request) (*http.Response, error) {
	o.mu.Lock()
	o.requests = append(o.requests, r)
	delay, hang := o.delay, o.hang
	o.mu.Unlock()
	wait := time.After(delay)
	if hang {
		wait = nil
	}
	select {
	case <-wait:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	h := http.Header{"Content-Type": {"application/json"}}
	maps.Copy(h, o.header)
	if o.etag != "" {
		h.Set("Etag", o.etag)
	}
	status, body := http.StatusOK, o.body
	switch {
	case o.status != 0:
		status, body = o.status, ""
	case o.etag != "" && r.Header.Get("If-None-Match") == o.etag:
		status, body = http.StatusNotModified, ""
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func (o *origin) set(change func(o *origin)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change(o)
}

func (o *origin) count() int { o.mu.Lock(); defer o.mu.Unlock(); return len(o.requests) }

func (o *origin) last() *http.Request {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.requests[len(o.requests)-1]
}

func (o *origin) publish(keys ...string) { o.set(func(o *origin) { o.body = set(keys...) }) }

// withOrigin runs a test in a bubble with an origin that has the key ec1 as "a".
func withOrigin(t *testing.T, change func(*jwks.RemoteConfig), f func(t *testing.T, o *origin, r *jwks.Remote)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := &origin{}
		o.publish(jwkA)
		cfg := jwks.RemoteConfig{URL: issuer + "/jwks", HTTPClient: &http.Client{Transport: o}}
		change(&cfg)
		r, err := jwks.NewRemote(cfg)
		require.NoError(t, err)
		f(t, o, r)
		time.Sleep(time.Minute)
		synctest.Wait()
	})
}

func asItIs(*jwks.RemoteConfig) {}

var (
	jwkA, jwkB, jwkC = jwk(&ec1.PublicKey, with{"kid": "a"}), jwk(&ec2.PublicKey, with{"kid": "b"}), jwk(&ec384.PublicKey, with{"kid": "c"})
)

func signA(t testing.TB) string { return sign(t, "ES256", "a", ec1) }
func signB(t testing.TB) string { return sign(t, "ES256", "b", ec2) }

// renewNow makes a Remote fetch, by a key that nobody has.
func renewNow(t *testing.T, r *jwks.Remote) {
	t.Helper()
	time.Sleep(10 * time.Second)
	keys, err := r.Keys(t.Context(), jwks.Query{KeyID: "nobody's", Algorithm: "ES512"})
	require.NoError(t, err)
	require.Empty(t, keys)
}

func TestK09_ConditionalRequests(t *testing.T) {
	withOrigin(t, asItIs, func(t *testing.T, o *origin, r *jwks.Remote) {
		o.set(func(o *origin) { o.etag, o.header = `"one"`, http.Header{"Cache-Control": {"max-age=300"}} })
		require.NoError(t, r.Ready(t.Context()))
		require.Empty(t, o.last().Header.Get("If-None-Match"))

		// Not modified: the set stays, and is fresh from then on.
		renewNow(t, r)
		require.Equal(t, `"one"`, o.last().Header.Get("If-None-Match"))
		require.Equal(t, 5*time.Minute, time.Until(r.Status().FreshUntil))
		require.NoError(t, verify(t, r, signA(t)))
		require.EqualValues(t, 1, r.Status().NotModified)

		// An answer that says nothing about freshness leaves what it stands for.
		o.set(func(o *origin) { o.header = nil })
		renewNow(t, r)
		require.Equal(t, 5*time.Minute, time.Until(r.Status().FreshUntil))
		o.set(func(o *origin) { o.header = http.Header{"Cache-Control": {"max-age=600"}} })
		renewNow(t, r)
		require.Equal(t, 10*time.Minute, time.Until(r.Status().FreshUntil))

		// A broken answer with another tag changes neither keys nor tag.
		o.set(func(o *origin) { o.etag, o.body = `"broken"`, `{"keys":[]}` })
		time.Sleep(10 * time.Second)
		_, err := r.Keys(t.Context(), jwks.Query{KeyID: "nobody's", Algorithm: "ES512"})
		requireUnavailable(t, err)
		o.set(func(o *origin) { o.etag, o.body = `"one"`, "" })
		renewNow(t, r)
		require.Equal(t, `"one"`, o.last().Header.Get("If-None-Match"))
		require.NoError(t, verify(t, r, signA(t)))

		// Another set has another tag.
		o.set(func(o *origin) { o.etag = `"two"` })
		o.publish(jwkB)
		renewNow(t, r)
		require.NoError(t, verify(t, r, signB(t)))
		renewNow(t, r)
		require.Equal(t, `"two"`, o.last().Header.Get("If-None-Match"))

		o.set(func(o *origin) { o.etag = "" })
		renewNow(t, r)
		renewNow(t, r)
		require.Empty(t, o.last().Header.Get("If-None-Match"), "the last answer had none")
	})
}

func TestK09_ETagGoesOnlyWhereItCameFrom(t *testing.T) {
	target := issuer + "/one"
	withOrigin(t, func(cfg *jwks.RemoteConfig) {
		cfg.URL, cfg.Locate = "", func(context.Context, bool) (string, error) { return target, nil }
	}, func(t *testing.T, o *origin, r *jwks.Remote) {
		o.set(func(o *origin) { o.etag = `"one"` })
		require.NoError(t, r.Ready(t.Context()))
		target = issuer + "/two"
		renewNow(t, r)
		require.Empty(t, o.last().Header.Get("If-None-Match"))
		renewNow(t, r)
		require.Equal(t, `"one"`, o.last().Header.Get("If-None-Match"))
	})
}

func TestK12_RedirectsAreNotFollowed(t *testing.T) {
	withOrigin(t, asItIs, func(t *testing.T, o *origin, r *jwks.Remote) {
		for i, target := range []string{"http://op.example/jwks", "https://evil.example/jwks", issuer + "/other", "http://169.254.169.254/"} {
			o.set(func(o *origin) { o.status, o.header = http.StatusFound, http.Header{"Location": {target}} })
			err := r.Ready(t.Context())
			requireUnavailable(t, err)
			require.ErrorIs(t, err, fetch.ErrRedirect)
			require.Equal(t, i+1, o.count())
			require.Equal(t, issuer+"/jwks", o.last().URL.String())
			time.Sleep(10 * time.Second)
		}
	})
}

func TestK11_NotModifiedWithoutAQuestion(t *testing.T) {
	withOrigin(t, asItIs, func(t *testing.T, o *origin, r *jwks.Remote) {
		o.set(func(o *origin) { o.status = http.StatusNotModified })
		requireUnavailable(t, r.Ready(t.Context()))
	})
}

// What a cache of verified tokens builds upon: the version changes when what a key
// said may no longer hold, and only then.
func TestVersion(t *testing.T) {
	withOrigin(t, asItIs, func(t *testing.T, o *origin, r *jwks.Remote) {
		version := func() uint64 {
			v, ok := r.Version(t.Context(), time.Now())
			require.True(t, ok)
			return v
		}
		_, ok := r.Version(t.Context(), time.Now())
		require.False(t, ok, "nothing was fetched")
		require.Zero(t, o.count(), "nobody would get the answer")
		require.NoError(t, r.Ready(t.Context()))
		last := version()
		for _, tt := range []struct {
			what    string
			etag    string
			keys    []string
			changes bool
		}{
			{"equal keys", "", []string{jwkA}, false},
			{"a key is added", "", []string{jwkA, jwkB}, false},
			{"another order", `"x"`, []string{jwkB, jwkA}, false},
			{"not modified", `"x"`, []string{jwkB, jwkA}, false},
			{"odd members come and go", "", []string{`{"kty":"AKP"}`, jwkB, jwkA}, false},
			{"a key has left", "", []string{jwkA}, true},
			{"another key under the kid", "", []string{jwk(&ec2.PublicKey, with{"kid": "a"})}, true},
			{"another kid for the key", "", []string{jwk(&ec2.PublicKey, with{"kid": "x"})}, true},
			{"an alg", "", []string{jwk(&ec2.PublicKey, with{"kid": "x", "alg": "ES256"})}, true},
			{"an issuer", "", []string{jwk(&ec2.PublicKey, with{"kid": "x", "alg": "ES256", "issuer": issuer})}, true},
			{"one is replaced by two", "", []string{jwkA, jwkB}, true},
			{"it is for encryption now", "", []string{jwkA, jwk(&ec2.PublicKey, with{"kid": "b", "use": "enc"})}, true},
			{"the old one is back", "", []string{jwkA, jwkB}, false},
		} {
			o.publish(tt.keys...)
			o.set(func(o *origin) { o.etag = tt.etag })
			renewNow(t, r)
			require.Equal(t, tt.changes, version() != last, tt.what)
			require.GreaterOrEqual(t, version(), last, tt.what)
			last = version()
		}
	})
}

func TestVersion_StartsWhatIsDueAndNeverWaits(t *testing.T) {
	withOrigin(t, func(cfg *jwks.RemoteConfig) { cfg.MaxStale = time.Hour }, func(t *testing.T, o *origin, r *jwks.Remote) {
		require.NoError(t, r.Ready(t.Context())) // fresh for 10 min
		first, ok := r.Version(t.Context(), time.Now())
		require.True(t, ok)
		o.publish(jwkB)
		time.Sleep(9 * time.Minute)
		_, ok = r.Version(t.Context(), time.Now())
		require.True(t, ok)
		synctest.Wait()
		require.Equal(t, 2, o.count(), "who asks for nothing else learns of a withdrawn key")
		second, ok := r.Version(t.Context(), time.Now())
		require.True(t, ok)
		require.NotEqual(t, first, second)

		time.Sleep(11 * time.Minute)
		_, ok = r.Version(t.Context(), time.Now())
		require.False(t, ok, "it must be asked for first")
		o.set(func(o *origin) { o.status = 503 })
		require.NoError(t, r.Ready(t.Context()))
		_, ok = r.Version(t.Context(), time.Now())
		require.True(t, ok, "in an outage the old set serves")
		_, ok = r.Version(t.Context(), time.Now().Add(time.Hour))
		require.False(t, ok, "and not for ever; the time is the caller's")
	})
}

func TestVersion_OfWhatNeverChanges(t *testing.T) {
	t.Parallel()
	symmetric, err := jwks.Symmetric([]byte(strings.Repeat("s", 32)), "HS256")
	require.NoError(t, err)
	for _, src := range []jwks.Source{jwks.Static{}, parseSet(t, jwkA), symmetric} {
		v, ok := src.(jwks.Versioned).Version(t.Context(), time.Now())
		require.True(t, ok)
		w, ok := src.(jwks.Versioned).Version(t.Context(), time.Now().Add(1e6*time.Hour))
		require.True(t, ok)
		require.Equal(t, v, w)
	}
}

// Reading what is fresh allocates nothing and asks for the time once.
func TestFreshKeysCostNothing(t *testing.T) {
	o := &origin{}
	o.publish(jwkA, jwkB)
	var asked atomic.Int32
	now := time.Now()
	r, err := jwks.NewRemote(jwks.RemoteConfig{URL: issuer, HTTPClient: &http.Client{Transport: o}, Now: func() time.Time { asked.Add(1); return now }})
	require.NoError(t, err)
	require.NoError(t, r.Ready(t.Context()))
	asked.Store(0)
	q := jwks.Query{KeyID: "b", Algorithm: "ES256", Issuer: issuer}
	keys, err := r.Keys(t.Context(), q)
	require.NoError(t, err)
	require.Len(t, keys, 1)
	require.EqualValues(t, 1, asked.Load())
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = r.Keys(t.Context(), q) }))
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = r.Version(t.Context(), now) }))
	asked.Store(0)
	_, _ = r.Version(t.Context(), now)
	require.Zero(t, asked.Load(), "the time is the caller's")
}

// At a rotation everybody waits for one fetch, also where the new key has the kid of
// the old one and some callers have looked at the old set and others at the new.
func TestK13_StampedeAtARotation(t *testing.T) {
	for name, rotated := range map[string]struct{ key, token string }{
		"another kid":  {jwkB, signB(t)},
		"the same kid": {jwk(&ec2.PublicKey, with{"kid": "a"}), sign(t, "ES256", "a", ec2)},
	} {
		t.Run(name, func(t *testing.T) {
			withOrigin(t, asItIs, func(t *testing.T, o *origin, r *jwks.Remote) {
				require.NoError(t, verify(t, r, signA(t)))
				o.publish(rotated.key)
				o.set(func(o *origin) { o.delay = 20 * time.Millisecond })
				var wg sync.WaitGroup
				var failed atomic.Int32
				for i := range 200 {
					wg.Go(func() {
						time.Sleep(time.Duration(i) * 200 * time.Microsecond) // some come when it is over
						if _, err := jwks.Verify(context.Background(), r, []string{"ES256"}, rotated.token); err != nil {
							failed.Add(1)
						}
					})
				}
				wg.Wait()
				require.Zero(t, failed.Load())
				require.Equal(t, 2, o.count())
			})
		})
	}
}

// A caller who got the old key, and asks again after somebody else has brought the
// new one under the same kid, gets that one at once.
func TestK09_RetryAfterSomebodyElseRenewed(t *testing.T) {
	withOrigin(t, asItIs, func(t *testing.T, o *origin, r *jwks.Remote) {
		q := jwks.Query{KeyID: "a", Algorithm: "ES256"}
		old, err := r.Keys(t.Context(), q)
		require.NoError(t, err)
		o.publish(jwk(&ec2.PublicKey, with{"kid": "a"}))
		renewNow(t, r)
		time.Sleep(10 * time.Second) // the budget is there, and not needed
		q.Retry, q.Tried = true, old
		keys, err := r.Keys(t.Context(), q)
		require.NoError(t, err)
		require.Len(t, keys, 1)
		require.Equal(t, 2, o.count())

		q.Tried = append(old[:1:1], keys...) // both failed
		keys, err = r.Keys(t.Context(), q)
		require.NoError(t, err)
		require.Empty(t, keys)
	})
}

// 10,000 tokens of strangers in 5 s, and a rotation meanwhile.
func TestK07_Flood(t *testing.T) {
	withOrigin(t, asItIs, func(t *testing.T, o *origin, r *jwks.Remote) {
		good := signA(t)
		require.NoError(t, verify(t, r, good))
		o.set(func(o *origin) { o.delay = 20 * time.Millisecond })
		head, _, _ := strings.Cut(good, ".")
		_, foreign, _ := strings.Cut(sign(t, "ES256", "", ec2), ".")
		forged := head + "." + foreign
		flood := func(d time.Duration) (slow int) {
			for end, i := time.Now().Add(d), 0; time.Now().Before(end); i++ {
				begin := time.Now()
				if i%2 == 0 {
					requireReason(t, verify(t, r, forged), jwt.BadSigning)
				} else {
					requireNotFound(t, verify(t, r, sign(t, "ES256", fmt.Sprint(i), ec2)))
				}
				require.NoError(t, verify(t, r, good))
				if time.Since(begin) > 0 {
					slow++
				}
				time.Sleep(10 * time.Millisecond)
			}
			return slow
		}
		require.LessOrEqual(t, flood(5*time.Second), 2, "whoever is over budget is refused at once")
		require.LessOrEqual(t, o.count(), 2)

		// The new key is accepted by the first request after the cooldown, and the
		// flood may well be that.
		o.publish(jwkA, jwkB)
		requireNotFound(t, verify(t, r, signB(t)))
		flood(5 * time.Second)
		require.NoError(t, verify(t, r, signB(t)))
		flood(10 * time.Second)
		require.LessOrEqual(t, o.count(), 4)
	})
}

// A flood that waits for a provider that hangs does not pile up, and costs good
// tokens nothing.
func TestK08_FloodWhileTheProviderHangs(t *testing.T) {
	withOrigin(t, asItIs, func(t *testing.T, o *origin, r *jwks.Remote) {
		good := signA(t)
		require.NoError(t, verify(t, r, good))
		o.set(func(o *origin) { o.hang = true })
		unknown := sign(t, "ES256", "unknown", ec2)
		var wg sync.WaitGroup
		var waited, refused, other atomic.Int32
		begin := time.Now()
		for range 1200 {
			wg.Go(func() {
				_, err := jwks.Verify(context.Background(), r, []string{"ES256"}, unknown)
				switch {
				case !errors.Is(err, oidckit.ErrUnavailable):
					other.Add(1)
				case time.Since(begin) == 0:
					refused.Add(1)
				default:
					waited.Add(1)
				}
			})
		}
		synctest.Wait()
		require.NoError(t, verify(t, r, good))
		require.Zero(t, time.Since(begin))
		wg.Wait()
		require.EqualValues(t, 1000, waited.Load())
		require.EqualValues(t, 200, refused.Load())
		require.Zero(t, other.Load())
		require.EqualValues(t, 200, r.Status().Refusals)
	})
}

// Through an outage, and with a provider that hangs, good tokens are served at once,
// however often keys fall due.
func TestK08_OutageCostsGoodTokensNothing(t *testing.T) {
	for name, fault := range map[string]func(*origin){
		"down": func(o *origin) { o.status = 503 }, "hanging": func(o *origin) { o.hang = true },
		"busy": func(o *origin) { o.status, o.header = 503, http.Header{"Retry-After": {"3600"}} },
	} {
		t.Run(name, func(t *testing.T) {
			withOrigin(t, func(cfg *jwks.RemoteConfig) { cfg.RefreshAfter = time.Second }, func(t *testing.T, o *origin, r *jwks.Remote) {
				good := signA(t)
				require.NoError(t, verify(t, r, good))
				o.set(fault)
				for range 500 {
					begin := time.Now()
					require.NoError(t, verify(t, r, good))
					require.Zero(t, time.Since(begin))
					time.Sleep(600 * time.Millisecond)
				}
				require.Less(t, o.count(), 40)
				require.Greater(t, o.count(), 3)
				o.set(func(o *origin) { o.status, o.hang = 0, false })
				time.Sleep(time.Minute)
				require.NoError(t, verify(t, r, good))
				synctest.Wait()
				require.NoError(t, r.Status().LastError)
			})
		})
	}
}

// The cooldown counts from the start of the attempt, also for who waited for the
// first keys before.
func TestK07_CooldownCountsFromTheAttempt(t *testing.T) {
	withOrigin(t, asItIs, func(t *testing.T, o *origin, r *jwks.Remote) {
		o.set(func(o *origin) { o.delay = 5 * time.Second })
		unknown := sign(t, "ES256", "unknown", ec2)
		requireNotFound(t, verify(t, r, unknown)) // 5 s for the first keys, 5 s for newer ones
		require.Equal(t, 2, o.count())
		time.Sleep(5*time.Second - time.Nanosecond)
		requireNotFound(t, verify(t, r, unknown))
		require.Equal(t, 2, o.count())
		time.Sleep(time.Nanosecond)
		requireNotFound(t, verify(t, r, unknown))
		require.Equal(t, 3, o.count())
	})
}

// A provider that says when to come back is left alone, for a minute at most.
func TestK08_RetryAfter(t *testing.T) {
	for header, pause := range map[string]time.Duration{"30": 30 * time.Second, "3600": time.Minute} {
		t.Run(header, func(t *testing.T) {
			withOrigin(t, asItIs, func(t *testing.T, o *origin, r *jwks.Remote) {
				o.set(func(o *origin) { o.status, o.header = 503, http.Header{"Retry-After": {header}} })
				err := r.Ready(t.Context())
				requireUnavailable(t, err)
				var e *oidckit.UnavailableError
				require.ErrorAs(t, err, &e)
				require.Equal(t, pause, e.RetryAfter)
				o.set(func(o *origin) { o.status = 0 })
				time.Sleep(pause - time.Nanosecond)
				requireUnavailable(t, r.Ready(t.Context()))
				require.Equal(t, 1, o.count())
				time.Sleep(time.Nanosecond)
				require.NoError(t, r.Ready(t.Context()))
			})
		})
	}
}

// What was not found is not remembered: random kids fill nothing.
func TestK07_NothingGrowsWithUnknownKids(t *testing.T) {
	o := &origin{}
	o.publish(jwkA)
	now := time.Now()
	r, err := jwks.NewRemote(jwks.RemoteConfig{URL: issuer, HTTPClient: &http.Client{Transport: o}, Now: func() time.Time { return now }})
	require.NoError(t, err)
	ask := func(from, to int) {
		for i := from; i < to; i++ {
			keys, err := r.Keys(context.Background(), jwks.Query{KeyID: fmt.Sprint("unknown", i), Algorithm: "ES256"})
			if err != nil || len(keys) != 0 {
				t.Fatal("unexpected answer", keys, err)
			}
		}
	}
	ask(0, 100)
	before := heap()
	ask(100, 100_000)
	require.Less(t, int64(heap())-int64(before), int64(100<<10), "a byte for each of them would show")
	require.Equal(t, 2, o.count())
	runtime.KeepAlive(r)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// An issuer at rest: at most 2.5 KiB, no goroutine.
func TestIssuerAtRestIsSmall(t *testing.T) {
	certificate := strings.Repeat("A", 1600)
	var members []string
	for i := range 3 {
		members = append(members, jwk(&rsaKeys()[i%2].PublicKey, with{
			"kid": fmt.Sprintf("WtEG7_q5LXhvd3tTjsqNDJxvVqs-%d", i), "alg": "RS256", "use": "sig", "x5t": "WtEG7_q5LXhvd3tTjsqNDJxvVqs", "x5c": []string{certificate},
		}))
	}
	members = append(members, jwk(&rsaKeys()[0].PublicKey, with{"use": "enc", "kid": "enc", "x5c": []string{certificate}}))
	document := set(members...)
	hc := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		h := http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"max-age=86400"}, "Etag": {`"0123456789abcdef0123456789abcdef"`}}
		return &http.Response{StatusCode: http.StatusOK, Header: h, Body: io.NopCloser(strings.NewReader(document)), Request: r}, nil
	})}
	const n = 1000
	remotes := make([]*jwks.Remote, n)
	fill := func(i int) {
		r, err := jwks.NewRemote(jwks.RemoteConfig{URL: fmt.Sprintf("https://login.example.com/tenant-%04d/discovery/v2.0/keys", i), HTTPClient: hc})
		if err != nil || r.Ready(context.Background()) != nil {
			t.Fatal("no keys")
		}
		remotes[i] = r
	}
	fill(0) // what is there once for all
	goroutines, before := runtime.NumGoroutine(), heap()
	for i := range n {
		fill(i)
	}
	each := (int64(heap()) - int64(before)) / n
	t.Logf("%d bytes for each issuer", each)
	require.LessOrEqual(t, each, int64(2560))
	require.LessOrEqual(t, runtime.NumGoroutine(), goroutines)
	keys, err := remotes[n-1].Keys(t.Context(), jwks.Query{Algorithm: "RS256"})
	require.NoError(t, err)
	require.Len(t, keys, 3)
	runtime.KeepAlive(remotes)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// The address may have moved when a fetch failed, or when two in a row did not bring
// the key that was wanted.
func TestD07_LocateIsToldOfASuspicion(t *testing.T) {
	var suspicions []bool
	withOrigin(t, func(cfg *jwks.RemoteConfig) {
		suspicions = nil
		cfg.URL, cfg.Locate = "", func(_ context.Context, suspect bool) (string, error) {
			suspicions = append(suspicions, suspect)
			return issuer, nil
		}
	}, func(t *testing.T, o *origin, r *jwks.Remote) {
		next := func() bool { return suspicions[len(suspicions)-1] }
		require.NoError(t, r.Ready(t.Context()))
		require.False(t, next())
		renewNow(t, r) // which misses
		require.False(t, next())
		renewNow(t, r)
		require.False(t, next(), "one miss is no suspicion")
		renewNow(t, r)
		require.True(t, next(), "two in a row are")
		require.EqualValues(t, 3, r.Status().Misses)

		o.publish(jwkA, jwkB)
		time.Sleep(10 * time.Second)
		require.NoError(t, verify(t, r, signB(t)))
		require.True(t, next())
		renewNow(t, r)
		require.False(t, next(), "the last one brought its key")
		o.set(func(o *origin) { o.status = 404 })
		time.Sleep(10 * time.Second)
		requireUnavailable(t, verify(t, r, sign(t, "ES256", "unknown", ec1)))
		require.False(t, next())
		time.Sleep(10 * time.Second)
		requireUnavailable(t, verify(t, r, sign(t, "ES256", "unknown", ec1)))
		require.True(t, next(), "the fetch before failed")
	})
}

// That the set has not changed is a miss as well.
func TestD07_NotModifiedIsAMiss(t *testing.T) {
	var suspicions []bool
	withOrigin(t, func(cfg *jwks.RemoteConfig) {
		cfg.URL, cfg.Locate = "", func(_ context.Context, suspect bool) (string, error) {
			suspicions = append(suspicions, suspect)
			return issuer, nil
		}
	}, func(t *testing.T, o *origin, r *jwks.Remote) {
		o.set(func(o *origin) { o.etag = `"x"` })
		require.NoError(t, r.Ready(t.Context()))
		for range 3 {
			renewNow(t, r)
		}
		require.EqualValues(t, 3, r.Status().NotModified)
		require.Equal(t, []bool{false, false, false, true}, suspicions)
	})
}

// Hundreds who wait for one fetch in vain are one miss, and one who found his key
// makes it none.
func TestD07_AFetchIsOneMiss(t *testing.T) {
	withOrigin(t, asItIs, func(t *testing.T, o *origin, r *jwks.Remote) {
		require.NoError(t, r.Ready(t.Context()))
		o.set(func(o *origin) { o.delay = time.Second })
		for range 50 {
			go func() {
				_, _ = jwks.Verify(context.Background(), r, []string{"ES256"}, sign(t, "ES256", "unknown", ec1))
			}()
		}
		time.Sleep(2 * time.Second)
		require.EqualValues(t, 1, r.Status().Misses)
	})
}

// A token that meets a fetch which began before its key was published does not have
// to come again.
func TestK13_FetchUnderWayIsNotTheLastWord(t *testing.T) {
	withOrigin(t, asItIs, func(t *testing.T, o *origin, r *jwks.Remote) {
		require.NoError(t, r.Ready(t.Context()))
		time.Sleep(9 * time.Minute)
		o.set(func(o *origin) { o.delay = time.Second })
		require.NoError(t, verify(t, r, signA(t)))
		synctest.Wait() // a fetch in the background is under way, which will not bring the key
		time.AfterFunc(time.Second+time.Millisecond, func() { o.publish(jwkA, jwkB) })
		require.NoError(t, verify(t, r, signB(t)))
		require.Equal(t, 3, o.count())
	})
}

func TestStatus(t *testing.T) {
	withOrigin(t, asItIs, func(t *testing.T, o *origin, r *jwks.Remote) {
		require.Equal(t, jwks.Status{}, r.Status())
		o.set(func(o *origin) { o.status = 500 })
		began := time.Now()
		requireUnavailable(t, r.Ready(t.Context()))
		s := r.Status()
		require.Equal(t, began, s.LastAttempt)
		var e *fetch.Error
		require.ErrorAs(t, s.LastError, &e)
		require.EqualValues(t, 1, s.Fetches)
		require.EqualValues(t, 1, s.Failures)
		require.Zero(t, s.Keys)

		o.set(func(o *origin) { o.status = 0 })
		o.publish(jwkA, jwkC, `{"kty":"AKP","alg":"ML-DSA-44"}`, jwk(ec2, nil), `{"kty":"oct","k":"AAAA"}`, jwk(&ec2.PublicKey, with{"use": "enc"}), jwk(&ec2.PublicKey, with{"use": "enc"}), `{}`, `5`)
		time.Sleep(time.Second)
		began = time.Now()
		require.NoError(t, r.Ready(t.Context()))
		time.Sleep(time.Minute)
		requireNotFound(t, verify(t, r, sign(t, "ES256", "unknown", ec1)))
		requireNotFound(t, verify(t, r, sign(t, "ES256", "unknown", ec1)))
		renewed := time.Now()
		time.Sleep(time.Second)
		s = r.Status()
		require.Equal(t, jwks.Status{
			LastSuccess: renewed, Age: time.Second, LastAttempt: renewed, FreshUntil: renewed.Add(10 * time.Minute),
			Keys: 2, Skipped: map[jwks.KeyReason]int{jwks.KeyUnsupported: 2, jwks.KeyPrivate: 1, jwks.KeySymmetric: 1, jwks.KeyUse: 2, jwks.KeyMalformed: 1},
			Fetches: 3, Failures: 1, Misses: 1, Refusals: 1,
		}, s)
		require.NotEqual(t, began, renewed)

		o.set(func(o *origin) { o.status = 500 })
		time.Sleep(time.Hour)
		require.NoError(t, verify(t, r, signA(t)))
		s = r.Status()
		require.Equal(t, renewed, s.LastSuccess)
		require.Equal(t, time.Hour+time.Second, s.Age)
		require.Equal(t, time.Now(), s.LastAttempt)
		require.Error(t, s.LastError)
		require.Equal(t, 2, s.Keys)
	})
}

func TestTrace(t *testing.T) {
	var mu sync.Mutex
	var events []string
	var infos []jwks.FetchInfo
	var r *jwks.Remote
	note := func(event string) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, event)
	}
	withOrigin(t, func(cfg *jwks.RemoteConfig) {
		cfg.Trace = &jwks.Trace{
			FetchStart: func() { note("start"); _ = r.Status() },
			FetchDone: func(info jwks.FetchInfo) {
				note("done")
				infos = append(infos, info)
				require.Equal(t, info.Err, r.Status().LastError, "no lock is held, and it is in place")
				_, _ = r.Keys(context.Background(), jwks.Query{KeyID: "a", Algorithm: "ES256"})
			},
			Refused: func(refusal jwks.Refusal) { note(string(refusal.Reason)); _ = r.Status() },
		}
	}, func(t *testing.T, o *origin, remote *jwks.Remote) {
		r = remote
		o.set(func(o *origin) { o.delay, o.etag = time.Second, `"x"` })
		o.publish(jwkA, jwkC, `{}`)
		require.NoError(t, verify(t, r, signA(t)))
		synctest.Wait()
		requireNotFound(t, verify(t, r, sign(t, "ES256", "unknown", ec1))) // 304
		synctest.Wait()
		requireNotFound(t, verify(t, r, sign(t, "ES256", "unknown", ec1))) // too soon
		requireReason(t, verify(t, r, sign(t, "ES256", "a", ec2)), jwt.BadSigning)
		time.Sleep(9 * time.Second)
		o.set(func(o *origin) { o.etag = `"y"` })
		o.publish(jwkA, jwkB)
		require.NoError(t, verify(t, r, signB(t)))
		synctest.Wait()
		time.Sleep(10 * time.Second)
		o.set(func(o *origin) { o.status = 500 })
		requireUnavailable(t, verify(t, r, sign(t, "ES256", "unknown", ec1)))
		synctest.Wait()
		requireUnavailable(t, verify(t, r, sign(t, "ES256", "unknown", ec1)))

		require.Equal(t, []string{"start", "done", "start", "done", "cooldown", "cooldown", "start", "done", "start", "done", "cooldown"}, events)
		var failed *fetch.Error
		require.ErrorAs(t, infos[3].Err, &failed)
		infos[3].Err = nil
		require.Equal(t, []jwks.FetchInfo{
			{Duration: time.Second, Keys: 2, Added: 2, Skipped: 1},
			{Duration: time.Second, Keys: 2, Skipped: 1, NotModified: true},
			{Duration: time.Second, Keys: 2, Added: 1, Removed: 1},
			{Duration: time.Second},
		}, infos)
	})
}

func TestTrace_MayHaveNoFunctions(t *testing.T) {
	withOrigin(t, func(cfg *jwks.RemoteConfig) { cfg.Trace = &jwks.Trace{} }, func(t *testing.T, o *origin, r *jwks.Remote) {
		require.NoError(t, verify(t, r, signA(t)))
		renewNow(t, r)
		requireNotFound(t, verify(t, r, sign(t, "ES256", "unknown", ec1)))
	})
}

func TestK08_LoggerIsToldOfAnOutage(t *testing.T) {
	var log bytes.Buffer
	withOrigin(t, func(cfg *jwks.RemoteConfig) {
		log.Reset()
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	}, func(t *testing.T, o *origin, r *jwks.Remote) {
		require.NoError(t, r.Ready(t.Context()))
		require.Empty(t, log.String())
		o.set(func(o *origin) { o.status = 503 })
		for range 100 {
			time.Sleep(time.Minute)
			require.NoError(t, verify(t, r, signA(t)))
		}
		synctest.Wait()
		require.Equal(t, 1, strings.Count(log.String(), "level=WARN"))
		o.set(func(o *origin) { o.status = 0 })
		for range 3 {
			time.Sleep(time.Minute)
			require.NoError(t, verify(t, r, signA(t)))
		}
		synctest.Wait()
		require.Equal(t, 1, strings.Count(log.String(), "level=INFO"))
		require.Equal(t, 2, strings.Count(log.String(), "\n"))
	})
}

func TestK02_LoggerIsToldOncePerMember(t *testing.T) {
	var log bytes.Buffer
	withOrigin(t, func(cfg *jwks.RemoteConfig) {
		log.Reset()
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	}, func(t *testing.T, o *origin, r *jwks.Remote) {
		private := jwk(ec2, with{"kid": "leaked"})
		enc := jwk(&ec2.PublicKey, with{"use": "enc", "kid": "enc " + strings.Repeat("x", 1000)})
		o.publish(jwkA, private, enc)
		require.NoError(t, r.Ready(t.Context()))
		for range 5 {
			renewNow(t, r)
		}
		o.publish(enc, jwkA, private) // elsewhere in the set, it is the same
		renewNow(t, r)
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		require.Len(t, lines, 2)
		require.Contains(t, lines[0], "level=WARN")
		require.Contains(t, lines[0], "kid=leaked")
		require.Contains(t, lines[1], "level=INFO")
		require.Less(t, len(lines[1]), 400)
		require.NotContains(t, log.String(), b64(ec2.D.Bytes()))

		// Also what leaves no key at all.
		o.publish(`{"kty":"AKP","kid":"new"}`)
		time.Sleep(10 * time.Second)
		_, err := r.Keys(t.Context(), jwks.Query{KeyID: "nobody's", Algorithm: "ES512"})
		requireUnavailable(t, err)
		require.Contains(t, log.String(), "kid=new")
		o.publish(jwkA)
		renewNow(t, r)

		// A full set of them, again and again, is told once.
		log.Reset()
		many := []string{jwkA}
		for i := range 99 {
			many = append(many, fmt.Sprintf(`{"kty":"AKP","kid":"m%d"}`, i))
		}
		o.publish(many...)
		renewNow(t, r)
		renewNow(t, r)
		require.Equal(t, 99, strings.Count(log.String(), "\n"))
	})
}

// PublicOnly reaches the client that makes the requests, and errors of the
// configuration name the field.
func TestD03_PublicOnly(t *testing.T) {
	t.Parallel()
	_, err := jwks.NewRemote(jwks.RemoteConfig{URL: "https://127.0.0.1/jwks", PublicOnly: true})
	require.ErrorIs(t, err, fetch.ErrNotPublic)
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	r, err := jwks.NewRemote(jwks.RemoteConfig{
		Locate: func(context.Context, bool) (string, error) { return "http://localhost:" + port, nil }, PublicOnly: true,
	})
	require.NoError(t, err)
	err = r.Ready(t.Context())
	requireUnavailable(t, err)
	require.ErrorIs(t, err, fetch.ErrNotPublic)

	for field, cfg := range map[string]jwks.RemoteConfig{
		"Header":     {URL: issuer, Header: http.Header{"If-None-Match": {"x"}}},
		"HTTPClient": {URL: issuer, PublicOnly: true, HTTPClient: &http.Client{Transport: roundTripper(nil)}},
	} {
		_, err := jwks.NewRemote(cfg)
		require.Error(t, err)
		require.True(t, strings.HasPrefix(err.Error(), "jwks: RemoteConfig."+field), err)
	}
}

// The keys of the oldest callers are those of the newest: a set is not changed when
// another takes its place.
func TestAnswersAreNotChanged(t *testing.T) {
	withOrigin(t, asItIs, func(t *testing.T, o *origin, r *jwks.Remote) {
		q := jwks.Query{Algorithm: "ES256"}
		o.publish(jwkA, jwkB)
		before, err := r.Keys(t.Context(), q)
		require.NoError(t, err)
		copied := slices.Clone(before)
		o.publish(jwkB)
		renewNow(t, r)
		require.Equal(t, copied, before)
		after, err := r.Keys(t.Context(), q)
		require.NoError(t, err)
		require.Len(t, after, 1)
	})
}

// Keys of a set that has many issuers are for one of them each.
func TestJ14_KeysBelongToAnIssuer(t *testing.T) {
	t.Parallel()
	const entra = "https://login.microsoftonline.com/"
	for _, tt := range []struct {
		key, token string // issuers
		ok         bool
	}{
		{"", "", true}, {"", issuer, true}, {issuer, issuer, true},
		{issuer, "", false}, {issuer, issuer + "/", false}, {issuer, "https://OP.example", false}, {issuer, "https://evil.example", false},
		{entra + "{tenantid}/v2.0", entra + "9188040d/v2.0", true},
		{entra + "{tenantid}/v2.0", entra + "/v2.0", false}, {entra + "{tenantid}/v2.0", entra + "v2.0", false}, {entra + "{tenantid}/v2.0", entra + "a/b/v2.0", false},
		{entra + "{tenantid}/v2.0", entra + "a/v1.0", false}, {entra + "{tenantid}/v2.0", "https://evil.example/a/v2.0", false}, {entra + "{tenantid}/v2.0", "", false},
		{entra + "9188040d/v2.0", entra + "9188040d/v2.0", true}, {entra + "9188040d/v2.0", entra + "72f988bf/v2.0", false},
		{entra + "{tenantid}/", entra + "a/", true}, {"{tenantid}", "a", true}, {"{tenantid}", "", false}, {"ab{tenantid}ba", "aba", false},
		{entra + "{tenantid}/{tenantid}", entra + "a/b", false},
	} {
		k := jwk(&ec1.PublicKey, with{"kid": "a", "issuer": tt.key})
		parsed, err := jwks.ParseKey([]byte(k))
		require.NoError(t, err)
		require.Equal(t, tt.key, parsed.Issuer())
		keys, err := jwks.Static{parsed}.Keys(t.Context(), jwks.Query{KeyID: "a", Algorithm: "ES256", Issuer: tt.token})
		require.NoError(t, err)
		require.Equal(t, tt.ok, len(keys) == 1, "%s for %s", tt.key, tt.token)

		// The low-level entries take the token's word.
		raw := signClaims(t, "ES256", "a", ec1, fmt.Sprintf(`{"iss":%q}`, tt.token))
		_, err = jwks.Verify(t.Context(), jwks.Static{parsed}, []string{"ES256"}, raw)
		_, low := jwks.VerifyCompact([]byte(k), raw, "ES256")
		for _, err := range []error{err, low} {
			if tt.ok {
				require.NoError(t, err)
				continue
			}
			requireNotFound(t, err, "%s for %s", tt.key, tt.token)
		}
	}
	_, err := jwks.ParseKey([]byte(jwk(&ec1.PublicKey, with{"issuer": 5})))
	requireKeyReason(t, err, jwks.KeyMalformed)
	// A token without iss gets no such key.
	_, err = jwks.Verify(t.Context(), parseSet(t, jwk(&ec1.PublicKey, with{"issuer": issuer})), []string{"ES256"}, sign(t, "ES256", "", ec1))
	requireNotFound(t, err)
}

// Two issuers with the same kid each have their own key.
func TestJ14_RemotesShareNothing(t *testing.T) {
	t.Parallel()
	remote := func(key *ecdsa.PrivateKey) *jwks.Remote {
		s := &scripted{}
		s.publish(key)
		return must(jwks.NewRemote(jwks.RemoteConfig{URL: issuer, HTTPClient: &http.Client{Transport: s}}))
	}
	a, b := remote(ec1), remote(ec2)
	require.NoError(t, verify(t, a, sign(t, "ES256", "same", ec1)))
	requireReason(t, verify(t, b, sign(t, "ES256", "same", ec1)), jwt.BadSigning)
	require.NoError(t, verify(t, b, sign(t, "ES256", "same", ec2)))
	requireReason(t, verify(t, a, sign(t, "ES256", "same", ec2)), jwt.BadSigning)
}

func TestReadersAndRenewalsTogether(t *testing.T) {
	o := &origin{}
	o.publish(jwkA)
	r, err := jwks.NewRemote(jwks.RemoteConfig{URL: issuer, HTTPClient: &http.Client{Transport: o}, Cooldown: time.Microsecond, RefreshAfter: time.Microsecond, Trace: &jwks.Trace{FetchDone: func(jwks.FetchInfo) {}}})
	require.NoError(t, err)
	good, unknown := signA(t), sign(t, "ES256", "unknown", newEC(elliptic.P256()))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if _, err := jwks.Verify(context.Background(), r, []string{"ES256"}, good); err != nil {
					t.Error(err)
				}
				if _, err := jwks.Verify(context.Background(), r, []string{"ES256"}, unknown); !errors.Is(err, oidckit.ErrInvalidToken) {
					t.Error(err)
				}
				_, _ = r.Version(context.Background(), time.Now())
				_ = r.Status()
			}
		})
	}
	wg.Wait()
}
