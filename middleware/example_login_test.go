package middleware_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// exampleLogin makes the Login of an application at publicURL.
func exampleLogin(issuer, publicURL string) *middleware.Login {
	provider, err := oidc.NewProvider(oidc.Config{Issuer: issuer})
	if err != nil {
		log.Fatal(err)
	}
	client, err := oidc.NewClient(provider, oidc.ClientConfig{ClientID: oidctest.ClientID, ClientSecret: oidctest.ClientSecret})
	if err != nil {
		log.Fatal(err)
	}
	login, err := middleware.NewLogin(middleware.LoginConfig{Client: client, PublicURL: publicURL, EphemeralKeys: true})
	if err != nil {
		log.Fatal(err)
	}
	return login
}

// serveExample starts a server for whatever is put into the handler that it returns.
func serveExample() (server *httptest.Server, handler *http.Handler) {
	handler = new(http.Handler)
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*handler).ServeHTTP(w, r) }))
	return server, handler
}

// A somebody has a browser, and logs in as a user wherever a login is wanted.
type somebody struct{ browser *http.Client }

// newSomebody prints where the browser is sent.
func newSomebody(op *oidctest.Provider, username string) *somebody {
	browser := op.Browser(username)
	browser.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		from := via[len(via)-1].URL
		if strings.HasPrefix(from.String(), op.Issuer()) {
			fmt.Printf("    logs in, acr_values %q\n", from.Query().Get("acr_values"))
			return nil
		}
		fmt.Println(r.Response.StatusCode, http.MethodGet, from.Path)
		return nil
	}
	return &somebody{browser}
}

// visit prints what a visit ends with.
func (v *somebody) visit(target string, headers ...string) {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, target, http.NoBody)
	if err != nil {
		log.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := v.browser.Do(r)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.StatusCode, http.MethodGet, res.Request.URL.Path)
	for _, challenge := range res.Header.Values("WWW-Authenticate") {
		fmt.Println("   ", challenge)
	}
	if text := string(body); !strings.HasPrefix(text, "<") {
		fmt.Println("   ", strings.TrimSpace(strings.ReplaceAll(text, r.URL.Host, "app.example")))
	}
}

// hello is a page for whoever gets there.
var hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	session, _ := middleware.SessionFrom(r.Context())
	name, _ := session.String(claims.P("name")) // not all have one
	_, _ = fmt.Fprintf(w, "Hello, %s!", name)
})

// Pages for users, for users with a role, and for users who logged in a moment ago in a safe
// way: the login is asked for just that.
func ExampleLogin_RequireLogin() {
	op, err := oidctest.Listen("127.0.0.1:0", oidctest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = op.Close() }()
	// This provider does as it is asked.
	op.OnIDToken(func(_, claims map[string]any) { claims["acr"] = "phishing-resistant" })

	server, handler := serveExample()
	defer server.Close()
	login := exampleLogin(op.Issuer(), server.URL)

	roles := claims.P("realm_access", "roles")
	mux := http.NewServeMux()
	mux.Handle("GET /account", login.RequireLogin(hello))
	mux.Handle("GET /admin", login.RequireLogin(hello, middleware.RequireRole(roles, "admin")))
	mux.Handle("GET /payments", login.RequireLogin(hello,
		middleware.RequireACR("phishing-resistant", "multi-factor"), middleware.RequireMaxAge(5*time.Minute)))
	mux.Handle("GET /vault", login.RequireLogin(hello, middleware.RequireACR("hardware")))
	*handler = login.Handler(mux)

	bob := newSomebody(op, "bob")
	bob.visit(server.URL + "/account")
	bob.visit(server.URL + "/admin")    // bob has not that role
	bob.visit(server.URL + "/payments") // he has just logged in that way

	// What is no navigation gets the address of the login.
	bob.visit(server.URL+"/vault", "Sec-Fetch-Mode", "cors")

	// Output:
	// 303 GET /account
	// 303 GET /login
	//     logs in, acr_values ""
	// 303 GET /callback
	// 200 GET /account
	//     Hello, Bob Baker!
	// 403 GET /admin
	// 200 GET /payments
	//     Hello, Bob Baker!
	// 401 GET /vault
	//     Cookie
	//     {"error":"insufficient_user_authentication","login_url":"http://app.example/login?acr_values=hardware"}
}

// Tenants that have hosts of their own have a Login each: cookies and redirect URLs are of one
// host. The patterns of http.ServeMux tell them apart; a map of handlers by Request.Host would
// do so too.
func ExampleLogin_Handler() {
	op, err := oidctest.Listen("127.0.0.1:0", oidctest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = op.Close() }()

	mux := http.NewServeMux()
	for _, host := range []string{"red.example.com", "blue.example.com"} {
		login := exampleLogin(op.Issuer(), "https://"+host) // with the client of that tenant
		mux.Handle(host+"/", login.Handler(login.RequireLogin(hello)))
	}

	for _, target := range []string{"https://red.example.com/account", "https://blue.example.com/", "https://other.example.com/"} {
		r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, target, http.NoBody)
		r.Header.Set("Accept", "text/html")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Header().Get("Location"))
	}
	// Output:
	// 303 https://red.example.com/login?return_to=%2Faccount
	// 303 https://blue.example.com/login?return_to=%2F
	// 404
}

// A login that was not safe enough is followed by one that is.
func ExampleRequireACR_login() {
	op, err := oidctest.Listen("127.0.0.1:0", oidctest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = op.Close() }()
	server, handler := serveExample()
	defer server.Close()
	login := exampleLogin(op.Issuer(), server.URL)

	mux := http.NewServeMux()
	mux.Handle("GET /account", login.RequireLogin(hello))
	mux.Handle("GET /payments", login.RequireLogin(hello, middleware.RequireACR("multi-factor")))
	*handler = login.Handler(mux)

	alice := newSomebody(op, "alice")
	alice.visit(server.URL + "/account") // with a password, say

	op.OnIDToken(func(_, claims map[string]any) { claims["acr"] = "multi-factor" }) // and now with a code
	alice.visit(server.URL + "/payments")

	// Output:
	// 303 GET /account
	// 303 GET /login
	//     logs in, acr_values ""
	// 303 GET /callback
	// 200 GET /account
	//     Hello, Alice Adams!
	// 303 GET /payments
	// 303 GET /login
	//     logs in, acr_values "multi-factor"
	// 303 GET /callback
	// 200 GET /payments
	//     Hello, Alice Adams!
}

// One path for browsers, which have a session, and for programs, which have a token.
func ExampleEither() {
	op, err := oidctest.Listen("127.0.0.1:0", oidctest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = op.Close() }()
	server, handler := serveExample()
	defer server.Close()
	login := exampleLogin(op.Issuer(), server.URL)
	bearer := &middleware.Bearer{Verifier: exampleVerifier(op.Issuer())}

	reports := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := middleware.PrincipalFrom(r.Context())
		if _, ok := p.Session(); ok {
			_, _ = fmt.Fprint(w, "reports for the browser of ", p.Subject)
			return
		}
		_, _ = fmt.Fprint(w, "reports for a program of ", p.Subject)
	})
	*handler = login.Handler(middleware.Either(bearer, login, reports,
		middleware.RequireRole(claims.P("realm_access", "roles"), "user")))

	alice := newSomebody(op, "alice")
	alice.visit(server.URL + "/reports")

	program := []string{"Accept", "application/json", "Authorization", "Bearer " + op.AccessToken("bob", apiURL)}
	nobody := newSomebody(op, "")
	nobody.visit(server.URL+"/reports", program...)
	nobody.visit(server.URL+"/reports", "Accept", "application/json")

	// A bad token is no reason to log in, nor to go by a session.
	alice.visit(server.URL+"/reports", "Authorization", "Bearer bad")

	// Output:
	// 303 GET /reports
	// 303 GET /login
	//     logs in, acr_values ""
	// 303 GET /callback
	// 200 GET /reports
	//     reports for the browser of 248289761001
	// 200 GET /reports
	//     reports for a program of 248289761002
	// 401 GET /reports
	//     Bearer
	//     Cookie
	//     {"error":"login_required","login_url":"http://app.example/login"}
	// 401 GET /reports
	//     Bearer error="invalid_token"
	//     Unauthorized
}
