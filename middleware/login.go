package middleware

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/oidckit/oidckit/internal/seal"
)

// Login logs the users of a web application in. Its [Login.Handler] serves the routes of the
// login and shows every other handler the session of the request; [Login.RequireLogin] stands
// before what is for users alone. It is safe for concurrent use.
type Login struct {
	cfg       LoginConfig
	base      string // the path of PublicURL without a slash at its end, before each of our own
	origin    string // scheme and host of PublicURL
	secure    bool   // the browser speaks https with us
	providers []*loginProvider
	routes    map[string]route
	keys      *seal.Ring
	sessions  *sessions
}

// A route is one of our own paths.
type route struct {
	methods []string
	serve   http.HandlerFunc
}

// NewLogin fails if a field of cfg is missing or does not fit the others. It asks nobody:
// a provider that is down is found out by [Login.Ready].
func NewLogin(cfg LoginConfig) (*Login, error) {
	l := &Login{cfg: cfg}
	if err := l.configure(); err != nil {
		return nil, err
	}
	l.sessions = newSessions(l)
	return l, nil
}

// Handler serves the routes of the login and hands everything else to next, which
// finds the session with [SessionFrom]. It lets everybody through: wrap what is
// for logged-in users alone with [Login.RequireLogin].
func (l *Login) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if own, ok := l.routes[l.localPathOf(r)]; ok {
			own.ServeHTTP(w, r)
			return
		}
		l.serveNext(w, r, next)
	})
}

// ServeHTTP answers 405 to other methods. HEAD is one of them: what looks at a link must not
// use up a login.
func (o route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if slices.Contains(o.methods, r.Method) {
		o.serve(w, r)
		return
	}
	w.Header().Set("Allow", strings.Join(o.methods, ", "))
	w.Header().Set("Cache-Control", "no-store") // a 405 may be cached otherwise (RFC 9110 section 15.1)
	http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
}

// localPathOf is the path of a request below PublicURL, whether or not a proxy has taken the
// path of PublicURL away.
func (l *Login) localPathOf(r *http.Request) string {
	if rest, ok := strings.CutPrefix(r.URL.Path, l.base+"/"); ok {
		return "/" + rest
	}
	return r.URL.Path
}

func (l *Login) now() time.Time {
	if l.cfg.Now != nil {
		return l.cfg.Now()
	}
	return time.Now()
}

// found is what Handler found out about the session of a request.
type found struct {
	session *Session // nil for nobody
	err     error    // why it is not known who it is; then session is nil
	url     *url.URL // of the request, before any handler took a prefix away
}

// foundKey leads to what one Login found, sessionKey to the session of the innermost.
type (
	foundKey   struct{ login *Login }
	sessionKey struct{}
)

func (l *Login) withFound(ctx context.Context, f found) context.Context {
	return context.WithValue(context.WithValue(ctx, foundKey{l}, f), sessionKey{}, f.session)
}
