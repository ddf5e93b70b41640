package middleware

import (
	"net/http"
	"net/url"
)

// actions are what can be done about what went wrong with a request. A login goes on to
// returnTo.
func (l *Login) actions(kind PageKind, r *http.Request, returnTo string) []PageAction {
	start := newAction(ActionStartPage, l.base+"/")
	switch kind {
	case PageLoginExpired, PageInteractionRequired, PageAuthenticationUnmet:
		return []PageAction{newAction(ActionLogIn, l.loginTo(returnTo))}
	case PageLoginDenied:
		return []PageAction{newAction(ActionLogIn, l.loginTo(returnTo)), start}
	case PageBadAnswer, PageCookiesOff, PageLoginLoop:
		return []PageAction{newAction(ActionTryAgain, l.again(r, returnTo)), start}
	case PageProviderDown, PageSessionsDown:
		return []PageAction{newAction(ActionTryAgain, l.again(r, returnTo))}
	case PageNotAllowed:
		return []PageAction{start, newAction(ActionLogOut, l.base+l.cfg.LogoutPath)}
	}
	return []PageAction{start}
}

// loginTo is where a login starts that ends at returnTo, a path that was checked; empty is the
// start page.
func (l *Login) loginTo(returnTo string) string {
	if returnTo == "" || returnTo == l.base+"/" {
		return l.base + l.cfg.LoginPath
	}
	return l.startURL(url.Values{"return_to": {returnTo}})
}

// again is where a request was for. A callback is good once, and a link sends no form again:
// there the login starts over.
func (l *Login) again(r *http.Request, returnTo string) string {
	asked := r.URL
	if f, ok := r.Context().Value(foundKey{l}).(found); ok {
		asked = f.url // before handlers of the application changed it
	}
	local := l.localPathOf(r)
	_, own := l.routes[local]
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
	case local == l.cfg.LoginPath && r.URL.RawQuery != "":
		query := r.URL.Query()
		query.Del(restartParameter)
		return l.startURL(query)
	case !own:
		return l.pathOf(asked)
	}
	return l.loginTo(returnTo)
}
