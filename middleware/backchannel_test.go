package middleware_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// tell sends a logout token as the provider does.
func (s *site) tell(t *testing.T, token string) *httptest.ResponseRecorder {
	t.Helper()
	return s.tellForm(t, url.Values{"logout_token": {token}}.Encode())
}

func (s *site) tellForm(t *testing.T, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	return s.tellAt(t, http.MethodPost, "/logout/backchannel", body, headers...)
}

func (s *site) tellAt(t *testing.T, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

// requireNotLoggedOut checks the answer to a logout that came to nothing.
func requireNotLoggedOut(t *testing.T, code string, w *httptest.ResponseRecorder) {
	t.Helper()
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	require.JSONEq(t, `{"error":"`+code+`"}`, w.Body.String())
}

func requireLoggedOut(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	require.Empty(t, w.Body.String())
}

// withSID gives each login of a provider the "sid" that next names.
func withSID(p *oidctest.Provider, next *string) {
	p.OnIDToken(func(_, c map[string]any) {
		if *next != "" {
			c["sid"] = *next
		}
	})
}

// Needs 35, F23: whose sessions a token names have ended, and no other, wherever they are kept.
func TestNeeds35_BackChannelLogout(t *testing.T) {
	t.Parallel()
	for name, configure := range map[string]func(*middleware.LoginConfig){
		"in cookies":     func(*middleware.LoginConfig) {},
		"in the store":   func(c *middleware.LoginConfig) { c.Store = middleware.NewMemoryStore(100) },
		"in both, a bit": func(c *middleware.LoginConfig) { c.Store, c.SealedCookies = middleware.NewMemoryStore(100), true },
	} {
		for _, tt := range []struct {
			name           string
			username, sid  string
			alice1, alice2 bool // still logged in
		}{
			{"sid alone", "", "one", false, true},
			{"sub alone", "alice", "", false, false},
			{"both", "alice", "one", false, true},
			{"sid of nobody", "", "nobody", true, true},
			{"sub and sid of nobody", "alice", "nobody", true, true},
			{"sid of somebody else", "bob", "one", true, true},
		} {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				s := newSite(t, configure)
				var sid string
				withSID(s.provider, &sid)
				alice1, alice2, bob := s.browser(t), s.browser(t), s.browser(t)
				for next, b := range map[string]*browser{"one": alice1, "two": alice2} {
					sid = next
					b.logIn("alice")
				}
				sid = "three"
				bob.logIn("bob")
				s.provider.Advance(time.Second)

				requireLoggedOut(t, s.tell(t, s.provider.LogoutToken(t.Context(), oidctest.ClientID, tt.username, tt.sid)))
				require.Equal(t, tt.alice1, alice1.who() == aliceSubject)
				require.Equal(t, tt.alice2, alice2.who() == aliceSubject)
				require.Equal(t, bobSubject, bob.who())

				// They log in again, as the provider lets them.
				s.provider.Advance(time.Second)
				sid = "four"
				alice1.logIn("alice")
				require.Equal(t, aliceSubject, alice1.who())
				require.Contains(t, s.logged(), string(middleware.BackChannelLogout))
			})
		}
	}
}

// A client whose ID tokens are signed with its secret gets such logout tokens (OpenID Connect
// Back-Channel Logout 1.0 section 2.4), and takes no others.
func TestNeeds35_BackChannelLogoutByTheSecret(t *testing.T) {
	t.Parallel()
	const secret = "a secret of thirty-two bytes or more"
	p := oidctest.Start(t, fastKeys, stoppedClock, func(c *oidctest.Config) {
		c.Clients[0].Secret, c.Clients[0].IDTokenAlgorithm = secret, "HS256"
	})
	s := newSiteAt(t, p, func(c *middleware.LoginConfig) {
		var err error
		c.Client, err = oidc.NewClient(c.Client.Provider(), oidc.ClientConfig{
			ClientID: oidctest.ClientID, ClientSecret: secret, IDTokenAlgorithms: []string{"HS256"},
		})
		require.NoError(t, err)
	})
	alice := s.browser(t)
	alice.logIn("alice")
	p.Advance(time.Second)
	requireNotLoggedOut(t, "invalid_request", s.tell(t, p.Sign(map[string]any{"typ": "logout+jwt"}, map[string]any{
		"iss": p.Issuer(), "aud": oidctest.ClientID, "sub": aliceSubject, "jti": "1", "iat": p.Now().Unix(), "exp": p.Now().Unix() + 60,
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	})))
	require.Equal(t, aliceSubject, alice.who())
	requireLoggedOut(t, s.tell(t, p.LogoutToken(t.Context(), oidctest.ClientID, "alice", "")))
	require.NotEqual(t, aliceSubject, alice.who())
}

func TestF23_LogoutTokensThatAreNone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	sid := "one"
	withSID(s.provider, &sid)
	b := s.browser(t)
	b.logIn("alice")
	for name, bend := range map[string]func(header, claims map[string]any){
		"alg none":          func(h, _ map[string]any) { h["alg"] = "none" },
		"typ":               func(h, _ map[string]any) { h["typ"] = "at+jwt" },
		"kid":               func(h, _ map[string]any) { h["kid"] = "nobody" },
		"iss":               func(_, c map[string]any) { c["iss"] = "https://evil.example" },
		"aud":               func(_, c map[string]any) { c["aud"] = "other" },
		"no events":         func(_, c map[string]any) { delete(c, "events") },
		"another event":     func(_, c map[string]any) { c["events"] = map[string]any{"x": map[string]any{}} },
		"an event of null":  func(_, c map[string]any) { c["events"] = map[string]any{logoutEvent: nil} },
		"nonce":             func(_, c map[string]any) { c["nonce"] = "n" },
		"neither sub, sid":  func(_, c map[string]any) { delete(c, "sub"); delete(c, "sid") },
		"expired":           func(_, c map[string]any) { c["exp"] = s.provider.Now().Add(-2 * time.Minute).Unix() },
		"old":               func(_, c map[string]any) { c["iat"] = s.provider.Now().Add(-time.Hour).Unix() },
		"no jti":            func(_, c map[string]any) { delete(c, "jti") },
		"of the time after": func(_, c map[string]any) { c["iat"] = s.provider.Now().Add(time.Hour).Unix() },
	} {
		s.provider.OnLogoutToken(bend)
		requireNotLoggedOut(t, "invalid_request", s.tell(t, s.provider.LogoutToken(t.Context(), oidctest.ClientID, "alice", "one")))
		require.Equal(t, aliceSubject, b.who(), name)
	}
	s.provider.OnLogoutToken(func(_, _ map[string]any) {})
	good := s.provider.LogoutToken(t.Context(), oidctest.ClientID, "alice", "one")
	requireNotLoggedOut(t, "invalid_request", s.tell(t, good[:len(good)-8]+"AAAAAAAA"))
	requireNotLoggedOut(t, "invalid_request", s.tell(t, idToken(t, s.provider)))
	requireNotLoggedOut(t, "invalid_request", s.tell(t, "x"))
	require.Equal(t, aliceSubject, b.who())
	require.Contains(t, s.logged(), string(middleware.LogoutRefused))
	require.NotContains(t, s.logged(), "eyJ")
	requireLoggedOut(t, s.tell(t, good))
	require.Equal(t, "nobody", b.who())
}

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// F23: a form with one token, in the body of a POST.
func TestF23_LogoutRequestsThatAreNone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	b.logIn("alice")
	token := s.provider.LogoutToken(t.Context(), oidctest.ClientID, "alice", "")
	form := "logout_token=" + token
	const path = "/logout/backchannel"
	for name, w := range map[string]*httptest.ResponseRecorder{
		"empty":              s.tellForm(t, ""),
		"no token":           s.tellForm(t, "token="+token),
		"an empty token":     s.tellForm(t, "logout_token="),
		"two tokens":         s.tellForm(t, form+"&"+form),
		"two, one empty":     s.tellForm(t, form+"&logout_token="),
		"in the query":       s.tellAt(t, "POST", path+"?"+form, ""),
		"broken":             s.tellForm(t, form+"&x=%zz"),
		"semicolon":          s.tellForm(t, form+";x=y"),
		"JSON":               s.tellForm(t, `{"logout_token":"`+token+`"}`, "Content-Type", "application/json"),
		"the token as it is": s.tellForm(t, token, "Content-Type", "application/logout+jwt"),
		"another type":       s.tellForm(t, form, "Content-Type", "text/plain"),
		"no type":            s.tellForm(t, form, "Content-Type", ""),
		"multipart":          s.tellForm(t, form, "Content-Type", "multipart/form-data; boundary=x"),
		"too long":           s.tellForm(t, form+"&x="+strings.Repeat("x", 64<<10-len(form)-2)),
	} {
		t.Log(name)
		requireNotLoggedOut(t, "invalid_request", w)
	}
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS"} {
		w := s.tellAt(t, method, path+"?"+form, form)
		require.Equal(t, http.StatusMethodNotAllowed, w.Code)
		require.Equal(t, "POST", w.Header().Get("Allow"))
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	}
	require.Equal(t, aliceSubject, b.who())
	requireLoggedOut(t, s.tellForm(t, form+"&x="+strings.Repeat("x", 64<<10-len(form)-3)+"", "Content-Type", "application/x-www-form-urlencoded; charset=utf-8"))
	require.Equal(t, "nobody", b.who())
}

// A token counts once, on all processes, and what it ended stays ended.
func TestF23_ReplayedLogoutToken(t *testing.T) {
	t.Parallel()
	store := middleware.NewMemoryStore(100)
	s := newSite(t, in(store))
	second := newSiteAt(t, s.provider, in(store), func(c *middleware.LoginConfig) { c.PublicURL = s.url.String() })
	b := s.browser(t)
	b.logIn("alice")
	token := s.provider.LogoutToken(t.Context(), oidctest.ClientID, "alice", "")
	requireLoggedOut(t, s.tell(t, token))
	s.provider.Advance(time.Minute)
	b.logIn("alice")
	for _, process := range []*site{s, second} {
		requireNotLoggedOut(t, "invalid_request", process.tell(t, token))
	}
	require.Equal(t, aliceSubject, b.who(), "whoever has the token cannot log her out again")
}

// A log tells which token it was, and that it came again; of one that is none it tells nothing.
func TestF23_StepsOfOneLogoutTokenHaveOneFlow(t *testing.T) {
	t.Parallel()
	var told steps
	s := newSite(t, told.trace)
	first := s.provider.LogoutToken(t.Context(), oidctest.ClientID, "alice", "")
	requireLoggedOut(t, s.tell(t, first))
	flow := told.last(t).Flow
	require.NotEmpty(t, flow)
	requireNotLoggedOut(t, "invalid_request", s.tell(t, first))
	require.Equal(t, middleware.LogoutRefused, told.last(t).Kind)
	require.Equal(t, flow, told.last(t).Flow)
	requireLoggedOut(t, s.tell(t, s.provider.LogoutToken(t.Context(), oidctest.ClientID, "alice", "")))
	require.NotEqual(t, flow, told.last(t).Flow)
	require.NotEmpty(t, told.last(t).Flow)
	requireNotLoggedOut(t, "invalid_request", s.tell(t, first[:len(first)-8]+"AAAAAAAA"))
	require.Empty(t, told.last(t).Flow)
}

// F24: the provider may have ended its session before the browser comes back with the code.
func TestF24_LogoutBeforeTheSession(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	sid := "one"
	withSID(s.provider, &sid)
	b := s.browser(t)
	callback := b.begin("alice", "")
	requireLoggedOut(t, s.tell(t, s.provider.LogoutToken(t.Context(), oidctest.ClientID, "", "one")))
	s.provider.Advance(time.Minute)
	res := b.get(callback)
	require.GreaterOrEqual(t, res.StatusCode, 400)
	require.Equal(t, "nobody", b.who())
	sid = "two"
	b.logIn("alice")
	require.Equal(t, aliceSubject, b.who())
}

// F23: what could not be done is told apart from what is wrong, and the same token does it later.
func TestF23_LogoutThatFailsMayBeAskedForAgain(t *testing.T) {
	t.Parallel()
	store := newShakyStore()
	s := newSite(t, in(store))
	b := s.browser(t)
	b.logIn("alice")
	token := s.provider.LogoutToken(t.Context(), oidctest.ClientID, "alice", "")
	store.down.Store(true)
	w := s.tell(t, token)
	requireNotLoggedOut(t, "temporarily_unavailable", w)
	require.NotEmpty(t, w.Header().Get("Retry-After"))
	store.down.Store(false)
	s.provider.Advance(10 * time.Second)
	require.Equal(t, aliceSubject, b.who())
	requireLoggedOut(t, s.tell(t, token))
	require.Equal(t, "nobody", b.who())
}

// F23: whichever write fails, a token is used up only by what it has done.
func TestF23_LogoutThatFailsHalfway(t *testing.T) {
	t.Parallel()
	for which := range int32(2) {
		store := &stumblingStore{Store: middleware.NewMemoryStore(100)}
		s := newSite(t, in(store))
		b := s.browser(t)
		b.logIn("alice")
		token := s.provider.LogoutToken(t.Context(), oidctest.ClientID, "alice", "")
		store.fails.Store(which + 1)
		if w := s.tell(t, token); w.Code != http.StatusOK {
			requireNotLoggedOut(t, "temporarily_unavailable", w)
			s.provider.Advance(10 * time.Second)
			requireLoggedOut(t, s.tell(t, token))
		}
		require.LessOrEqual(t, store.fails.Load(), int32(0), "it was told to fail")
		s.provider.Advance(10 * time.Second)
		require.Equal(t, "nobody", b.who())
	}
}

// A stumblingStore fails to keep something once: that many writes from now.
type stumblingStore struct {
	middleware.Store
	fails atomic.Int32
}

func (s *stumblingStore) Commit(token string, b []byte, expiry time.Time) error {
	if s.fails.Add(-1) == 0 {
		return errShaky
	}
	return s.Store.Commit(token, b, expiry)
}

func (s *stumblingStore) Lock(ctx context.Context, token string, ttl time.Duration) (func(), error) {
	return s.Store.(*middleware.MemoryStore).Lock(ctx, token, ttl)
}

// A logout that comes late ends what was there when it was sent, and no login since.
func TestF23_LateLogoutEndsNoLoginSince(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	early, late := s.browser(t), s.browser(t)
	early.logIn("alice")
	token := s.provider.LogoutToken(t.Context(), oidctest.ClientID, "alice", "")
	s.provider.Advance(time.Minute)
	late.logIn("alice")
	requireLoggedOut(t, s.tell(t, token))
	require.Equal(t, "nobody", early.who())
	require.Equal(t, aliceSubject, late.who())
}

// The provider's keys are needed to judge a token: without them it is not called invalid.
func TestF23_LogoutTokensWithoutKeys(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.provider.SetFault(oidctest.JWKS, oidctest.Fault{Status: 503})
	token := s.provider.LogoutToken(t.Context(), oidctest.ClientID, "alice", "")
	w := s.tell(t, token)
	requireNotLoggedOut(t, "temporarily_unavailable", w)
	require.NotEmpty(t, w.Header().Get("Retry-After"))
	s.provider.SetFault(oidctest.JWKS, oidctest.Fault{})
	s.provider.Advance(30 * time.Second)
	requireLoggedOut(t, s.tell(t, token))
}

// A provider that hangs up has ended its session all the same.
func TestF23_ProviderThatHangsUp(t *testing.T) {
	t.Parallel()
	s := newSite(t, in(newShakyStore())) // whose calls end with their context
	b := s.browser(t)
	b.logIn("alice")
	requireLoggedOut(t, s.tell(t, s.provider.LogoutToken(t.Context(), oidctest.ClientID, "bob", ""))) // the keys are there now
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	form := url.Values{"logout_token": {s.provider.LogoutToken(t.Context(), oidctest.ClientID, "alice", "")}}
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/logout/backchannel", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	s.handler.ServeHTTP(httptest.NewRecorder(), r)
	require.Equal(t, "nobody", b.who())
}

// F23: each provider has a path of its own, where tokens of others are none.
func TestF23_BackChannelOfSeveralProviders(t *testing.T) {
	t.Parallel()
	s, second := newSiteOfTwo(t)
	b := s.browser(t)
	b.logInAt(second, "alice")
	tell := func(p *oidctest.Provider, id string) *httptest.ResponseRecorder {
		token := p.LogoutToken(t.Context(), oidctest.ClientID, "alice", "")
		return s.tellAt(t, http.MethodPost, "/logout/backchannel/"+id, "logout_token="+token)
	}
	requireNotLoggedOut(t, "invalid_request", tell(second, "one"))
	requireLoggedOut(t, tell(s.provider, "one")) // who has the same subject elsewhere
	require.Equal(t, aliceSubject, b.who())
	requireLoggedOut(t, tell(second, "two"))
	require.Equal(t, "nobody", b.who())
}

// Needs 36: a program ends the sessions of somebody who is to be here no more.
func TestNeeds36_Revoke(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b, bob := s.browser(t), s.browser(t)
	b.logIn("alice")
	bob.logIn("bob")
	require.NoError(t, s.login.Revoke(t.Context(), middleware.Revocation{Issuer: s.provider.Issuer(), Subject: aliceSubject}))
	require.Equal(t, "nobody", b.who())
	require.Equal(t, bobSubject, bob.who())
	requireRedirect(t, "/login?return_to=%2Fprivate%2F", b.get("/private/", navigate...))
}
