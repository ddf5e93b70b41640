package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/gorilla/securecookie"

	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// RequireLogin is a request of a logged-in browser to a handler that does nothing.
const RequireLogin = "RequireLogin"

// What keeps the session of a request.
const (
	OursSealed   = "oidckit, sealed cookies"
	OursStore    = "oidckit, MemoryStore"
	SCS          = "scs, memstore"
	SecureCookie = "securecookie"
)

// SessionPeers are all of them, in the order of the table.
func SessionPeers() []string { return []string{OursSealed, OursStore, SCS, SecureCookie} }

// Sessions returns the group of RequireLogin. The peers get as many bytes as our session
// seals, which has the tokens that a Keycloak gives out.
func Sessions(ctx context.Context) (Group, error) {
	sealed, cookies, err := loggedIn(ctx, nil)
	if err != nil {
		return nil, err
	}
	stored, id, err := loggedIn(ctx, middleware.NewMemoryStore(100))
	if err != nil {
		return nil, err
	}
	payload := make([]byte, sealedBytes(cookies))
	_, _ = rand.Read(payload) // never fails: crypto/rand ends the program instead
	ops := map[string]func() (func() error, error){
		OursSealed:   func() (func() error, error) { return visit(ctx, sealed, cookies), nil },
		OursStore:    func() (func() error, error) { return visit(ctx, stored, id), nil },
		SCS:          func() (func() error, error) { return visitSCS(ctx, payload) },
		SecureCookie: func() (func() error, error) { return visitSecureCookie(ctx, payload) },
	}
	var g Group
	for _, peer := range SessionPeers() {
		g = append(g, Case{What: RequireLogin, Size: fmt.Sprintf("%.1f KB", float64(len(payload))/1000), Peer: peer, newOp: ops[peer]})
	}
	return g, nil
}

// sealedBytes is about how many bytes are sealed in the cookies, by base64.
func sealedBytes(cookies []*http.Cookie) (n int) {
	for _, c := range cookies {
		n += len(c.Value) * 3 / 4
	}
	return n
}

// A noter is a handler that is reached, and does no more.
type noter struct{ reached bool }

func (n *noter) ServeHTTP(http.ResponseWriter, *http.Request) { n.reached = true }

// A site is an application whose handler is behind a login.
type site struct {
	http.Handler

	inner *noter
}

const siteURL = "https://app.example.com"

// loggedIn returns an application and the cookies of a browser that has logged in there.
func loggedIn(ctx context.Context, store middleware.Store) (*site, []*http.Cookie, error) {
	provider, err := keycloakLike()
	if err != nil {
		return nil, nil, err
	}
	s := &site{inner: &noter{}}
	login, err := newLogin(provider, store)
	if err != nil {
		return nil, nil, err
	}
	s.Handler = login.Handler(login.RequireLogin(s.inner))
	location, attempt := s.get(ctx, "/login", nil)
	callback, err := provider.Login(ctx, location, "alice")
	if err != nil {
		return nil, nil, err
	}
	var session []*http.Cookie
	_, set := s.get(ctx, callback.RequestURI(), attempt)
	for _, c := range set {
		if c.MaxAge > 0 {
			session = append(session, c)
		}
	}
	if len(session) == 0 {
		return nil, nil, errors.New("bench: the login gave no session")
	}
	return s, session, nil
}

func newLogin(provider *oidctest.Provider, store middleware.Store) (*middleware.Login, error) {
	p, err := oidc.NewProvider(oidc.Config{Issuer: provider.Issuer(), HTTPClient: provider.HTTPClient()})
	if err != nil {
		return nil, err
	}
	client, err := oidc.NewClient(p, oidc.ClientConfig{ClientID: oidctest.ClientID, ClientSecret: oidctest.ClientSecret, Scopes: []string{"openid", "profile", "email", "offline_access"}})
	if err != nil {
		return nil, err
	}
	now := time.Now() // a clock that stands still: a session that is a minute old is sealed anew once, not with each request
	return middleware.NewLogin(middleware.LoginConfig{Client: client, PublicURL: siteURL, EphemeralKeys: true, Store: store, WithoutUserInfo: true, Now: func() time.Time { return now }})
}

// get is a request of a browser. It returns where that is sent to and the cookies it is given.
func (s *site) get(ctx context.Context, path string, cookies []*http.Cookie) (location string, set []*http.Cookie) {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, newVisit(ctx, path, cookies))
	return w.Header().Get("Location"), (&http.Response{Header: w.Header()}).Cookies()
}

func newVisit(ctx context.Context, path string, cookies []*http.Cookie) *http.Request {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, siteURL+path, nil)
	for _, c := range cookies {
		r.AddCookie(newCookie(c.Name, c.Value))
	}
	return r
}

// newCookie is one of a request, which has no attributes.
func newCookie(name, value string) *http.Cookie {
	return &http.Cookie{Name: name, Value: value} //nolint:gosec // G124: as said above
}

// keycloakLike is a provider whose tokens have what Keycloak puts there by default.
func keycloakLike() (*oidctest.Provider, error) {
	p, err := oidctest.New(oidctest.Config{Issuer: "https://sso.example.com/realms/main", Clients: []oidctest.Client{{
		ID: oidctest.ClientID, Secret: oidctest.ClientSecret, RedirectURIs: []string{siteURL + "/callback"},
	}}})
	if err != nil {
		return nil, err
	}
	sid := rand.Text() + rand.Text()[:10]
	p.OnIDToken(func(_, claims map[string]any) {
		claims["sid"], claims["typ"], claims["acr"] = sid, "ID", "1"
		claims["preferred_username"], claims["given_name"], claims["family_name"] = "alice", "Alice", "Example"
	})
	p.OnAccessToken(func(_, claims map[string]any) {
		claims["sid"], claims["typ"], claims["acr"], claims["azp"] = sid, "Bearer", "1", oidctest.ClientID
		claims["allowed-origins"] = []string{siteURL}
		claims["realm_access"] = map[string]any{"roles": []string{"default-roles-main", "offline_access", "uma_authorization"}}
		claims["resource_access"] = map[string]any{"account": map[string]any{"roles": []string{"manage-account", "manage-account-links", "view-profile"}}}
		claims["email_verified"], claims["name"], claims["email"] = true, "Alice Example", "alice@example.com"
		claims["preferred_username"], claims["given_name"], claims["family_name"] = "alice", "Alice", "Example"
	})
	return p, nil
}

// visit returns what sends a request of the browser, and fails if it does not get through.
func visit(ctx context.Context, s *site, cookies []*http.Cookie) func() error {
	return through(s, s.inner, newVisit(ctx, "/", cookies))
}

func through(h http.Handler, inner *noter, r *http.Request) func() error {
	w := &idleWriter{header: http.Header{}}
	return func() error {
		inner.reached = false
		clear(w.header)
		h.ServeHTTP(w, r)
		if !inner.reached {
			return errNotReached
		}
		return nil
	}
}

// visitSCS has the session in memstore, as its documentation shows. The handler reads it.
func visitSCS(request context.Context, payload []byte) (func() error, error) {
	manager := scs.New()
	manager.Lifetime = 8 * time.Hour
	ctx, err := manager.Load(request, "")
	if err != nil {
		return nil, err
	}
	manager.Put(ctx, "session", payload)
	token, _, err := manager.Commit(ctx)
	if err != nil {
		return nil, err
	}
	inner := &noter{}
	h := manager.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(manager.GetBytes(r.Context(), "session")) == len(payload) {
			inner.ServeHTTP(w, r)
		}
	}))
	return through(h, inner, newVisit(request, "/", []*http.Cookie{newCookie(manager.Cookie.Name, token)})), nil
}

// visitSecureCookie opens one cookie: encrypted and authenticated, as ours is. That it has
// more bytes than a browser takes is left out of account.
func visitSecureCookie(ctx context.Context, payload []byte) (func() error, error) {
	codec := securecookie.New(securecookie.GenerateRandomKey(64), securecookie.GenerateRandomKey(32)).MaxLength(0)
	value, err := codec.Encode("session", payload)
	if err != nil {
		return nil, err
	}
	inner := &noter{}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie("session")
		if err != nil {
			return
		}
		var got []byte
		if codec.Decode("session", c.Value, &got) == nil && len(got) == len(payload) {
			inner.ServeHTTP(w, r)
		}
	})
	return through(h, inner, newVisit(ctx, "/", []*http.Cookie{newCookie("session", value)})), nil
}
