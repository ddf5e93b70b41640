package middleware_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// fleetURL is what the default client of oidctest is registered with.
const fleetURL = "https://client.example"

// A mode is where sessions are.
type mode struct {
	name   string
	shared bool // replicas share a Store
	sealed bool
	locks  bool // the Store has some of its own
}

var (
	serverSide = mode{name: "server-side", shared: true, locks: true}
	modes      = []mode{
		serverSide,
		{name: "server-side, Store without locks", shared: true},
		{name: "sealed", sealed: true},
		{name: "sealed and Store", shared: true, sealed: true, locks: true},
		{name: "sealed and Store without locks", shared: true, sealed: true},
	}
)

// inEachMode runs a test in a bubble for each of modes, where time.Sleep turns every clock.
func inEachMode(t *testing.T, test func(t *testing.T, m mode)) {
	t.Helper()
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			inBubbleOf(t, func(t *testing.T) { test(t, m) })
		})
	}
}

// A fleet is an application in several processes, which have clients of their own and share a
// Store and keys.
type fleet struct {
	t     *testing.T
	op    *oidctest.Provider
	store *faultyStore
	apps  []*middleware.Login
	front []http.Handler

	mu     sync.Mutex
	steps  []middleware.LoginStep
	grants []string // refresh tokens in the order in which they were sent
}

// sessionID is "sid" of all ID tokens of a fleet.
const sessionID = "session-at-the-provider"

func newFleet(t *testing.T, m mode, replicas int, configure ...func(*middleware.LoginConfig)) *fleet {
	t.Helper()
	if !m.shared {
		replicas = min(replicas, 1)
	}
	op, err := oidctest.New(oidctest.Config{Issuer: "https://op.example", Algorithm: "ES256"})
	require.NoError(t, err)
	f := &fleet{t: t, op: op, store: &faultyStore{MemoryStore: middleware.NewMemoryStore(10_000)}}
	op.OnIDToken(func(_, c map[string]any) { c["sid"] = sessionID })
	op.OnRequest(f.noteGrant)
	for range replicas {
		f.add(m, configure...)
	}
	return f
}

// add starts one more process.
func (f *fleet) add(m mode, configure ...func(*middleware.LoginConfig)) {
	f.t.Helper()
	cfg := middleware.LoginConfig{
		Client: f.newClient(), PublicURL: fleetURL, Keys: testKeys, SealedCookies: m.sealed && m.shared,
		Trace: &middleware.LoginTrace{Step: f.noteStep},
	}
	switch {
	case m.locks:
		cfg.Store = lockingStore{f.store}
	case m.shared:
		cfg.Store = f.store
	}
	for _, c := range configure {
		c(&cfg)
	}
	login, err := middleware.NewLogin(cfg)
	require.NoError(f.t, err)
	f.apps = append(f.apps, login)
	f.front = append(f.front, login.Handler(login.RequireLogin(http.HandlerFunc(show))))
}

func (f *fleet) newClient() *oidc.Client {
	provider, err := oidc.NewProvider(oidc.Config{Issuer: f.op.Issuer(), Now: f.op.Now, HTTPClient: f.op.HTTPClient()})
	require.NoError(f.t, err)
	client, err := oidc.NewClient(provider, oidc.ClientConfig{
		ClientID: oidctest.ClientID, ClientSecret: oidctest.ClientSecret,
		Scopes: []string{"openid", "profile", "email", "offline_access"},
	})
	require.NoError(f.t, err)
	return client
}

func (f *fleet) noteStep(_ context.Context, s middleware.LoginStep) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.steps = append(f.steps, s)
}

func (f *fleet) noteGrant(e oidctest.Endpoint, r *http.Request) {
	if e != oidctest.Token || r.ParseForm() != nil {
		return
	}
	if token := r.PostForm.Get("refresh_token"); token != "" {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.grants = append(f.grants, token)
	}
}

// refreshes is how often the provider was asked, and by which refresh tokens.
func (f *fleet) refreshes() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.grants...)
}

// stepsOf returns those of a kind.
func (f *fleet) stepsOf(kind middleware.LoginStepKind) (found []middleware.LoginStep) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.steps {
		if s.Kind == kind {
			found = append(found, s)
		}
	}
	return found
}

// seenKey leads to where show puts the session of a request.
type seenKey struct{}

func show(w http.ResponseWriter, r *http.Request) {
	s, _ := middleware.SessionFrom(r.Context())
	if seen, ok := r.Context().Value(seenKey{}).(**middleware.Session); ok {
		*seen = s
	}
	_, _ = io.WriteString(w, s.Tokens().OAuth2.AccessToken)
}

// A visitor is a browser, without sockets.
type visitor struct {
	f       *fleet
	mu      sync.Mutex
	cookies map[string]string
}

func (f *fleet) visitor() *visitor { return &visitor{f: f, cookies: map[string]string{}} }

// copy is a browser, or a thief, with the same cookies.
func (v *visitor) copy() *visitor {
	c := v.f.visitor()
	v.mu.Lock()
	defer v.mu.Unlock()
	maps.Copy(c.cookies, v.cookies)
	return c
}

// A visited page is what a request came to.
type visited struct {
	*httptest.ResponseRecorder
	session *middleware.Session // nil if the request was not let through
}

func (a visited) token() string { return a.Body.String() }

// send sends a request to a replica and keeps the cookies of the answer.
func (v *visitor) send(replica int, r *http.Request) visited {
	v.mu.Lock()
	for name, value := range v.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	v.mu.Unlock()
	a := visited{ResponseRecorder: httptest.NewRecorder()}
	r = r.WithContext(context.WithValue(r.Context(), seenKey{}, &a.session))
	v.f.front[replica%len(v.f.front)].ServeHTTP(a, r)
	v.take(a)
	return a
}

// take keeps the cookies of an answer.
func (v *visitor) take(a visited) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, c := range a.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(v.cookies, c.Name)
		} else {
			v.cookies[c.Name] = c.Value
		}
	}
}

// get asks as a script does, which is answered by statuses.
func (v *visitor) get(replica int, path string) visited {
	return v.send(replica, httptest.NewRequestWithContext(v.f.t.Context(), http.MethodGet, fleetURL+path, http.NoBody))
}

// require asks for a page, and that it comes to a status.
func (v *visitor) require(status, replica int) visited {
	v.f.t.Helper()
	a := v.get(replica, "/")
	require.Equal(v.f.t, status, a.Code, a.Body.String())
	require.Equal(v.f.t, status == http.StatusOK, a.session != nil)
	return a
}

// begin starts a login at a replica, and returns where the provider sends the browser back to.
func (v *visitor) begin(replica int, username string) string {
	v.f.t.Helper()
	start := v.get(replica, "/login")
	require.Equal(v.f.t, http.StatusSeeOther, start.Code, start.Body.String())
	callback, err := v.f.op.Login(v.f.t.Context(), start.Header().Get("Location"), username)
	require.NoError(v.f.t, err)
	return strings.TrimPrefix(callback.String(), fleetURL)
}

// logIn logs in, at two replicas if there are as many.
func (v *visitor) logIn(username string) {
	v.f.t.Helper()
	end := v.get(1, v.begin(0, username))
	require.Equal(v.f.t, http.StatusSeeOther, end.Code, end.Body.String())
}

// logOut sends the form of one of our pages.
func (v *visitor) logOut(replica int) visited {
	r := httptest.NewRequestWithContext(v.f.t.Context(), http.MethodPost, fleetURL+"/logout", http.NoBody)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return v.send(replica, r)
}

// sessionCookies are all that a session has.
func (v *visitor) sessionCookies() (values []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for name, value := range v.cookies {
		if strings.HasPrefix(name, "__Host-oidckit_session") {
			values = append(values, value)
		}
	}
	return values
}

// backChannel sends a logout token to a replica.
func (f *fleet) backChannel(replica int, username, sid string) int {
	f.t.Helper()
	return f.backChannelOf(replica, f.op.LogoutToken(f.t.Context(), oidctest.ClientID, username, sid))
}

func (f *fleet) backChannelOf(replica int, token string) int {
	f.t.Helper()
	form := url.Values{"logout_token": {token}}
	r := httptest.NewRequestWithContext(f.t.Context(), http.MethodPost, fleetURL+"/logout/backchannel", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return f.visitor().send(replica, r).Code
}

// A faultyStore is a Store that is down when a test says so, and ends calls with their context as
// clients of databases do. It has no locks of its own.
type faultyStore struct {
	*middleware.MemoryStore
	mu          sync.Mutex
	down        bool
	noCommit    bool
	panics      bool
	max         int    // bytes of an entry; 0 for any
	onCommit    func() // before it is done
	afterCommit func()
}

var errStoreDown = errors.New("the store is down")

func (s *faultyStore) set(change func(*faultyStore)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *faultyStore) fault(ctx context.Context, commits bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.panics {
		panic("a bug of the store")
	}
	if s.down || commits && s.noCommit {
		return errStoreDown
	}
	return ctx.Err()
}

func (s *faultyStore) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	if err := s.fault(ctx, false); err != nil {
		return nil, false, err
	}
	return s.MemoryStore.Find(token)
}

func (s *faultyStore) CommitCtx(ctx context.Context, token string, b []byte, expiry time.Time) error {
	if err := s.fault(ctx, true); err != nil {
		return err
	}
	s.mu.Lock()
	before, most := s.onCommit, s.max
	s.mu.Unlock()
	if most > 0 && len(b) > most {
		return errStoreDown
	}
	if before != nil {
		before()
	}
	err := s.MemoryStore.Commit(token, b, expiry)
	s.mu.Lock()
	after := s.afterCommit
	s.mu.Unlock()
	if after != nil {
		after()
	}
	return err
}

func (s *faultyStore) DeleteCtx(ctx context.Context, token string) error {
	if err := s.fault(ctx, false); err != nil {
		return err
	}
	return s.MemoryStore.Delete(token)
}

// Lock hides that of the MemoryStore, by another signature.
func (s *faultyStore) Lock() {}

// A lockingStore has locks besides, which fail with it.
type lockingStore struct{ *faultyStore }

func (s lockingStore) Lock(ctx context.Context, token string, ttl time.Duration) (func(), error) {
	if err := s.fault(ctx, false); err != nil {
		return nil, err
	}
	return s.MemoryStore.Lock(ctx, token, ttl)
}

// tokens are those of a login of alice, without a browser and a Login.
func (f *fleet) tokens() *oidc.Tokens {
	f.t.Helper()
	provider, err := oidc.NewProvider(oidc.Config{Issuer: f.op.Issuer(), Now: f.op.Now, HTTPClient: f.op.HTTPClient()})
	require.NoError(f.t, err)
	client, err := oidc.NewClient(provider, oidc.ClientConfig{
		ClientID: oidctest.ClientID, ClientSecret: oidctest.ClientSecret, RedirectURL: fleetURL + "/callback",
	})
	require.NoError(f.t, err)
	flow, err := client.Begin(f.t.Context())
	require.NoError(f.t, err)
	callback, err := f.op.Login(f.t.Context(), flow.AuthorizationURL, "alice")
	require.NoError(f.t, err)
	tokens, err := client.Finish(f.t.Context(), flow, callback.Query())
	require.NoError(f.t, err)
	return tokens
}
