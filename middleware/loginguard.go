package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/oidckit/oidckit"
)

// serveNext finds the session of a request and hands it to next, after the check against
// requests that another site makes a browser send.
func (l *Login) serveNext(w http.ResponseWriter, r *http.Request, next http.Handler) {
	w.Header().Add("Vary", "Cookie")
	// Before the session is looked at: another site must not keep one from idling, either.
	if err := l.checkOrigin(r); err != nil && l.sendsSession(r) {
		l.refuseCrossSite(w, r)
		return
	}
	if isNavigation(r) {
		l.trimAttempts(w, r)
	}
	s, err := l.sessions.load(w, r)
	if s != nil {
		// Not every shared cache heeds Vary; a handler may say otherwise.
		w.Header().Set("Cache-Control", "private")
	}
	if len(w.Header()["Set-Cookie"]) > 0 {
		w = privateAnswer{w}
		defer makePrivate(w.Header()) // if the handler writes nothing
	}
	ctx := l.withFound(r.Context(), found{session: s, err: err, url: r.URL})
	next.ServeHTTP(w, r.WithContext(ctx))
}

func (l *Login) refuseCrossSite(w http.ResponseWriter, r *http.Request) {
	l.showError(w, r, LoginStep{Kind: AccessRefused, Err: fmt.Errorf("%w: %w", oidckit.ErrForbidden, errCrossSite)})
}

// sendsSession reports whether a request has a cookie of a session, good or not.
func (l *Login) sendsSession(r *http.Request) bool {
	for _, c := range chunksOf(r, l.cookieName(sessionCookie)) {
		if c.count > 0 {
			return true
		}
	}
	return false
}

// checkOrigin refuses what another site made a browser send, if it is not safe. A WebSocket
// begins with GET, which is not as safe as it looks.
func (l *Login) checkOrigin(r *http.Request) error {
	asked := r
	if r.Header.Get("Upgrade") != "" && r.Method == http.MethodGet {
		asked = &http.Request{Method: http.MethodPost, Header: r.Header, Host: r.Host, URL: r.URL}
	}
	if r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == l.origin {
		return nil // whatever a proxy made of Host
	}
	return l.cfg.CrossOrigin.Check(asked)
}

// RequireLogin lets requests of logged-in users through to next who fulfil every requirement.
// It works behind [Login.Handler] alone; elsewhere it answers 500. The handler finds the user
// with [SessionFrom] and [PrincipalFrom]. All others are answered:
//
//   - Nobody, by a redirect to the login, which ends where the browser was going. What is no
//     navigation gets 401, for no script can follow a redirect to the provider; a form that was
//     sent after the session ended gets a page of status 401 that says so, and one that another
//     site made the browser send 403.
//   - Whoever has to log in otherwise or again ([RequireACR], [RequireMaxAge]), likewise: the
//     login asks for that.
//   - Whoever lacks a right, by 403.
//   - Whoever it is, by 503 with Retry-After while that is not known.
//
// The 401 has a JSON object with "error", which is "login_required" or
// "insufficient_user_authentication", and "login_url", where the login starts. It ends at the
// start page unless a script adds where it wants to come back to, for a path that was fetched is
// no page to end at:
//
//	const login = new URL(answer.login_url)
//	login.searchParams.set("return_to", location.pathname + location.search)
//	location.assign(login)
//
// The 403 and 503 are pages for people, and for programs JSON whose "error" is a [PageKind].
// For people is what browsers call a navigation (Sec-Fetch-Mode) or, where they do not say, what
// accepts text/html by name. [LoginConfig.Unauthenticated] answers in another way.
func (l *Login) RequireLogin(next http.Handler, require ...Requirement) http.Handler {
	require = slices.Clone(require)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.admit(w, r, next, require, nil)
	})
}

var errNoHandler = errors.New("middleware: RequireLogin or Either without Login.Handler around it")

// admit is RequireLogin, with challenges of more ways to prove who one is.
func (l *Login) admit(w http.ResponseWriter, r *http.Request, next http.Handler, require []Requirement, challenges []string) {
	// A session of another Login is of another provider's user, and opens nothing.
	f, behind := r.Context().Value(foundKey{l}).(found)
	switch {
	case behind && l.cfg.PassPreflight && isPreflight(r):
		next.ServeHTTP(w, r)
		return
	case !behind:
		l.showError(w, r, LoginStep{Kind: AccessRefused, Err: errNoHandler})
		return
	case f.err != nil:
		l.showError(w, r, LoginStep{Kind: AccessRefused, Err: f.err})
		return
	case f.session == nil, len(require) > 0 && f.session.Tokens().IDToken == nil: // or it cannot be judged any more
		l.askToLogIn(w, r, f, nil, challenges)
		return
	}
	p, err := l.authorize(r.Context(), f.session, require)
	var stepUp *StepUpError
	switch {
	case err == nil:
		next.ServeHTTP(w, r.WithContext(withSession(r.Context(), f.session, p)))
	case errors.As(err, &stepUp) && len(stepUp.Scopes) == 0: // a login asks for no other scopes than the last one
		l.askToLogIn(w, r, f, stepUp, challenges)
	default:
		l.showError(w, r, LoginStep{Kind: AccessRefused, Flow: f.session.flow(), Provider: f.session.Provider(), Err: refusalOf(err)})
	}
}

// refusalOf is an error as it counts for sessions: a policy or requirement may call a token
// invalid, but a session is none.
func refusalOf(err error) error {
	if errors.Is(err, oidckit.ErrInvalidToken) && !errors.Is(err, oidckit.ErrUnavailable) {
		return &RequirementError{Err: err}
	}
	return err
}

// askToLogIn answers a request that needs a login, or another one.
func (l *Login) askToLogIn(w http.ResponseWriter, r *http.Request, f found, wanted *StepUpError, challenges []string) {
	target := l.loginURL(f, l.comeBackTo(r, f), wanted)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	switch {
	case isFormPost(r) && f.session == nil && l.checkOrigin(r) != nil: // its cookie, if any, was withheld
		l.refuseCrossSite(w, r)
		return
	case l.cfg.Unauthenticated != nil:
		l.cfg.Unauthenticated(w, r, target)
		return
	case isNavigation(r):
		seeOther(w, target)
		return
	}
	// "The server generating a 401 response MUST send a WWW-Authenticate header field" (RFC 9110
	// section 15.5.2). No registered scheme is that of cookies; for one that they do not know,
	// browsers ask for no password.
	h["Www-Authenticate"] = append(slices.Clone(challenges), "Cookie")
	switch {
	case isFormPost(r) && wanted == nil:
		l.showSessionEnded(w, r, target)
	case isFormPost(r):
		p := newPage(PageAuthenticationUnmet)
		p.Status = http.StatusUnauthorized // it was not the login that failed
		p.Actions = []PageAction{newAction(ActionLogIn, target)}
		l.showStep(w, r, LoginStep{Kind: AccessRefused, Flow: f.session.flow(), Provider: f.session.Provider(), Err: wanted}, p)
	default:
		code := "login_required"
		if wanted != nil {
			code = "insufficient_user_authentication" // RFC 9470 section 3
		}
		writeJSON(w, http.StatusUnauthorized, map[string]string{"error": code, "login_url": target})
	}
}

// comeBackTo is where the login ends that a request needs. "" is the start page, unless a script
// says another.
func (l *Login) comeBackTo(r *http.Request, f found) string {
	switch {
	case isNavigation(r):
		return l.pathOf(f.url)
	case isFormPost(r) && l.pageOf(r) != l.base+"/":
		return l.pageOf(r)
	}
	return ""
}

// loginURL is where a login starts that ends at returnTo, and does what is wanted. One that is
// wanted of somebody is at the provider of before. The address is that of PublicURL: whoever
// came by another host, such as localhost for 127.0.0.1, would come back without the cookie of
// the login, which has only the host where it began.
func (l *Login) loginURL(f found, returnTo string, wanted *StepUpError) string {
	query := url.Values{}
	if returnTo != "" {
		query.Set("return_to", returnTo)
	}
	if wanted != nil {
		params := wanted.params()
		for i := 0; i+1 < len(params); i += 2 {
			query.Set(params[i], params[i+1])
		}
		if id := f.session.Provider(); id != "" {
			query.Set("provider", id)
		}
	}
	if len(query) == 0 {
		return l.origin + l.loginTo("")
	}
	return l.origin + l.startURL(query)
}

// pathOf is where a login ends that a request for a URL needs, as browsers see it.
func (l *Login) pathOf(u *url.URL) string { return l.returnTo(u.RequestURI()) }

// pageOf is the page that a form was on, if it was one of ours, else the start page.
func (l *Login) pageOf(r *http.Request) string {
	u, err := url.Parse(r.Referer())
	if err != nil || originOf(u) != l.origin {
		return l.base + "/"
	}
	return l.returnTo(u.RequestURI())
}

// isNavigation reports whether a person follows a link.
func isNavigation(r *http.Request) bool { return r.Method == http.MethodGet && isForPerson(r) }

// isFormPost reports whether a person has sent a form.
func isFormPost(r *http.Request) bool { return r.Method == http.MethodPost && isForPerson(r) }

// isForPerson reports whether a person looks at the answer, rather than a program. Browsers say
// so; of the others, it is for those that ask for HTML by name. "*/*" is what programs say.
func isForPerson(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	return strings.Contains(strings.ToLower(strings.Join(r.Header["Accept"], ",")), "text/html")
}
