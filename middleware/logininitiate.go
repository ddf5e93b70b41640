package middleware

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/oidckit/oidckit/oidc"
)

// initiate begins a login that a provider or somebody else asks for (OpenID Connect Core
// section 4). It believes nothing: the issuer must be one of ours, and is not asked who it is;
// the user logs in as ever, and ends within the application.
func (l *Login) initiate(w http.ResponseWriter, r *http.Request) {
	asked, err := initiationOf(w, r)
	if err != nil {
		l.showError(w, r, LoginStep{Err: err})
		return
	}
	issuer := asked.Get("iss")
	ofIssuer := func(p *loginProvider) bool { return p.client.Provider().Issuer() == issuer }
	wish := loginWish{returnTo: l.targetLink(asked.Get("target_link_uri")), query: url.Values{}}
	choice, err := l.choice(r, wish.returnTo, ofIssuer)
	if err != nil {
		l.showError(w, r, LoginStep{Err: err})
		return
	}
	if issuer == "" || !ofIssuer(choice[0]) { // choice has those that fit, or all if none does
		l.showError(w, r, LoginStep{Err: &oidc.CallbackError{Parameter: "iss", Problem: "is no provider of this application"}})
		return
	}
	wish.query.Set("return_to", wish.returnTo)
	// A hint is for the form that the provider shows, and for nothing here.
	if hint := asked.Get("login_hint"); hint != "" && len(hint) <= maxHint && !strings.ContainsFunc(hint, isControl) {
		wish.options = append(wish.options, oidc.WithLoginHint(hint))
	}
	l.beginAtOneOf(w, r, choice, wish)
}

// initiationOf reads the parameters of the query or, by POST, those of the body.
func initiationOf(w http.ResponseWriter, r *http.Request) (asked url.Values, err error) {
	if r.Method == http.MethodPost {
		asked, err = formOf(w, r)
	} else {
		asked, err = queryOf(r)
	}
	if err != nil {
		return nil, err
	}
	return asked, onceEach(asked, "iss", "login_hint", "target_link_uri")
}

// targetLink is the path that a target_link_uri has below PublicURL. OpenID Connect Core
// section 4: "RPs MUST verify the value of the target_link_uri to prevent being used as an
// open redirector to external sites."
func (l *Login) targetLink(uri string) string {
	home := l.base + "/"
	u, err := url.Parse(uri)
	if err != nil || u.User != nil || u.Opaque != "" || originOf(u) != l.origin || !strings.HasPrefix(u.Path+"/", home) {
		return home
	}
	u.Scheme, u.Host, u.Fragment, u.RawFragment = "", "", "", ""
	return l.returnTo(u.String())
}
