package oidctest

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
)

//go:embed pages
var pagesFS embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"style":  func() template.CSS { return template.CSS(style) }, //nolint:gosec // our own file
	"script": func() template.JS { return submitScript },
}).ParseFS(pagesFS, "pages/*.html"))

var style = mustRead("pages/style.css")

// submitScript submits the form of a form_post page (OAuth 2.0 Form Post Response
// Mode); a browser without scripts shows its button.
const submitScript = "document.forms[0].submit()"

// contentPolicy allows our style and our script by their hashes, and nothing
// else. It has no form-action: Chrome applies that to the redirect after the
// login as well, and would not let the browser go back to the client.
var contentPolicy = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; " +
	"style-src 'sha256-" + hash256(style) + "'; script-src 'sha256-" + hash256(submitScript) + "'"

func mustRead(name string) string {
	b, err := pagesFS.ReadFile(name)
	if err != nil { // unreachable: the file is embedded
		panic(err)
	}
	return string(b)
}

func hash256(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

type loginPage struct {
	Action, Authorization string
	ClientID, Username    string
	Wrong                 bool
	Users                 []User
}

type formPostPage struct {
	Action template.URL
	Values url.Values
}

type messagePage struct{ Title, Message string }

type confirmPage struct {
	Action string
	Values url.Values
}

// page writes a page with the headers that keep it from being framed, cached or
// named as a referrer.
func page(w http.ResponseWriter, status int, name string, data any) {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, data); err != nil {
		http.Error(w, "page not available", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the other side may have gone
}

// errorPage is for requests that may not be answered by a redirect.
func errorPage(w http.ResponseWriter, message string) {
	page(w, http.StatusBadRequest, "message.html", messagePage{Title: "This does not work", Message: message})
}
