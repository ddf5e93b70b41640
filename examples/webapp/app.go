package main

import (
	"bytes"
	_ "embed" // for the page
	"encoding/json"
	"html/template"
	"net/http"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/middleware"
)

//go:embed home.html
var homeText string

var homePage = template.Must(template.New("home").Parse(homeText))

// An app has the handlers of the application.
type app struct{ cfg config }

// A user is what the application shows of a session.
type user struct {
	Issuer   string          `json:"iss"`
	Subject  string          `json:"sub"`
	Name     string          `json:"name"`
	Roles    []string        `json:"roles"`
	Claims   json.RawMessage `json:"claims"`
	UserInfo json.RawMessage `json:"userinfo,omitempty"`
}

func (a *app) user(s *middleware.Session) user {
	u := user{Issuer: s.Issuer(), Subject: s.Subject(), Claims: s.Tokens.IDToken.Claims.Raw()}
	if s.UserInfo != nil {
		u.UserInfo = s.UserInfo.Claims.Raw()
	}
	for _, name := range []string{"name", "preferred_username", "email", "sub"} {
		if value, err := s.String(claims.P(name)); err == nil && value != "" {
			u.Name = value
			break
		}
	}
	// No roles, or a claim that is none, gives no rights.
	if u.Roles, _ = s.Strings(a.cfg.rolesClaim); u.Roles == nil {
		u.Roles = []string{}
	}
	return u
}

func (a *app) me(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	s, ok := middleware.SessionFrom(r.Context())
	if !ok {
		w.WriteHeader(http.StatusUnauthorized)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": "login_required", "login_url": "/login"})
		return
	}
	_ = json.NewEncoder(w).Encode(a.user(s))
}

func (a *app) home(w http.ResponseWriter, r *http.Request) {
	var view struct {
		LoggedIn bool
		User     user
		Claims   string
		UserInfo string
		Issuer   string
	}
	view.Issuer = a.cfg.issuer
	if s, ok := middleware.SessionFrom(r.Context()); ok {
		view.LoggedIn, view.User = true, a.user(s)
		view.Claims, view.UserInfo = indented(view.User.Claims), indented(view.User.UserInfo)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	_ = homePage.Execute(w, view)
}

func indented(raw json.RawMessage) string {
	var b bytes.Buffer
	if json.Indent(&b, raw, "", "  ") != nil {
		return ""
	}
	return b.String()
}
