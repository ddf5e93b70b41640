package middleware

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oidckit/oidckit/oidc"
)

// Login logs the users of a web application in. Its [Login.Handler] serves three
// paths of its own and shows every other handler the session of the request.
//
// Logins under way are kept in sealed cookies, sessions in the memory of this
// process: they end with it, and one process serves all users. There is one Login per
// host: two would share the name of the cookie. A Login must not be copied, nor
// changed once it is in use; its pointer may be shared.
type Login struct {
	// Client logs people in. Its RedirectURL decides the path of the callback, and
	// by its scheme whether cookies are Secure. Required.
	Client *oidc.Client

	// LoginPath starts a login; default "/login". With the parameter return_to, a
	// local path, it ends there, else at "/".
	LoginPath string
	// LogoutPath ends the session here and at the provider; default "/logout". A
	// plain link there will do, and so will a form; a link from another site gets a
	// page that asks first.
	LogoutPath string
	// PostLogoutRedirectURL is where the provider sends the browser after a logout,
	// as it is registered; default is "/" at the origin of the RedirectURL. Where
	// that page needs a login, name one that does not: a browser that lands there
	// is sent to log in again.
	PostLogoutRedirectURL string

	// SessionLifetime is how long a session lasts; default 8 h.
	SessionLifetime time.Duration
	// WithoutUserInfo makes logins not ask the userinfo endpoint.
	WithoutUserInfo bool
	// Logger is told why logins fail. Nil is silent.
	Logger *slog.Logger
	// Now tells the time of sessions; nil means time.Now. That of tokens is the
	// provider's, oidc.Config.Now.
	Now func() time.Time

	once     sync.Once
	redirect url.URL // the Client's RedirectURL
	flows    sealer
	sessions sessions
}

// setup fills in what the fields leave open.
func (l *Login) setup() {
	l.once.Do(func() {
		if u, err := url.Parse(l.Client.RedirectURL()); err == nil {
			l.redirect = *u
		}
		l.flows = newSealer()
	})
}

func (l *Login) loginPath() string {
	if l.LoginPath == "" {
		return "/login"
	}
	return l.LoginPath
}

func (l *Login) logoutPath() string {
	if l.LogoutPath == "" {
		return "/logout"
	}
	return l.LogoutPath
}

func (l *Login) callbackPath() string { return "/" + strings.TrimPrefix(l.redirect.Path, "/") }

func (l *Login) postLogoutRedirectURL() string {
	if l.PostLogoutRedirectURL != "" {
		return l.PostLogoutRedirectURL
	}
	return (&url.URL{Scheme: l.redirect.Scheme, Host: l.redirect.Host, Path: "/"}).String()
}

func (l *Login) lifetime() time.Duration {
	if l.SessionLifetime <= 0 {
		return 8 * time.Hour
	}
	return l.SessionLifetime
}

func (l *Login) now() time.Time {
	if l.Now != nil {
		return l.Now()
	}
	return time.Now()
}

// Handler serves the paths of the login and hands everything else to next, which
// finds the session with [SessionFrom]. It lets everybody through: wrap what is
// for logged-in users alone with [Login.RequireLogin].
func (l *Login) Handler(next http.Handler) http.Handler {
	if l.Client == nil {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			l.fail(w, r, errors.New("middleware: Login.Client is not set"))
		})
	}
	if l.Client.RedirectURL() == "" {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			l.fail(w, r, errors.New("middleware: Login.Client has no RedirectURL: set oidc.ClientConfig.RedirectURL"))
		})
	}
	l.setup()
	if err := l.checkPaths(); err != nil {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { l.fail(w, r, err) })
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case l.loginPath():
			only(l.start, http.MethodGet)(w, r)
		case l.callbackPath():
			only(l.callback, http.MethodGet)(w, r)
		case l.logoutPath():
			only(l.logout, http.MethodGet, http.MethodPost)(w, r)
		default:
			s, _ := l.session(r) // nil for nobody, which RequireLogin tells from no Handler
			ctx := context.WithValue(r.Context(), ownKey{l}, s)
			next.ServeHTTP(w, r.WithContext(context.WithValue(ctx, sessionKey{}, s)))
		}
	})
}

// checkPaths refuses paths that hide each other, or the start page.
func (l *Login) checkPaths() error {
	login, logout, callback := l.loginPath(), l.logoutPath(), l.callbackPath()
	for _, p := range []string{login, logout, callback} {
		if !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "//") || p == "/" || strings.ContainsAny(p, "?#") {
			return errors.New(`middleware: LoginPath, LogoutPath and the path of the client's RedirectURL must be paths that begin with "/", and none may be "/" itself`)
		}
	}
	if login == logout || login == callback || logout == callback {
		return errors.New("middleware: LoginPath, LogoutPath and the path of the client's RedirectURL must differ")
	}
	return nil
}

// only answers 405 to other methods. HEAD is one of them: what looks at a link
// must not use up a login.
func only(h http.HandlerFunc, methods ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(methods, r.Method) {
			h(w, r)
			return
		}
		w.Header().Set("Allow", strings.Join(methods, ", "))
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
	}
}

// RequireLogin lets requests of logged-in users through to next. A browser that
// navigates is sent to log in and comes back; anything else is answered 401 with
// the address of the login in JSON, for a script cannot follow a login. It works
// behind [Login.Handler] alone: elsewhere it answers 500.
func (l *Login) RequireLogin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A session of another Login is of another provider's user, and opens nothing.
		s, behind := r.Context().Value(ownKey{l}).(*Session)
		if !behind {
			l.fail(w, r, errNoHandler)
			return
		}
		if s != nil {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), sessionKey{}, s)))
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		if !isNavigation(r) {
			writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "login_required", "login_url": l.loginPath()})
			return
		}
		query := url.Values{"return_to": {localPath(r.URL.RequestURI())}}
		seeOther(w, l.loginPath()+"?"+query.Encode())
	})
}

var errNoHandler = errors.New("middleware: RequireLogin without Login.Handler around it")

// isNavigation reports whether a person looks at the answer. Browsers say so;
// for those that do not, asking for HTML is a sign.
func isNavigation(r *http.Request) bool {
	if r.Method != http.MethodGet {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// start begins a login.
func (l *Login) start(w http.ResponseWriter, r *http.Request) {
	flow, err := l.Client.Begin(r.Context())
	if err != nil {
		l.fail(w, r, err)
		return
	}
	if err := l.keepFlow(w, r, flow, l.returnTo(r.URL.Query().Get("return_to"))); err != nil {
		l.fail(w, r, err)
		return
	}
	seeOther(w, flow.AuthorizationURL)
}

// callback ends a login.
func (l *Login) callback(w http.ResponseWriter, r *http.Request) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		l.fail(w, r, &oidc.CallbackError{Parameter: "query", Problem: "is malformed"})
		return
	}
	flow, returnTo := l.takeFlow(w, r, query.Get("state"))
	// Somebody who went back to a callback that was used is logged in already.
	if _, loggedIn := l.session(r); flow == nil && loggedIn {
		seeOther(w, "/")
		return
	}
	s, err := l.finish(r.Context(), flow, query)
	if err != nil {
		l.fail(w, r, err)
		return
	}
	l.sessions.remove(l.sessionID(r))
	l.setSession(w, s)
	seeOther(w, returnTo)
}

func (l *Login) finish(ctx context.Context, flow *oidc.Flow, query url.Values) (*Session, error) {
	tokens, err := l.Client.Finish(ctx, flow, query)
	if err != nil {
		return nil, err
	}
	s := &Session{Tokens: tokens, Expires: l.now().Add(l.lifetime())}
	if l.WithoutUserInfo {
		return s, nil
	}
	s.UserInfo, err = l.Client.UserInfo(ctx, tokens)
	if err != nil && !errors.Is(err, oidc.ErrNoEndpoint) {
		return nil, err
	}
	return s, nil
}
