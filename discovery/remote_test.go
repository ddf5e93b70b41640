package discovery_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

func TestConfigIsObeyed(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	const plain = "http://op.example"
	s := newSite(map[string]page{plain + openID: {err: down}})
	now := time.Unix(1e9, 0)
	r := remote(t, discovery.Config{
		Issuer: plain, HTTPClient: s.client(), InsecureHTTP: true, Header: http.Header{"X-Extra": {"1"}}, Now: func() time.Time { return now },
	})
	for range 3 {
		_, err := r.Metadata(t.Context())
		requireUnavailable(t, err)
		require.ErrorIs(t, err, down)
	}
	require.Len(t, s.requests(), 1)
	require.Equal(t, "1", s.headers[0].Get("X-Extra"))
	now = now.Add(time.Second)
	_, err := r.Metadata(t.Context())
	requireUnavailable(t, err)
	require.Len(t, s.requests(), 1)
}

func TestNewChecksHowRequestsTravel(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]discovery.Config{
		"header":            {Header: http.Header{"Content-Length": {"1"}}},
		"header's value":    {Header: http.Header{"X": {"SECRET\n"}}},
		"own dialling":      {PublicOnly: true, HTTPClient: newSite(nil).client()},
		"private document":  {PublicOnly: true, DiscoveryURL: "https://10.0.0.1/x"},
		"private override":  {PublicOnly: true, Override: discovery.Metadata{TokenEndpoint: "https://10.0.0.1/x"}},
		"private rewriting": {PublicOnly: true, Rewrite: map[string]string{issuer: "https://10.0.0.1"}},
	} {
		cfg.Issuer = issuer
		_, err := discovery.New(cfg)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "SECRET")
	}
}

// A secret in a header is not printed with the source that has it.
func TestPrintedSourcesHoldNoSecret(t *testing.T) {
	t.Parallel()
	header := http.Header{"Authorization": {"Bearer SECRET"}}
	r := remote(t, discovery.Config{Issuer: issuer, Header: header})
	c, err := discovery.NewCache(discovery.CacheConfig{Allow: func(string) bool { return true }, Template: discovery.Config{Header: header}})
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d"} {
		require.NotContains(t, fmt.Sprintf(verb+verb, r, c), "SECRET")
		cfg := discovery.Config{Issuer: issuer, Header: header}
		require.NotContains(t, fmt.Sprintf(verb+verb, cfg, discovery.CacheConfig{Template: cfg}), "SECRET")
	}
}

var special = []string{
	"127.0.0.1", "localhost", "a.localhost", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "255.255.255.255",
	"[::1]", "[::]", "[fd00::1]", "[fe80::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "2130706433", "0x7f.1", "0177.0.0.1",
}

func TestD03_AddressesOfUntrustedTenants(t *testing.T) {
	t.Parallel()
	c, err := discovery.NewCache(discovery.CacheConfig{Allow: func(string) bool { return true }})
	require.NoError(t, err)
	insecure, err := discovery.NewCache(discovery.CacheConfig{Allow: func(string) bool { return true }, InsecurePrivateAddresses: true, Template: discovery.Config{HTTPClient: newSite(nil).client()}})
	require.NoError(t, err)
	cfg := discovery.Config{Issuer: issuer, PublicOnly: true}
	_, err = discovery.Adopt(cfg, document(everywhere("https://other.example")), issuer+openID)
	require.NoError(t, err)
	for _, host := range special {
		// As an issuer: it is refused before anything is asked, DNS included.
		_, err := discovery.New(discovery.Config{Issuer: "https://" + host, PublicOnly: true})
		require.ErrorIs(t, err, fetch.ErrNotPublic, host)
		_, err = c.Metadata(t.Context(), "https://"+host)
		var e *discovery.IssuerNotAllowedError
		require.ErrorAs(t, err, &e, host)
		require.ErrorIs(t, err, fetch.ErrNotPublic, host)
		_, err = insecure.Metadata(t.Context(), "https://"+host)
		requireUnavailable(t, err, host)

		// In a document, whichever endpoint it is.
		for name := range everywhere("") {
			if name == "mtls_endpoint_aliases" {
				continue
			}
			_, err = discovery.Adopt(cfg, document(map[string]any{name: "https://" + host + "/x"}), issuer+openID)
			require.ErrorIs(t, err, fetch.ErrNotPublic, "%s %s", name, host)
		}
		_, err = discovery.Adopt(cfg, document(map[string]any{"mtls_endpoint_aliases": map[string]any{"token_endpoint": "https://" + host}}), issuer+openID)
		require.ErrorIs(t, err, fetch.ErrNotPublic, host)
	}
}

// What a provider may not become while the program runs. The last good metadata
// serve, and Status tells.
func TestD07_DriftIsRefused(t *testing.T) {
	t.Parallel()
	for name, worse := range map[string]string{
		"other issuer":    document(map[string]any{"issuer": "https://evil.example"}),
		"issuer's slash":  document(map[string]any{"issuer": issuer + "/"}),
		"no issuer":       document(map[string]any{"issuer": nil}),
		"plain http":      document(map[string]any{"jwks_uri": "http://op.example/jwks"}),
		"loopback":        document(map[string]any{"token_endpoint": "http://127.0.0.1/token"}),
		"script":          document(map[string]any{"authorization_endpoint": "javascript:alert(1)"}),
		"user info":       document(map[string]any{"end_session_endpoint": "https://a@op.example"}),
		"alias":           document(map[string]any{"mtls_endpoint_aliases": map[string]any{"token_endpoint": "http://op.example"}}),
		"duplicate":       `{"issuer":"` + issuer + `","issuer":"` + issuer + `"}`,
		"nothing":         "",
		"nowhere":         document(map[string]any{"jwks_uri": nil}),
		"no tokens":       document(map[string]any{"token_endpoint": nil}),
		"no logins":       document(map[string]any{"authorization_endpoint": nil}),
		"another case":    document(map[string]any{"jwks_uri": nil, "JWKS_URI": issuer + "/jwks"}),
		"a demand broken": document(map[string]any{"authorization_response_iss_parameter_supported": "no"}),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, p *oidctest.Provider, r *discovery.Remote) {
				first, err := r.Metadata(t.Context())
				require.NoError(t, err)
				p.SetFault(oidctest.Discovery, oidctest.Fault{Body: worse, Empty: worse == ""})
				m, err := r.Renew(t.Context())
				require.NoError(t, err)
				require.Same(t, first, m)
				require.Equal(t, 2, p.Requests(oidctest.Discovery))
				require.Error(t, r.Status().Err)
				require.Equal(t, 1, r.Status().Failures)
				require.NoError(t, r.Ready(t.Context()))

				p.SetFault(oidctest.Discovery, oidctest.Fault{})
				time.Sleep(time.Minute)
				m, err = r.Renew(t.Context())
				require.NoError(t, err)
				require.NotSame(t, first, m)
				require.NoError(t, r.Status().Err)
			})
		})
	}
}

// A jwks_uri that moved is found on the day after by itself, and at once by who
// asks because keys do not fit.
func TestD07_AMovedJWKSURIHeals(t *testing.T) {
	inBubble(t, func(t *testing.T, p *oidctest.Provider, r *discovery.Remote) {
		_, err := r.Metadata(t.Context())
		require.NoError(t, err)
		for i, wait := range []time.Duration{0, 24 * time.Hour} {
			moved := fmt.Sprintf("%s/jwks%d", issuer, i)
			p.SetFault(oidctest.Discovery, oidctest.Fault{Body: document(map[string]any{"jwks_uri": moved})})
			time.Sleep(wait)
			ask := r.Metadata
			if wait == 0 {
				ask = r.Renew
			}
			_, err := ask(t.Context())
			require.NoError(t, err)
			synctest.Wait()
			m, err := r.Metadata(t.Context())
			require.NoError(t, err)
			require.Equal(t, moved, m.JWKSURI)
		}
	})
}

func TestRenewHasABudget(t *testing.T) {
	inBubble(t, func(t *testing.T, p *oidctest.Provider, r *discovery.Remote) {
		_, err := r.Renew(t.Context()) // before there is anything
		require.NoError(t, err)
		require.Equal(t, 1, p.Requests(oidctest.Discovery))
		for minute := range 10 {
			var wg sync.WaitGroup
			for range 100 {
				wg.Go(func() {
					m, err := r.Renew(t.Context())
					if err != nil || m == nil {
						t.Error("the last good metadata serve", err)
					}
				})
			}
			wg.Wait()
			require.Equal(t, minute+1, p.Requests(oidctest.Discovery))
			time.Sleep(time.Minute)
		}
	})
}

func TestCooldownIsObeyed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(map[string]page{issuer + openID: of(issuer, nil)})
		r := remote(t, discovery.Config{Issuer: issuer, HTTPClient: s.client(), Cooldown: time.Hour, RefreshAfter: 1000 * time.Hour})
		for range 20 {
			_, err := r.Renew(t.Context())
			require.NoError(t, err)
			time.Sleep(10 * time.Minute)
		}
		require.Len(t, s.requests(), 4)
		require.Equal(t, 1000*time.Hour, r.Status().FreshUntil.Sub(r.Status().LastSuccess))
	})
}

// Who does not wait for a newer document gets no older one either; nor does it
// end the wait of others.
func TestRenewOfACancelledCaller(t *testing.T) {
	inBubble(t, func(t *testing.T, p *oidctest.Provider, r *discovery.Remote) {
		first, err := r.Metadata(t.Context())
		require.NoError(t, err)
		p.SetFault(oidctest.Discovery, oidctest.Fault{Delay: time.Second})
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		m, err := r.Renew(ctx)
		require.Nil(t, m)
		requireUnavailable(t, err)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		m, err = r.Renew(t.Context()) // joins the same fetch
		require.NoError(t, err)
		require.NotSame(t, first, m)
		require.Equal(t, 2, p.Requests(oidctest.Discovery))
	})
}

// A program that starts before its provider is not ready, and heals by itself.
func TestD08_ItStartsWithoutItsProvider(t *testing.T) {
	inBubble(t, func(t *testing.T, p *oidctest.Provider, r *discovery.Remote) {
		require.Equal(t, discovery.Status{Issuer: issuer}, r.Status(), "a constructor does no I/O")
		p.SetFault(oidctest.Discovery, oidctest.Fault{Status: 503})
		began := time.Now()
		for range 600 { // a probe each second
			e := requireUnavailable(t, r.Ready(t.Context()))
			require.LessOrEqual(t, e.RetryAfter, time.Minute)
			time.Sleep(time.Second)
		}
		require.Less(t, p.Requests(oidctest.Discovery), 25)
		s := r.Status()
		require.Equal(t, p.Requests(oidctest.Discovery), s.Attempts)
		require.Equal(t, s.Attempts, s.Failures)
		require.Error(t, s.Err)
		require.Zero(t, s.LastSuccess)
		require.Zero(t, s.FreshUntil)
		require.Empty(t, s.URL)
		require.True(t, s.LastAttempt.After(began))

		p.SetFault(oidctest.Discovery, oidctest.Fault{})
		time.Sleep(time.Minute)
		require.NoError(t, r.Ready(t.Context()))
		require.Equal(t, discovery.Status{
			Issuer: issuer, URL: issuer + openID, LastSuccess: time.Now(), LastAttempt: time.Now(), FreshUntil: time.Now().Add(24 * time.Hour), Attempts: s.Attempts + 1,
		}, r.Status())
	})
}

// A provider that says when it wants to be asked again is obeyed, up to a minute.
func TestD08_RetryAfterOfTheProvider(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(map[string]page{issuer + openID: {status: 429, header: http.Header{"Retry-After": {"30"}}}})
		_, err := remote(t, discovery.Config{Issuer: issuer, HTTPClient: s.client()}).Metadata(t.Context())
		require.Equal(t, 30*time.Second, requireUnavailable(t, err).RetryAfter)
	})
}

// A flapping provider: what was read once serves through every outage.
func TestD08_Flapping(t *testing.T) {
	inBubble(t, func(t *testing.T, p *oidctest.Provider, r *discovery.Remote) {
		_, err := r.Metadata(t.Context())
		require.NoError(t, err)
		for i := range 200 {
			fault := oidctest.Fault{}
			if i%2 == 0 {
				fault.Status = 500
			}
			p.SetFault(oidctest.Discovery, fault)
			time.Sleep(7 * time.Hour)
			m, err := r.Metadata(t.Context())
			require.NoError(t, err)
			require.Equal(t, issuer, m.Issuer)
		}
	})
}

// Errors, Status and the log say what happened and repeat nothing of the answer.
func TestD09_AnswersAreNotRepeated(t *testing.T) {
	t.Parallel()
	const marker = "MARKER"
	for name, bad := range map[string]page{
		"status":       {status: 500, body: marker, header: http.Header{"X-Marker": {marker}}},
		"header":       {status: 418, header: http.Header{"Www-Authenticate": {marker}}},
		"missing":      {status: 404, body: marker},
		"redirect":     {status: 302, header: http.Header{"Location": {"https://marker.example/" + marker}}},
		"media type":   {body: marker, header: http.Header{"Content-Type": {"text/" + marker}}},
		"syntax":       {body: marker},
		"issuer":       of("https://evil.example/"+marker, nil),
		"endpoint":     of(issuer, map[string]any{"jwks_uri": "http://evil.example/" + marker}),
		"type":         of(issuer, map[string]any{"jwks_uri": []string{marker}}),
		"member":       {body: `{"issuer":"` + issuer + `","` + marker + `":1,"` + marker + `":1}`},
		"bad loopback": of(issuer, map[string]any{"jwks_uri": "http://127.0.0.1/" + marker}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				s := newSite(map[string]page{issuer + openID: bad})
				r := remote(t, discovery.Config{Issuer: issuer, HTTPClient: s.client(), Logger: slog.New(slog.NewTextHandler(&log, nil))})
				_, err := r.Metadata(t.Context())
				requireUnavailable(t, err)
				require.NotContains(t, err.Error(), marker)
				require.NotContains(t, err.Error(), "evil")
				require.Empty(t, log.String(), "the caller has the error")

				s.set(issuer+openID, of(issuer, nil))
				time.Sleep(time.Second)
				require.NoError(t, r.Ready(t.Context()))
				s.set(issuer+openID, bad)
				_, err = r.Renew(t.Context())
				require.NoError(t, err)
				require.NotContains(t, r.Status().Err.Error(), marker)
				require.Contains(t, log.String(), "level=WARN")
				require.Contains(t, log.String(), issuer)
				require.NotContains(t, log.String(), marker)
				require.NotContains(t, log.String(), "evil")
			})
		})
	}
}

func TestErrorsAnswer(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	require.ErrorIs(t, &discovery.NotFoundError{Err: cause}, cause)
	e := &discovery.IssuerNotAllowedError{Issuer: "https://evil.example", Err: cause}
	require.ErrorIs(t, e, cause)
	require.ErrorIs(t, e, oidckit.ErrInvalidToken)
	require.NotErrorIs(t, e, oidckit.ErrUnavailable)
	require.NotContains(t, e.Error(), "evil")
}
