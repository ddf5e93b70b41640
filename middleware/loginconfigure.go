package middleware

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/internal/seal"
	"github.com/oidckit/oidckit/oidc"
)

// configure checks the configuration, and fills in what it leaves open.
func (l *Login) configure() error {
	for _, set := range []func() error{
		l.setPublicURL, l.setKeys, l.setCookieName, l.setPaths, l.setProviders, l.setPostLogout, l.setLifetimes, l.setCrossOrigin, l.setRoutes, l.setMapper, l.cfg.Pages.check,
	} {
		if err := set(); err != nil {
			return fmt.Errorf("middleware: LoginConfig.%w", err)
		}
	}
	return nil
}

func (l *Login) setPublicURL() error {
	if l.cfg.PublicURL == "" {
		return errors.New(`PublicURL is required: where browsers reach the application, such as "https://app.example.com"`)
	}
	if err := fetch.CheckURL(l.cfg.PublicURL, false); err != nil {
		return fmt.Errorf("PublicURL %q: %w", l.cfg.PublicURL, err)
	}
	l.cfg.PublicURL = strings.TrimSuffix(l.cfg.PublicURL, "/")
	u, err := url.Parse(l.cfg.PublicURL)
	if err != nil {
		return errors.New("PublicURL is not a URL")
	}
	if strings.Contains(l.cfg.PublicURL, "?") || u.Path != "" && !isPlainPath(u.EscapedPath()) {
		return fmt.Errorf("PublicURL %q: give it no query, and a path without percent-encoding, dots or empty parts, if any", l.cfg.PublicURL)
	}
	l.base, l.origin, l.secure = u.Path, originOf(u), u.Scheme == "https"
	return nil
}

// originOf writes scheme and host as browsers do in the header Origin: in lower case, without
// the port that is the scheme's own.
func originOf(u *url.URL) string {
	host := strings.ToLower(u.Host)
	if port := u.Port(); port == "" || u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return u.Scheme + "://" + host
}

func (l *Login) setKeys() (err error) {
	switch {
	case l.cfg.EphemeralKeys && len(l.cfg.Keys) > 0:
		return errors.New("EphemeralKeys stands beside Keys: remove one of them")
	case l.cfg.EphemeralKeys:
		l.keys = seal.Random()
		return nil
	case len(l.cfg.Keys) == 0:
		return errors.New(`Keys is required: a secret of "openssl rand -base64 32", the same in all processes; or set EphemeralKeys, with which sessions end with the process`)
	}
	secrets := make([][]byte, len(l.cfg.Keys))
	for i, k := range l.cfg.Keys {
		secrets[i] = []byte(k)
	}
	l.cfg.Keys = nil // the ring has them
	if l.keys, err = seal.New(secrets...); err != nil {
		return fmt.Errorf("Keys: %w", err)
	}
	return nil
}

func (l *Login) setCookieName() error {
	l.cfg.CookieName = cmp.Or(l.cfg.CookieName, "oidckit")
	if len(l.cfg.CookieName) > 32 || strings.ContainsFunc(l.cfg.CookieName, func(c rune) bool { return !isNameRune(c) && c != '_' }) {
		return fmt.Errorf(`CookieName %q: use at most 32 of letters, digits, "-" and "_"`, l.cfg.CookieName)
	}
	return nil
}

func isNameRune(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-'
}

// setPaths leaves what is wrong with a path to setRoutes.
func (l *Login) setPaths() error {
	c := &l.cfg
	c.LoginPath = cmp.Or(c.LoginPath, "/login")
	c.CallbackPath = cmp.Or(c.CallbackPath, "/callback")
	c.LogoutPath = cmp.Or(c.LogoutPath, "/logout")
	c.InitiateLoginPath = cmp.Or(c.InitiateLoginPath, c.LoginPath+"/initiate")
	c.SessionPath = cmp.Or(c.SessionPath, c.LoginPath+"/session")
	c.BackChannelLogoutPath = cmp.Or(c.BackChannelLogoutPath, c.LogoutPath+"/backchannel")
	c.FrontChannelLogoutPath = cmp.Or(c.FrontChannelLogoutPath, c.LogoutPath+"/frontchannel")
	return nil
}

// isPlainPath reports whether every proxy, browser and mux reads p as the same path.
func isPlainPath(p string) bool {
	return strings.HasPrefix(p, "/") && p != "/" && path.Clean(p) == p && (&url.URL{Path: p}).EscapedPath() == p && !strings.Contains(p, "%")
}

func (l *Login) setProviders() error {
	c := &l.cfg
	switch {
	case c.Client != nil && len(c.Providers) > 0:
		return errors.New("Client stands beside Providers: remove one of them")
	case c.Client != nil && c.Choose != nil:
		return errors.New("Choose has nothing to choose from: set Providers in place of Client")
	case c.Client != nil:
		return l.addProvider("Client", LoginProvider{Client: c.Client})
	case len(c.Providers) == 0:
		return errors.New("Client is required, or Providers where users may choose")
	}
	c.Providers = slices.Clone(c.Providers)
	for i, p := range c.Providers {
		field := fmt.Sprintf("Providers[%d]", i)
		if !isProviderID(p.ID) {
			return fmt.Errorf(`%s.ID %q: use 1 to 32 of a-z, 0-9 and "-"`, field, p.ID)
		}
		if l.provider(p.ID) != nil {
			return fmt.Errorf("%s.ID %q is that of another one: give each its own", field, p.ID)
		}
		if p.Client == nil {
			return fmt.Errorf("%s.Client is required", field)
		}
		if err := l.addProvider(field+".Client", p); err != nil {
			return err
		}
	}
	return nil
}

func isProviderID(id string) bool {
	return 0 < len(id) && len(id) <= 32 && !strings.ContainsFunc(id, func(c rune) bool { return !isNameRune(c) || 'A' <= c && c <= 'Z' })
}

func (l *Login) addProvider(field string, from LoginProvider) error {
	p := &loginProvider{id: from.ID, name: cmp.Or(from.Name, from.ID), client: from.Client}
	p.redirectURL = l.cfg.PublicURL + l.cfg.CallbackPath + p.pathEnd()
	if set := p.client.RedirectURL(); set != "" && set != p.redirectURL {
		return fmt.Errorf("%s has the RedirectURL %q: leave it empty, or make it %q, which follows from PublicURL and CallbackPath", field, set, p.redirectURL)
	}
	var err error
	p.logout, err = p.client.NewLogoutTokenVerifier(oidc.LogoutTokenConfig{Replay: logoutReplays{}})
	if err != nil {
		return fmt.Errorf("%s: %w", field, err)
	}
	l.providers = append(l.providers, p)
	return nil
}

// pathEnd makes the paths of one of several providers its own.
func (p *loginProvider) pathEnd() string {
	if p.id == "" {
		return ""
	}
	return "/" + p.id
}

func (l *Login) setPostLogout() error {
	l.cfg.PostLogoutRedirectURL = cmp.Or(l.cfg.PostLogoutRedirectURL, l.cfg.PublicURL+"/")
	if err := fetch.CheckURL(l.cfg.PostLogoutRedirectURL, false); err != nil {
		return fmt.Errorf("PostLogoutRedirectURL %q: %w", l.cfg.PostLogoutRedirectURL, err)
	}
	return nil
}

func (l *Login) setLifetimes() error {
	c := &l.cfg
	for _, d := range []struct {
		name     string
		value    *time.Duration
		standard time.Duration
	}{
		{"Lifetime", &c.Lifetime, 8 * time.Hour},
		{"IdleLifetime", &c.IdleLifetime, time.Hour},
		{"RevalidateEvery", &c.RevalidateEvery, time.Hour},
		{"OutageLimit", &c.OutageLimit, time.Hour},
	} {
		if *d.value < 0 {
			return fmt.Errorf("%s is negative: 0 is the default, %s", d.name, d.standard)
		}
		if d.name == "IdleLifetime" && *d.value > c.Lifetime {
			return errors.New("IdleLifetime is longer than Lifetime: make it shorter, or leave it empty")
		}
		if *d.value == 0 {
			*d.value = d.standard
		}
	}
	c.IdleLifetime = min(c.IdleLifetime, c.Lifetime)
	return nil
}

func (l *Login) setCrossOrigin() error {
	if l.cfg.CrossOrigin != nil {
		return nil
	}
	l.cfg.CrossOrigin = http.NewCrossOriginProtection()
	if err := l.cfg.CrossOrigin.AddTrustedOrigin(l.origin); err != nil {
		return fmt.Errorf("PublicURL: %w", err)
	}
	return nil
}

// setRoutes fails where one path would hide another.
func (l *Login) setRoutes() error {
	c, get, post := &l.cfg, []string{http.MethodGet}, []string{http.MethodPost}
	both := append(get, post...)
	callback := get
	if c.FormPost {
		callback = both // by GET without an answer: answerOf takes none in another way than it was asked for
	}
	l.routes = map[string]route{}
	err := errors.Join(
		l.addRoute("LoginPath", c.LoginPath, get, l.start),
		l.addRoute("LogoutPath", c.LogoutPath, both, l.logout),
		l.addRoute("InitiateLoginPath", c.InitiateLoginPath, both, l.initiate),
		l.addRoute("SessionPath", c.SessionPath, get, l.sessionInfo),
	)
	for _, p := range l.providers {
		err = errors.Join(err,
			l.addRoute("CallbackPath", c.CallbackPath+p.pathEnd(), callback, l.callback(p)),
			l.addRoute("BackChannelLogoutPath", c.BackChannelLogoutPath+p.pathEnd(), post, l.backChannelLogout(p)))
	}
	if c.FrontChannelLogout {
		err = errors.Join(err, l.addRoute("FrontChannelLogoutPath", c.FrontChannelLogoutPath, get, l.frontChannelLogout))
	}
	return err
}

func (l *Login) addRoute(field, at string, methods []string, serve http.HandlerFunc) error {
	if !isPlainPath(at) {
		return fmt.Errorf(`%s %q: begin it with "/", and use neither "/" alone nor a query, percent-encoding, dots or empty parts`, field, at)
	}
	if _, taken := l.routes[at]; taken {
		return fmt.Errorf("%s %q is the path of another route: give each its own", field, at)
	}
	l.routes[at] = route{methods, serve}
	return nil
}
