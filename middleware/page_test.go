package middleware_test

import (
	"errors"
	"flag"
	"html/template"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
)

var updatePages = flag.Bool("update-pages", false, "write testdata/pages anew, to be looked at by people")

// newPageLogin makes a Login whose provider nobody asks. Its providers are there to be chosen.
func newPageLogin(t *testing.T, configure ...func(*middleware.LoginConfig)) *middleware.Login {
	t.Helper()
	provider, err := oidc.NewProvider(oidc.Config{Issuer: "https://login.example"})
	require.NoError(t, err)
	client, err := oidc.NewClient(provider, oidc.ClientConfig{ClientID: "client"})
	require.NoError(t, err)
	cfg := middleware.LoginConfig{
		PublicURL: "https://travel.example/app", Keys: testKeys,
		Providers: []middleware.LoginProvider{
			{ID: "corp", Name: "Example Corp", Client: client},
			{ID: "guests", Name: "Guests & partners", Client: client},
			{ID: "hidden", Client: client},
		},
	}
	for _, f := range configure {
		f(&cfg)
	}
	l, err := middleware.NewLogin(cfg)
	require.NoError(t, err)
	return l
}

// A shower answers a request with a page.
type shower func(l *middleware.Login, w http.ResponseWriter, r *http.Request)

func fails(kind middleware.LoginStepKind, err error) shower {
	return func(l *middleware.Login, w http.ResponseWriter, r *http.Request) {
		s := middleware.LoginStep{Kind: kind, Flow: "k3v9x2m7qd4t", Err: err}
		if kind == "" {
			s = middleware.ReturningTo(s, "/app/report?id=1&x")
		}
		middleware.ShowError(l, w, r, s)
	}
}

func authorizationError(code string) error {
	return &oidc.AuthorizationError{Code: code, Description: providerText}
}

// providerText is what no page and no log may show.
const providerText = "<script>of the provider"

var errPlain = errors.New("plain")

func outage(err error) error {
	return &oidckit.UnavailableError{What: "provider metadata", Err: err, RetryAfter: 90 * time.Second}
}

// formLogin is where a login starts that ends at a form.
var formLogin = "/app/login?" + url.Values{"return_to": {`/app/form?a=b&c="<d>`}}.Encode()

// pages are one of each kind.
var pages = map[middleware.PageKind]struct {
	status int
	post   bool // it has a form
	show   shower
}{
	middleware.PageProviders: {200, false, func(l *middleware.Login, w http.ResponseWriter, r *http.Request) {
		middleware.ShowChoice(l, w, r, map[string]string{"guests": "/app/login?provider=guests&return_to=%2Fa", "corp": "/app/login?provider=corp"})
	}},
	middleware.PageConfirmLogout:       {200, true, middleware.ShowLogoutConfirm},
	middleware.PageLoginExpired:        {400, false, fails("", &oidc.CallbackError{Parameter: "state", Problem: "has expired"})},
	middleware.PageLoginDenied:         {403, false, fails("", authorizationError("access_denied"))},
	middleware.PageInteractionRequired: {403, false, fails("", authorizationError("login_required"))},
	middleware.PageAuthenticationUnmet: {403, false, fails("", &oidc.Error{Reason: oidc.ReasonAuthentication})},
	middleware.PageBadAnswer:           {400, false, fails("", &oidc.Error{Reason: oidc.ReasonNonce})},
	middleware.PageBadLink: {400, false, func(l *middleware.Login, w http.ResponseWriter, r *http.Request) {
		r.URL.Path = "/app/login"
		fails("", &oidc.CallbackError{Parameter: "max_age", Problem: "is malformed"})(l, w, r)
	}},
	middleware.PageCookiesOff: {400, false, middleware.ShowCookiesOff},
	middleware.PageLoginLoop:  {429, false, middleware.ShowLoop},
	middleware.PageNotAllowed: {403, false, fails(middleware.AccessRefused, &middleware.RequirementError{Err: errPlain})},
	middleware.PageCrossSite:  {403, false, fails(middleware.AccessRefused, errors.Join(oidckit.ErrForbidden, middleware.ErrCrossSite))},
	middleware.PageSessionEnded: {401, false, func(l *middleware.Login, w http.ResponseWriter, r *http.Request) {
		middleware.ShowSessionEnded(l, w, r, formLogin)
	}},
	middleware.PageProviderDown:     {503, false, fails("", outage(errPlain))},
	middleware.PageSessionsDown:     {503, false, fails("", middleware.StoreDown(errPlain))},
	middleware.PageLogoutIncomplete: {503, false, fails(middleware.LogoutNotTold, outage(errPlain))},
	middleware.PageMisconfigured:    {500, false, fails("", errPlain)},
}

// shown is what show answers to a request for path, with headers in pairs.
func shown(l *middleware.Login, show shower, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "https://travel.example"+path, http.NoBody)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	if r.Header["Accept"] == nil {
		r.Header.Set("Accept", "text/html")
	}
	w := httptest.NewRecorder()
	show(l, w, r)
	return w
}

// Each kind of page, as people get it.
func TestF42_Needs42_Pages(t *testing.T) {
	t.Parallel()
	l := newPageLogin(t)
	for _, kind := range middleware.PageKinds() {
		t.Run(string(kind), func(t *testing.T) {
			page, ok := pages[kind]
			require.True(t, ok, "each kind has a test")
			w := shown(l, page.show, "/app/callback/corp?code=c&state=s")
			h := w.Header()
			require.Equal(t, page.status, w.Code)
			require.Equal(t, "text/html; charset=utf-8", h.Get("Content-Type"))
			require.Equal(t, "no-store", h.Get("Cache-Control"))
			require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"))
			require.Equal(t, "DENY", h.Get("X-Frame-Options"))
			require.Equal(t, "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'", h.Get("Content-Security-Policy"))
			require.Equal(t, page.status == 503, h.Get("Retry-After") != "")
			// The page that asks must get an Origin through: with no-referrer, browsers that
			// send no Sec-Fetch-Site say "Origin: null", and it would ask for ever.
			policy := map[bool]string{false: "no-referrer", true: "same-origin"}[page.post]
			require.Equal(t, policy, h.Get("Referrer-Policy"))
			require.Equal(t, page.post, strings.Contains(w.Body.String(), `<form method="post"`))
			requireWholePage(t, w.Body.String())
			requireGolden(t, filepath.Join("testdata", "pages", string(kind)+".html"), w.Body.String())
		})
	}
	require.Len(t, pages, len(middleware.PageKinds()))
}

func requireGolden(t *testing.T, file, got string) {
	t.Helper()
	if *updatePages {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), got, "go test ./middleware -run Pages -update-pages writes them anew")
}

// loads is how a page would make a browser fetch something, or run it.
var loads = regexp.MustCompile(`(?i)<script|<link|<img|<iframe|\bsrc=|@import|url\(|\bon[a-z]+=|javascript:|https?://`)

func requireWholePage(t *testing.T, body string) {
	t.Helper()
	require.True(t, strings.HasPrefix(body, "<!doctype html>\n<html lang=\"en\">"))
	require.True(t, strings.HasSuffix(body, "</html>\n"))
	require.Equal(t, 1, strings.Count(body, "<h1>"))
	require.Equal(t, 1, strings.Count(body, "<main"))
	require.NotRegexp(t, loads, body)
	require.NotContains(t, body, "of the provider")
	require.NotContains(t, body, "ZgotmplZ", "html/template took an address for a bad one")
}

// Retry-After is that of the outage.
func TestNeeds42_RetryAfter(t *testing.T) {
	t.Parallel()
	l := newPageLogin(t)
	require.Equal(t, "90", shown(l, pages[middleware.PageProviderDown].show, "/").Header().Get("Retry-After"))
	require.Equal(t, "2", shown(l, pages[middleware.PageSessionsDown].show, "/").Header().Get("Retry-After"))
	require.Equal(t, "1", shown(l, fails("", oidckit.ErrUnavailable), "/").Header().Get("Retry-After"))
}

// kindOf is the kind of a page, as programs get it.
func kindOf(t *testing.T, l *middleware.Login, show shower) middleware.PageKind {
	t.Helper()
	body := shown(l, show, "/", "Sec-Fetch-Mode", "cors").Body.String()
	for kind := range pages {
		if strings.HasPrefix(body, `{"error":"`+string(kind)+`"`) {
			return kind
		}
	}
	require.Fail(t, "no kind", body)
	return ""
}

// What went wrong decides what people are told, and an outage is never anybody's fault.
func TestF09_Needs42_KindsOfErrors(t *testing.T) {
	t.Parallel()
	l := newPageLogin(t)
	refused := middleware.AccessRefused
	for name, tt := range map[string]struct {
		step middleware.LoginStepKind
		err  error
		want middleware.PageKind
	}{
		"denied":                 {"", authorizationError("access_denied"), middleware.PageLoginDenied},
		"interaction":            {"", authorizationError("interaction_required"), middleware.PageInteractionRequired},
		"login":                  {"", authorizationError("login_required"), middleware.PageInteractionRequired},
		"consent":                {"", authorizationError("consent_required"), middleware.PageInteractionRequired},
		"account":                {"", authorizationError("account_selection_required"), middleware.PageInteractionRequired},
		"acr that cannot be":     {"", authorizationError("unmet_authentication_requirements"), middleware.PageAuthenticationUnmet},
		"scope":                  {"", authorizationError("invalid_scope"), middleware.PageMisconfigured},
		"client":                 {"", authorizationError("unauthorized_client"), middleware.PageMisconfigured},
		"provider in trouble":    {"", authorizationError("server_error"), middleware.PageProviderDown},
		"provider busy":          {"", authorizationError("temporarily_unavailable"), middleware.PageProviderDown},
		"another code":           {"", authorizationError("<b>"), middleware.PageBadAnswer},
		"state":                  {"", &oidc.CallbackError{Parameter: "state"}, middleware.PageLoginExpired},
		"spent code":             {"", &oidc.CallbackError{Parameter: "code", Err: errPlain}, middleware.PageLoginExpired},
		"code and error":         {"", &oidc.CallbackError{Parameter: "code"}, middleware.PageBadAnswer},
		"issuer":                 {"", &oidc.CallbackError{Parameter: "iss"}, middleware.PageBadAnswer},
		"callback":               {"", oidckit.ErrInvalidCallback, middleware.PageLoginExpired},
		"token":                  {"", oidckit.ErrInvalidToken, middleware.PageBadAnswer},
		"forbidden":              {"", oidckit.ErrForbidden, middleware.PageLoginDenied},
		"outage of a bad token":  {"", outage(oidckit.ErrInvalidToken), middleware.PageProviderDown},
		"outage of a callback":   {"", &oidc.CallbackError{Parameter: "code", Err: outage(errPlain)}, middleware.PageProviderDown},
		"store at login":         {"", middleware.StoreDown(errPlain), middleware.PageSessionsDown},
		"anything else":          {"", errPlain, middleware.PageMisconfigured},
		"requirement":            {refused, &middleware.ScopeError{}, middleware.PageNotAllowed},
		"step-up":                {refused, &middleware.StepUpError{}, middleware.PageAuthenticationUnmet},
		"session store":          {refused, middleware.StoreDown(errPlain), middleware.PageSessionsDown},
		"provider of a session":  {refused, outage(errPlain), middleware.PageSessionsDown},
		"no Handler":             {refused, errPlain, middleware.PageMisconfigured},
		"logout at the provider": {middleware.LogoutNotTold, outage(errPlain), middleware.PageLogoutIncomplete},
	} {
		require.Equal(t, tt.want, kindOf(t, l, fails(tt.step, tt.err)), name)
	}
}

// What starts a login has no answer of a provider to be wrong with.
func TestNeeds42_BadLink(t *testing.T) {
	t.Parallel()
	l := newPageLogin(t)
	malformed := fails("", &oidc.CallbackError{Parameter: "iss", Problem: "is malformed"})
	for path, want := range map[string]middleware.PageKind{
		"/app/login":          middleware.PageBadLink,
		"/app/login/initiate": middleware.PageBadLink,
		"/app/callback/corp":  middleware.PageBadAnswer,
	} {
		require.Contains(t, shown(l, malformed, path, "Sec-Fetch-Mode", "cors").Body.String(), `"`+string(want)+`"`, path)
	}
	require.Contains(t, shown(l, fails("", outage(errPlain)), "/app/login", "Sec-Fetch-Mode", "cors").Body.String(), `"provider_unavailable"`)
}

// linksOf are where a page leads to.
func linksOf(t *testing.T, w *httptest.ResponseRecorder) (links []string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`(?:href|action)="([^"]*)"`).FindAllStringSubmatch(w.Body.String(), -1) {
		links = append(links, strings.NewReplacer("&amp;", "&").Replace(m[1]))
	}
	return links
}

// No page is a dead end: it leads to where the user was going, and not into what just went
// wrong.
func TestNeeds42_PagesLeadOn(t *testing.T) {
	t.Parallel()
	l := newPageLogin(t)
	login := func(returnTo string) string { return "/app/login?" + url.Values{"return_to": {returnTo}}.Encode() }
	report := login("/app/report?id=1&x")
	for kind, want := range map[middleware.PageKind][]string{
		middleware.PageProviders:           {"/app/login?provider=corp", "/app/login?provider=guests&return_to=%2Fa"},
		middleware.PageConfirmLogout:       {"/app/logout", "/app/"},
		middleware.PageLoginExpired:        {report},
		middleware.PageLoginDenied:         {report, "/app/"},
		middleware.PageInteractionRequired: {report},
		middleware.PageAuthenticationUnmet: {report},
		middleware.PageBadAnswer:           {report, "/app/"},
		middleware.PageBadLink:             {"/app/"},
		middleware.PageCookiesOff:          {"/app/login", "/app/"},
		middleware.PageLoginLoop:           {"/app/login", "/app/"},
		middleware.PageNotAllowed:          {"/app/", "/app/logout"},
		middleware.PageCrossSite:           {"/app/"},
		middleware.PageSessionEnded:        {formLogin},
		middleware.PageProviderDown:        {report},
		middleware.PageSessionsDown:        {report},
		middleware.PageLogoutIncomplete:    {"/app/"},
		middleware.PageMisconfigured:       {"/app/"},
	} {
		require.Equal(t, want, linksOf(t, shown(l, pages[kind].show, "/app/callback/corp?code=c&state=s")), kind)
	}
	for _, home := range []string{"", "/app/"} {
		expired := middleware.ReturningTo(middleware.LoginStep{Err: &oidc.CallbackError{Parameter: "state"}}, home)
		w := shown(l, func(l *middleware.Login, w http.ResponseWriter, r *http.Request) {
			middleware.ShowError(l, w, r, expired)
		}, "/app/form")
		require.Equal(t, []string{"/app/login"}, linksOf(t, w), "the start page needs no word")
	}
}

// To try again is to ask for the same, but for a callback, which is good once, and for a form,
// which no link sends again. A proxy may have taken the path of PublicURL away.
func TestNeeds42_TryAgain(t *testing.T) {
	t.Parallel()
	l := newPageLogin(t)
	down := fails(middleware.AccessRefused, outage(errPlain))
	for path, want := range map[string]string{
		"/app/callback/corp?state=s&code=c":                 "/app/login",
		"/app/logout":                                       "/app/login",
		"/app/login?provider=corp&restart=1&return_to=%2Fa": "/app/login?provider=corp&return_to=%2Fa",
		"/login?return_to=%2Fa":                             "/app/login?return_to=%2Fa",
		"/report?id=1":                                      "/app/report?id=1",
		"/app/report":                                       "/app/report",
		"/app/":                                             "/app/",
	} {
		require.Equal(t, []string{want}, linksOf(t, shown(l, down, path)), path)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "https://travel.example/app/report", http.NoBody)
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	down(l, w, r)
	require.Equal(t, []string{"/app/login"}, linksOf(t, w))
}

// Programs get JSON, by what browsers and others say of themselves; people get the page.
func TestPages_JSONForPrograms(t *testing.T) {
	t.Parallel()
	l := newPageLogin(t)
	for name, tt := range map[string]struct {
		headers []string
		json    bool
	}{
		"navigation":              {[]string{"Sec-Fetch-Mode", "navigate", "Accept", "application/json"}, false},
		"fetch":                   {[]string{"Sec-Fetch-Mode", "cors", "Accept", "*/*"}, true},
		"fetch of HTML":           {[]string{"Sec-Fetch-Mode", "same-origin", "Accept", "text/html"}, true},
		"picture":                 {[]string{"Sec-Fetch-Mode", "no-cors", "Accept", "image/png"}, true},
		"old browser":             {[]string{"Accept", "text/html,application/xhtml+xml,*/*;q=0.8"}, false},
		"old browser, two fields": {[]string{"Accept", "application/json", "Accept", "Text/HTML"}, false},
		"client of JSON":          {[]string{"Accept", "Application/JSON"}, true},
		"client of problems":      {[]string{"Accept", "application/problem+json, */*"}, true},
		"curl":                    {[]string{"Accept", "*/*"}, true},
		"no word":                 {[]string{"Accept", ""}, true},
	} {
		w := shown(l, pages[middleware.PageNotAllowed].show, "/", tt.headers...)
		require.Equal(t, http.StatusForbidden, w.Code, name)
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"), name)
		require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"), name)
		if tt.json {
			require.Equal(t, "application/json", w.Header().Get("Content-Type"), name)
			require.JSONEq(t, `{"error":"not_allowed","reference":"k3v9x2m7qd4t"}`, w.Body.String(), name)
			continue
		}
		require.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"), name)
	}
	w := shown(l, pages[middleware.PageSessionsDown].show, "/", "Sec-Fetch-Mode", "cors")
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "2", w.Header().Get("Retry-After"))
	w = shown(l, middleware.ShowLoop, "/", "Sec-Fetch-Mode", "cors")
	require.JSONEq(t, `{"error":"login_loop"}`, w.Body.String(), "no event has this reference")
}

// hostile is text that must come out as text, wherever it stands.
const hostile = `"'><script>alert(1)</script>`

func TestPagesEscape(t *testing.T) {
	t.Parallel()
	edit := func(_ *http.Request, p *middleware.Page) {
		p.Lang, p.Title, p.Text = hostile, hostile, hostile
		p.Actions = append(p.Actions, middleware.PageAction{Label: hostile, URL: "/" + hostile},
			middleware.PageAction{Label: "script", URL: "javascript:alert(1)"}, middleware.PageAction{URL: hostile, Post: true})
	}
	l := newPageLogin(t, func(c *middleware.LoginConfig) {
		c.Pages = middleware.LoginPages{Name: hostile, Edit: edit}
		c.Providers[0].Name = hostile
	})
	for kind, page := range pages {
		body := shown(l, page.show, "/app/"+url.PathEscape(hostile)).Body.String()
		require.NotContains(t, body, "<script", kind)
		require.NotContains(t, body, "javascript:", kind)
		require.NotContains(t, body, `"/"'`, kind)
		require.Contains(t, body, "&lt;script&gt;", kind)
	}
}

// The words are the application's to choose; what the answer means is not.
func TestPages_Edit(t *testing.T) {
	t.Parallel()
	german := func(r *http.Request, p *middleware.Page) {
		if p.Kind != middleware.PageNotAllowed || r.Header.Get("Accept-Language") != "de" {
			return
		}
		p.Lang, p.Name, p.Title, p.Text = "de", "Reisen", "Kein Zugriff", "Dafür fehlt Ihnen ein Recht."
		p.Actions[0].Label = "Zur Startseite"
		p.ReferenceLabel = "Vorgang"
		p.Kind, p.Status, p.Reference = middleware.PageLoginLoop, http.StatusOK, "another"
	}
	l := newPageLogin(t, func(c *middleware.LoginConfig) { c.Pages.Edit = german })
	w := shown(l, pages[middleware.PageNotAllowed].show, "/", "Accept-Language", "de")
	require.Equal(t, http.StatusForbidden, w.Code)
	for _, text := range []string{`<html lang="de">`, "<title>Kein Zugriff · Reisen</title>", "Dafür fehlt Ihnen ein Recht.", ">Zur Startseite</a>", "Vorgang <code>k3v9x2m7qd4t"} {
		require.Contains(t, w.Body.String(), text)
	}
	require.NotContains(t, w.Body.String(), "another")
	w = shown(l, pages[middleware.PageNotAllowed].show, "/")
	require.Contains(t, w.Body.String(), ">Go to the start page</a>", "the page of one request is not that of the next")
}

func TestPages_Name(t *testing.T) {
	t.Parallel()
	show := pages[middleware.PageProviders].show
	require.Contains(t, shown(newPageLogin(t), show, "/").Body.String(), `<p class="name">travel.example</p>`)
	named := newPageLogin(t, func(c *middleware.LoginConfig) { c.Pages.Name = "Travel" })
	require.Contains(t, shown(named, show, "/").Body.String(), `<p class="name">Travel</p>`)
}

func TestPages_Template(t *testing.T) {
	t.Parallel()
	own := template.Must(template.New("own").Parse(`<h1>{{.Status}} {{.Kind}} {{.Title}}</h1>{{range .Actions}}[{{.Provider}} {{.Label}} {{.URL}}]{{end}}`))
	l := newPageLogin(t, func(c *middleware.LoginConfig) {
		c.Pages.Template = own
		c.Pages.ContentSecurityPolicy = "default-src 'none'; img-src 'self'; frame-ancestors *"
	})
	w := shown(l, pages[middleware.PageProviders].show, "/")
	require.Equal(t, `<h1>200 choose_provider Log in</h1>[corp Example Corp /app/login?provider=corp]`+
		`[guests Guests &amp; partners /app/login?provider=guests&amp;return_to=%2Fa]`, w.Body.String())
	// Of two directives of one name, the first counts.
	require.Equal(t, "base-uri 'none'; frame-ancestors 'none'; default-src 'none'; img-src 'self'; frame-ancestors *",
		w.Header().Get("Content-Security-Policy"))
	require.Equal(t, "DENY", w.Header().Get("X-Frame-Options"))
}

// A template that fails half way leaves no half of a page, and the log knows.
func TestPages_FailingTemplate(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	fail := true
	own := template.Must(template.New("own").Funcs(template.FuncMap{"fail": func() (string, error) {
		if fail {
			return "", errPlain
		}
		return "well", nil
	}}).Parse(`<p>half of a page{{fail}}`))
	fail = false
	l := newPageLogin(t, func(c *middleware.LoginConfig) {
		c.Pages.Template = own
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	require.Equal(t, "<p>half of a pagewell", shown(l, pages[middleware.PageNotAllowed].show, "/").Body.String())
	fail = true
	w := shown(l, pages[middleware.PageNotAllowed].show, "/")
	require.Equal(t, http.StatusForbidden, w.Code)
	require.NotContains(t, w.Body.String(), "half of a page")
	requireWholePage(t, w.Body.String())
	require.Contains(t, log.String(), `level=WARN msg="page template failed" flow=k3v9x2m7qd4t`)
}

// A mistake in a template is found when the program starts, whatever page it is on.
func TestPages_TemplateIsTried(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		`{{.Title}}`:    true,
		`{{.Headline}}`: false,
		`{{if eq .Kind "server_error"}}{{.Headline}}{{end}}`:         false,
		`{{range .Actions}}{{if .Post}}{{.Method}}{{end}}{{end}}`:    false,
		`{{range .Actions}}{{.Label}} {{.URL}} {{.Provider}}{{end}}`: true,
	} {
		err := middleware.CheckPages(middleware.LoginPages{Template: template.Must(template.New("").Parse(text))})
		require.Equal(t, good, err == nil, text)
		if !good {
			require.ErrorContains(t, err, "Pages.Template")
		}
	}
	require.NoError(t, middleware.CheckPages(middleware.LoginPages{}))
}
