package middleware

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/oidckit/oidckit/oidc"
)

// start begins a login.
func (l *Login) start(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	wish, err := l.wishOf(query)
	if err != nil {
		l.showError(w, r, LoginStep{Err: err})
		return
	}
	if query.Has(restartParameter) && l.endRestart(w, r, wish) {
		return
	}
	choice, err := l.choice(r, wish.returnTo, func(p *loginProvider) bool { return p.id == query.Get("provider") })
	if err != nil {
		l.showError(w, r, LoginStep{Err: err})
		return
	}
	if p := query.Get("provider"); query.Has(restartParameter) && p != "" && len(choice) == 1 && choice[0].id != p {
		// The callback was of p, and Choose names another: whose login it was, nobody knows.
		l.showError(w, r, LoginStep{Provider: p, Err: errNoAttempt, returnTo: wish.returnTo})
		return
	}
	l.beginAtOneOf(w, r, choice, wish)
}

// A loginWish is what the start of a login asks for.
type loginWish struct {
	returnTo string
	options  []oidc.Option
	stepUp   bool       // it is for more than just a session
	query    url.Values // the same, for a link
}

// The parameters of LoginPath have the names of those of OpenID Connect Core section 3.1.2.1,
// and their limits are ours: what is longer was not written by us.
const (
	maxACRValues = 512 // bytes of JSON, as maxReturnTo
	maxHint      = 256
)

// wishOf reads the parameters of LoginPath. Whoever makes one up gets the login that he asks
// for, which opens no more than the tokens say.
func (l *Login) wishOf(query url.Values) (loginWish, error) {
	wish := loginWish{returnTo: l.returnTo(query.Get("return_to")), query: url.Values{}}
	wish.query.Set("return_to", wish.returnTo)
	if acr := query.Get("acr_values"); acr != "" {
		values := strings.Fields(acr)
		if sizeInJSON(values) > maxACRValues || len(values) == 0 || !isPrintable(acr) {
			return wish, &oidc.CallbackError{Parameter: "acr_values", Problem: "is malformed"}
		}
		wish.add("acr_values", acr, oidc.WithACRValues(values...))
		wish.stepUp = true
	}
	if age := query.Get("max_age"); age != "" {
		seconds, err := strconv.ParseUint(age, 10, 31)
		if err != nil {
			return wish, &oidc.CallbackError{Parameter: "max_age", Problem: "is malformed"}
		}
		wish.add("max_age", age, oidc.WithMaxAge(time.Duration(seconds)*time.Second))
		wish.stepUp = true
	}
	return wish, nil
}

func (w *loginWish) add(name, value string, o oidc.Option) {
	w.query.Set(name, value)
	w.options = append(w.options, o)
}

func isPrintable(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c < 0x20 || c >= 0x7f })
}

// choice returns the providers that a request may log in at: the one that Choose names for it
// or for where it goes, else those that fit, else all.
func (l *Login) choice(r *http.Request, returnTo string, fits func(*loginProvider) bool) ([]*loginProvider, error) {
	chosen, err := l.chosenFor(r, returnTo)
	if err != nil || chosen != nil {
		return []*loginProvider{chosen}, err
	}
	var fitting []*loginProvider
	for _, p := range l.providers {
		if fits(p) {
			fitting = append(fitting, p)
		}
	}
	if len(fitting) == 0 {
		return l.providers, nil
	}
	return fitting, nil
}

var errBadChoice = errors.New("middleware: LoginConfig.Choose returned an ID that none of Providers has")

// chosenFor returns the provider that Choose names for a request or for where it goes, nil if
// the user chooses.
func (l *Login) chosenFor(r *http.Request, returnTo string) (*loginProvider, error) {
	if l.cfg.Choose == nil {
		return nil, nil
	}
	id := l.cfg.Choose(r)
	if target, err := url.Parse(l.asItComes(r, returnTo)); id == "" && err == nil {
		there := r.Clone(r.Context()) // the path of a tenant is there, and not in that of the login
		there.Method, there.URL, there.RequestURI, there.Body = http.MethodGet, target, target.RequestURI(), http.NoBody
		id = l.cfg.Choose(there)
	}
	if id == "" {
		return nil, nil
	}
	p := l.provider(id)
	if p == nil {
		return nil, errBadChoice
	}
	return p, nil
}

// asItComes is a path of ours as a request for it would have it, which depends on whether a proxy
// takes the path of PublicURL away. From r, which is for a path of ours, we know.
func (l *Login) asItComes(r *http.Request, target string) string {
	if strings.HasPrefix(r.URL.Path, l.base+"/") {
		return target
	}
	return rooted(strings.TrimPrefix(target, l.base))
}

// beginAtOneOf begins a login, after the user has chosen if there is a choice.
func (l *Login) beginAtOneOf(w http.ResponseWriter, r *http.Request, choice []*loginProvider, wish loginWish) {
	if len(choice) == 1 {
		l.begin(w, r, choice[0], wish)
		return
	}
	links := map[string]string{}
	for _, p := range choice {
		wish.query.Set("provider", p.id)
		links[p.id] = l.startURL(wish.query)
	}
	l.showChoice(w, r, links)
}

// startURL is the path of a login, as browsers see it.
func (l *Login) startURL(query url.Values) string {
	return l.base + l.cfg.LoginPath + "?" + query.Encode()
}

// begin sends the browser to the provider.
func (l *Login) begin(w http.ResponseWriter, r *http.Request, p *loginProvider, wish loginWish) {
	if l.goesRound(r, wish) {
		l.dropSmall(w, guardCookie) // who tries again after the page is no machine
		l.showLoop(w, r)
		return
	}
	asked := l.now()
	options := append([]oidc.Option{oidc.WithRedirectURL(p.redirectURL)}, wish.options...)
	if l.cfg.FormPost { // else it is the query, without a word
		options = append(options, oidc.WithResponseMode("form_post"))
	}
	flow, err := p.client.Begin(r.Context(), options...)
	if err != nil {
		l.showError(w, r, LoginStep{Provider: p.id, Err: err, returnTo: wish.returnTo})
		return
	}
	name := flowName(flow.State())
	if err := l.keepAttempt(w, r, p, flow, wish.returnTo); err != nil {
		l.showError(w, r, LoginStep{Flow: name, Provider: p.id, Err: err, returnTo: wish.returnTo})
		return
	}
	l.step(r.Context(), LoginStep{Kind: LoginStarted, Flow: name, Provider: p.id, Took: l.now().Sub(asked)})
	seeOther(w, flow.AuthorizationURL)
}
