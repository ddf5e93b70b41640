package adapters_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/labstack/echo/v4"

	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

const audience = "https://api.example.com"

// newBearer trusts a provider, whose tokens issue makes.
func newBearer() (bearer *middleware.Bearer, issue func(username string, scopes ...string) string, end func()) {
	op, err := oidctest.Listen("127.0.0.1:0", oidctest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	provider, err := oidc.NewProvider(oidc.Config{Issuer: op.Issuer()})
	if err != nil {
		log.Fatal(err)
	}
	verifier, err := oidc.NewAccessTokenVerifier(provider, oidc.AccessTokenConfig{Audience: []string{audience}})
	if err != nil {
		log.Fatal(err)
	}
	issue = func(username string, scopes ...string) string { return op.AccessToken(username, audience, scopes...) }
	return &middleware.Bearer{Verifier: verifier}, issue, func() { _ = op.Close() }
}

// subject is who asks.
func subject(ctx context.Context) string {
	p, ok := middleware.PrincipalFrom(ctx)
	if !ok {
		return "nobody"
	}
	return p.Subject
}

// tryOut asks for what everybody, who is logged in, and who has a scope may see.
func tryOut(api http.Handler, issue func(string, ...string) string) {
	for _, token := range []string{"", issue("alice"), issue("alice", "reports:read")} {
		for _, path := range []string{"/public", "/account", "/reports"} {
			r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, path, http.NoBody)
			if token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			w := httptest.NewRecorder()
			api.ServeHTTP(w, r)
			if w.Code == http.StatusOK {
				fmt.Println(path, w.Code, w.Body)
			} else {
				fmt.Println(path, w.Code, w.Header().Get("WWW-Authenticate"))
			}
		}
	}
}

// Middleware is what chi takes, for groups and for single routes.
func Example_chi() {
	bearer, issue, end := newBearer()
	defer end()
	show := func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, subject(r.Context())) }

	r := chi.NewRouter()
	r.Get("/public", show)
	r.Group(func(r chi.Router) {
		r.Use(bearer.Middleware())
		r.Get("/account", show)
		r.With(bearer.Middleware(middleware.RequireScopes("reports:read"))).Get("/reports", show)
	})
	tryOut(r, issue)
	// Output:
	// /public 200 nobody
	// /account 401 Bearer
	// /reports 401 Bearer
	// /public 200 nobody
	// /account 200 248289761001
	// /reports 403 Bearer error="insufficient_scope", scope="reports:read"
	// /public 200 nobody
	// /account 200 248289761001
	// /reports 200 248289761001
}

// Echo adapts net/http middleware with echo.WrapMiddleware.
func Example_echo() {
	bearer, issue, end := newBearer()
	defer end()
	show := func(c echo.Context) error { return c.String(http.StatusOK, subject(c.Request().Context())) }

	e := echo.New()
	e.GET("/public", show)
	group := e.Group("", echo.WrapMiddleware(bearer.Middleware()))
	group.GET("/account", show)
	group.GET("/reports", show, echo.WrapMiddleware(bearer.Middleware(middleware.RequireScopes("reports:read"))))
	tryOut(e, issue)
	// Output:
	// /public 200 nobody
	// /account 401 Bearer
	// /reports 401 Bearer
	// /public 200 nobody
	// /account 200 248289761001
	// /reports 403 Bearer error="insufficient_scope", scope="reports:read"
	// /public 200 nobody
	// /account 200 248289761001
	// /reports 200 248289761001
}

// Gin adapts handlers with gin.WrapH. For its own handlers, the middleware goes on with
// the request that has the principal, and stops if there is none.
func Example_gin() {
	bearer, issue, end := newBearer()
	defer end()
	show := func(c *gin.Context) { c.String(http.StatusOK, subject(c.Request.Context())) }
	require := func(rights ...middleware.Requirement) gin.HandlerFunc {
		return func(c *gin.Context) {
			through := false
			bearer.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				through, c.Request = true, r
				c.Next()
			}), rights...).ServeHTTP(c.Writer, c.Request)
			if !through {
				c.Abort()
			}
		}
	}

	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.GET("/public", show)
	e.GET("/account", require(), show)
	e.GET("/reports", gin.WrapH(bearer.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, subject(r.Context()))
	}), middleware.RequireScopes("reports:read"))))
	tryOut(e, issue)
	// Output:
	// /public 200 nobody
	// /account 401 Bearer
	// /reports 401 Bearer
	// /public 200 nobody
	// /account 200 248289761001
	// /reports 403 Bearer error="insufficient_scope", scope="reports:read"
	// /public 200 nobody
	// /account 200 248289761001
	// /reports 200 248289761001
}
