package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// exampleLoginAt logs people in at a provider.
func exampleLoginAt(issuer string, pages middleware.LoginPages) *middleware.Login {
	provider, err := oidc.NewProvider(oidc.Config{Issuer: issuer})
	if err != nil {
		log.Fatal(err)
	}
	client, err := oidc.NewClient(provider, oidc.ClientConfig{ClientID: oidctest.ClientID, ClientSecret: oidctest.ClientSecret})
	if err != nil {
		log.Fatal(err)
	}
	login, err := middleware.NewLogin(middleware.LoginConfig{
		Client: client, PublicURL: "https://app.example.com", EphemeralKeys: true, Pages: pages,
	})
	if err != nil {
		log.Fatal(err)
	}
	return login
}

// Health endpoints are the program's own: it knows what it is ready for without its provider.
func ExampleLogin_Ready() {
	op, err := oidctest.Listen("127.0.0.1:0", oidctest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	login := exampleLoginAt(op.Issuer(), middleware.LoginPages{})

	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {}) // it runs: a restart mends nothing else
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		if err := login.Ready(ctx); errors.Is(err, oidckit.ErrUnavailable) {
			http.Error(w, "logins have to wait", http.StatusServiceUnavailable)
		}
	})

	ask := func(path string) {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, path, http.NoBody))
		fmt.Println(path, w.Code)
	}
	_ = op.Close() // the provider is down from the start
	ask("/healthz")
	ask("/readyz")
	for id, status := range login.Status().Providers {
		fmt.Printf("provider %q: asked %d time(s), %d failed\n", id, status.Metadata.Attempts, status.Metadata.Failures)
	}
	// Output:
	// /healthz 200
	// /readyz 503
	// provider "": asked 1 time(s), 1 failed
}

// The pages of a login in the language of who reads them.
func ExampleLoginPages() {
	op, err := oidctest.Listen("127.0.0.1:0", oidctest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	_ = op.Close() // so that there is a page to see

	actions := map[middleware.PageActionKind]string{middleware.ActionTryAgain: "Noch einmal versuchen"}
	german := map[middleware.PageKind]struct{ title, text string }{
		middleware.PageProviderDown: {"Keine Anmeldung möglich", "Der Anmeldedienst antwortet nicht. Bitte versuchen Sie es später noch einmal."},
	}
	login := exampleLoginAt(op.Issuer(), middleware.LoginPages{
		Name: "Reiseplaner",
		Edit: func(r *http.Request, p *middleware.Page) {
			words, ok := german[p.Kind]
			if !ok || !strings.HasPrefix(r.Header.Get("Accept-Language"), "de") {
				return
			}
			p.Lang, p.Title, p.Text = "de", words.title, words.text
			for i, a := range p.Actions {
				p.Actions[i].Label = actions[a.Kind]
			}
		},
	})

	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/login", http.NoBody)
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Accept-Language", "de-CH")
	w := httptest.NewRecorder()
	login.Handler(http.NotFoundHandler()).ServeHTTP(w, r)
	fmt.Println(w.Code)
	for line := range strings.Lines(w.Body.String()) {
		if strings.Contains(line, "<title>") || strings.Contains(line, "<a ") {
			fmt.Println(strings.TrimSpace(line))
		}
	}
	// Output:
	// 503
	// <title>Keine Anmeldung möglich · Reiseplaner</title>
	// <a class="act first" href="/login">Noch einmal versuchen</a>
}
