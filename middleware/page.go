package middleware

import (
	"bytes"
	_ "embed" // for the page
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
)

// LoginPages are how the pages of a [Login] look and what they say. The zero value is ours, in
// English: light or dark as the browser likes it, without scripts, and without anything from
// elsewhere.
type LoginPages struct {
	// Name is that of the application, for people; default is the host of PublicURL.
	Name string
	// Edit changes what a page says before it is shown: the words of another language, by
	// Accept-Language or what else the application goes by, or another address for people to
	// go on. It gets our page in English. Changes to Kind, Status and Reference count for
	// nothing. Called from many goroutines.
	Edit func(r *http.Request, p *Page)
	// Template shows a [Page], which is its data, in place of ours. One that fails is told to
	// the log, and our page is shown.
	Template *template.Template
	// ContentSecurityPolicy is what pages may load, for a Template with a style sheet or a
	// logo: "default-src 'none'; style-src 'self'; img-src 'self'". Default is styles within
	// the page, and nothing else. That no other site may frame the page, or change where its
	// links begin, holds whatever it says.
	ContentSecurityPolicy string
}

// A Page is one of our own. Nothing in it was written by the provider or by the sender of the
// request, but for addresses within the application: the [html/template] escapes them.
type Page struct {
	Kind   PageKind
	Status int    // of HTTP
	Name   string // of the application
	Lang   string // what it is written in (RFC 5646); "en"
	Title  string
	Text   string
	// Actions are what people can do about it, the first thing first. On a page of kind
	// PageProviders they are the providers; else they may be none.
	Actions []PageAction
	// Reference finds the event in the log, where it is the "flow". Empty if it has none.
	Reference      string
	ReferenceLabel string // "Reference"
}

// A PageAction is a link, or a form without fields.
type PageAction struct {
	Kind  PageActionKind
	Label string
	URL   string
	// Post means a form that is posted; else it is a link.
	Post bool
	// Provider is the ID of the LoginProvider that it leads to; empty for other actions.
	Provider string
}

// A PageActionKind says what a [PageAction] does, for words of another language.
type PageActionKind string

// The kinds of actions.
const (
	ActionProvider  PageActionKind = "provider"       // log in at this one of several; its label is the LoginProvider's Name
	ActionLogIn     PageActionKind = "log_in"         // begin a login
	ActionTryAgain  PageActionKind = "try_again"      // ask for the same, or begin the login anew
	ActionStartPage PageActionKind = "start_page"     // "/" below PublicURL
	ActionLogOut    PageActionKind = "log_out"        // a link, or the form of the page that asks
	ActionStay      PageActionKind = "stay_logged_in" // likewise the start page
)

//go:embed page.html
var pageHTML string

var ourPage = template.Must(template.New("page").Parse(pageHTML))

// check executes the Template once for each page: a mistake in it is found when the program
// starts, and not on the day when something goes wrong.
func (p LoginPages) check() error {
	if p.Template == nil {
		return nil
	}
	for kind, words := range english {
		page := Page{
			Kind: kind, Status: words.status, Name: "example", Lang: "en", Title: words.title, Text: words.text,
			Actions: []PageAction{{ActionProvider, "example", "/", false, "example"}, {ActionLogOut, "example", "/", true, ""}},
		}
		if _, err := render(p.Template, page); err != nil {
			return fmt.Errorf("Pages.Template: it must show a middleware.Page: %w", err)
		}
	}
	return nil
}

// show answers with a page, or with its kind as JSON where no person asks.
func (l *Login) show(w http.ResponseWriter, r *http.Request, p Page) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", referrerPolicy(p))
	if !isForPerson(r) {
		writeJSON(w, p.Status, pageJSON{p.Kind, p.Reference})
		return
	}
	body := l.render(r, p)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", l.contentSecurityPolicy())
	h.Set("X-Frame-Options", "DENY") // for browsers that do not know frame-ancestors
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // the browser went away
}

// A pageJSON is what a program gets in place of a Page.
type pageJSON struct {
	Error     PageKind `json:"error"`
	Reference string   `json:"reference,omitempty"`
}

// render makes the whole page before anything is sent: no template leaves half of one.
func (l *Login) render(r *http.Request, p Page) []byte {
	p.Name, p.Lang, p.ReferenceLabel = l.appName(), "en", "Reference"
	if l.cfg.Pages.Edit != nil {
		edited := p
		l.cfg.Pages.Edit(r, &edited)
		edited.Kind, edited.Status, edited.Reference = p.Kind, p.Status, p.Reference
		p = edited
	}
	if l.cfg.Pages.Template != nil {
		body, err := render(l.cfg.Pages.Template, p)
		if err == nil {
			return body
		}
		l.step(r.Context(), LoginStep{Kind: PageFailed, Flow: p.Reference, Err: fmt.Errorf("middleware: LoginPages.Template: %w", err)})
	}
	body, _ := render(ourPage, p) // it shows every Page: a test has it show them all
	return body
}

func render(t *template.Template, p Page) ([]byte, error) {
	var b bytes.Buffer
	err := t.Execute(&b, p)
	return b.Bytes(), err
}

func (l *Login) appName() string {
	if l.cfg.Pages.Name != "" {
		return l.cfg.Pages.Name
	}
	_, host, _ := strings.Cut(l.origin, "://")
	return host
}

// ourContentSecurityPolicy has no form-action: browsers hold it against redirects too, and a
// logout ends at the provider.
const ourContentSecurityPolicy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"

// contentSecurityPolicy has what always holds first: of two directives of a name, the first
// counts (CSP Level 3 section 2.2.1).
func (l *Login) contentSecurityPolicy() string {
	if l.cfg.Pages.ContentSecurityPolicy == "" {
		return ourContentSecurityPolicy
	}
	return "base-uri 'none'; frame-ancestors 'none'; " + l.cfg.Pages.ContentSecurityPolicy
}

// referrerPolicy hides our addresses, which may hold a code (RFC 9700 section 4.2). But with
// no-referrer a form would be posted with "Origin: null", and taken for another site's where
// browsers send no Sec-Fetch-Site.
func referrerPolicy(p Page) string {
	if slices.ContainsFunc(p.Actions, func(a PageAction) bool { return a.Post }) {
		return "same-origin"
	}
	return "no-referrer"
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client went away
}
