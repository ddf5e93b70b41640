package middleware

import (
	"errors"
	"net/http"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/oidc"
)

// Why a request is answered by a page, where no other error says it.
var (
	errLoginLoop    = errors.New("middleware: too many logins of one browser in a row")
	errCookiesOff   = errors.New("middleware: the browser did not send the cookie of the login back")
	errSessionEnded = errors.New("middleware: a form was sent without a session")
	errCrossSite    = errors.New("middleware: another site made the browser send the request")
)

// showError answers a login that did not work out: it tells the log (step, with kind LoginFailed, or
// s.Kind if set) and the browser. What the user sees says what to do.
func (l *Login) showError(w http.ResponseWriter, r *http.Request, s LoginStep) {
	if s.Kind == "" {
		s.Kind = LoginFailed
	}
	kind := kindOf(s)
	if kind == PageBadAnswer && l.startsLogin(r) {
		kind = PageBadLink // nobody has answered anything yet
	}
	p := newPage(kind)
	p.Actions = l.actions(kind, r, s.returnTo)
	l.showStep(w, r, s, p)
}

func (l *Login) startsLogin(r *http.Request) bool {
	p := l.localPathOf(r)
	return p == l.cfg.LoginPath || p == l.cfg.InitiateLoginPath
}

func (l *Login) showStep(w http.ResponseWriter, r *http.Request, s LoginStep, p Page) {
	l.step(r.Context(), s)
	if p.Status == http.StatusServiceUnavailable {
		setRetryAfter(w.Header(), s.Err)
	}
	p.Reference = s.Flow
	l.show(w, r, p)
}

// showSessionEnded answers a form that was sent after the end of the session. A login starts at
// loginURL that ends at the page with the form.
func (l *Login) showSessionEnded(w http.ResponseWriter, r *http.Request, loginURL string) {
	p := newPage(PageSessionEnded)
	p.Actions = []PageAction{newAction(ActionLogIn, loginURL)}
	l.showStep(w, r, LoginStep{Kind: AccessRefused, Err: errSessionEnded}, p)
}

// showChoice lets the user choose among providers; urls are those where the login at each
// starts, by ID.
func (l *Login) showChoice(w http.ResponseWriter, r *http.Request, urls map[string]string) {
	l.step(r.Context(), LoginStep{Kind: ProvidersShown})
	p := newPage(PageProviders)
	for _, provider := range l.providers {
		if target, ok := urls[provider.id]; ok {
			p.Actions = append(p.Actions, PageAction{Kind: ActionProvider, Label: provider.name, URL: target, Provider: provider.id})
		}
	}
	l.show(w, r, p)
}

// showLogoutConfirm asks whether to log out.
func (l *Login) showLogoutConfirm(w http.ResponseWriter, r *http.Request) {
	l.step(r.Context(), LoginStep{Kind: LogoutAsked})
	p := newPage(PageConfirmLogout)
	logOut := newAction(ActionLogOut, l.base+l.cfg.LogoutPath)
	logOut.Post = true
	p.Actions = []PageAction{logOut, newAction(ActionStay, l.base+"/")}
	l.show(w, r, p)
}

// showLoop answers a browser that the guard against loops stops, and tells the log.
func (l *Login) showLoop(w http.ResponseWriter, r *http.Request) {
	l.showError(w, r, LoginStep{Kind: LoginStopped, Err: errLoginLoop})
}

// showCookiesOff answers a browser that never sends our cookies back, and tells the log.
func (l *Login) showCookiesOff(w http.ResponseWriter, r *http.Request) {
	l.showError(w, r, LoginStep{Kind: LoginStopped, Err: errCookiesOff})
}

// kindOf says which page tells a user of a step that went wrong.
func kindOf(s LoginStep) PageKind {
	for _, known := range []struct {
		err  error
		kind PageKind
	}{
		{errLoginLoop, PageLoginLoop}, {errCookiesOff, PageCookiesOff},
		{errSessionEnded, PageSessionEnded}, {errCrossSite, PageCrossSite},
	} {
		if errors.Is(s.Err, known.err) {
			return known.kind
		}
	}
	var stepUp *StepUpError
	switch {
	case errors.Is(s.Err, oidckit.ErrUnavailable): // before its cause, which may be another
		return kindOfOutage(s)
	case errors.As(s.Err, &stepUp):
		return PageAuthenticationUnmet
	case s.Kind == AccessRefused && errors.Is(s.Err, oidckit.ErrForbidden):
		return PageNotAllowed
	}
	return kindOfLogin(s.Err)
}

// kindOfOutage tells a login that cannot be from a session that may well be there.
func kindOfOutage(s LoginStep) PageKind {
	var u *oidckit.UnavailableError
	switch {
	case s.Kind == LogoutNotTold:
		return PageLogoutIncomplete
	case s.Kind == AccessRefused, errors.As(s.Err, &u) && u.What == storeName:
		return PageSessionsDown
	}
	return PageProviderDown
}

// kindOfLogin says which page tells a user why a login did not work out.
func kindOfLogin(err error) PageKind {
	var denied *oidc.AuthorizationError
	var callback *oidc.CallbackError
	var refused *oidc.Error
	switch {
	case errors.As(err, &denied):
		return kindOfDenial(denied.Code)
	case errors.As(err, &callback):
		return kindOfCallback(callback)
	case errors.As(err, &refused) && refused.Reason == oidc.ReasonAuthentication:
		return PageAuthenticationUnmet
	case errors.Is(err, oidckit.ErrForbidden):
		return PageLoginDenied
	case errors.Is(err, oidckit.ErrInvalidCallback):
		return PageLoginExpired
	case errors.Is(err, oidckit.ErrInvalidToken):
		return PageBadAnswer
	}
	return PageMisconfigured
}

// kindOfDenial reads the error code of an authorization response (RFC 6749 section 4.1.2.1,
// OpenID Connect Core section 3.1.2.6).
func kindOfDenial(code string) PageKind {
	switch code {
	case "access_denied":
		return PageLoginDenied
	case "login_required", "interaction_required", "consent_required", "account_selection_required":
		return PageInteractionRequired
	case "unmet_authentication_requirements":
		return PageAuthenticationUnmet
	case "invalid_request", "unauthorized_client", "unsupported_response_type", "invalid_scope", "invalid_target",
		"invalid_request_uri", "invalid_request_object", "request_not_supported", "request_uri_not_supported":
		return PageMisconfigured // the request was ours
	}
	return PageBadAnswer
}

// kindOfCallback tells what a person can cause, by waiting or going back, from what no
// provider should answer.
func kindOfCallback(err *oidc.CallbackError) PageKind {
	spent := err.Err != nil // the provider does not take the code any more
	if err.Parameter == "state" || spent {
		return PageLoginExpired
	}
	return PageBadAnswer
}
