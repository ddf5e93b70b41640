// Package middleware protects net/http handlers: [Bearer] for APIs whose clients
// send access tokens, [Login] for web applications whose users log in.
//
//	bearer := &middleware.Bearer{Verifier: verifier}
//	mux.Handle("GET /reports", bearer.Handler(reports, middleware.RequireScopes("reports:read")))
//	mux.Handle("DELETE /reports/{id}", bearer.Handler(remove, middleware.RequireRole(roles, "admin"), middleware.RequireMaxAge(5*time.Minute)))
//
//	login, err := middleware.NewLogin(middleware.LoginConfig{
//		Client: client, PublicURL: "https://app.example.com", Keys: []clientauth.Secret{key},
//	})
//	mux.Handle("GET /account", login.RequireLogin(account))
//	server := &http.Server{Addr: addr, Handler: login.Handler(mux), ReadHeaderTimeout: 10 * time.Second, …}
//
// Behind them a handler finds who is asking with [PrincipalFrom] or [SessionFrom]. For both
// kinds of clients on one route there is [Either]. A Bearer is a plain struct, and without its
// Verifier lets nobody through.
//
// # Login
//
// [Login.Handler] serves these routes below PublicURL, whose paths LoginConfig can change, and
// shows all other handlers the session:
//
//	/login                  starts a login that ends at return_to, a path of the application
//	/login/initiate         a login that the provider starts (initiate_login_uri)
//	/login/session          who is logged in, as JSON
//	/callback               where the provider sends the browser back to (redirect_uri)
//	/logout                 a link or a form; ends the session, here and at the provider
//	/logout/backchannel     what the provider calls when it ends a session (backchannel_logout_uri)
//	/logout/frontchannel    likewise, in a frame of its page (frontchannel_logout_uri); only if it is switched on
//
// With several providers, the ID of each follows /callback and /logout/backchannel, and /login
// shows a page to choose from unless LoginConfig.Choose, or the parameter provider, says which.
// Tenants that have hosts of their own have a Login each.
//
// Without a Store, sessions are in sealed cookies: a program that is restarted, or runs many
// times, needs nothing but the same Keys. What no cookie can do needs a [Store] that all
// processes share: to end a session that is elsewhere (back-channel logout, [Login.Revoke]) on
// all of them, and to refresh its tokens once for all. Any store of github.com/alexedwards/scs
// is one.
//
// # Pages of Login
//
// What went wrong is told to people on pages of our own, and to programs (fetch, and whoever
// does not accept text/html by name) as JSON with the same kind and status; each [PageKind] has its status
// beside it. [LoginPages] changes their words, for other languages for instance, or how they
// look. No page shows what a provider wrote.
//
// # Watching Login
//
// [LoginConfig] has a Logger and a [LoginTrace]: a [LoginStep] for each login, refresh, logout
// and refusal. Steps of one login, and of the session that came of it, have the same Flow, which
// error pages show as their reference. [Login.Ready] and [Login.Status] are for the health
// endpoints of the program; there is no handler, for what is ready enough is not ours to say:
//
//	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
//		if err := login.Ready(r.Context()); err != nil {
//			http.Error(w, "not ready", http.StatusServiceUnavailable)
//		}
//	})
//
// # Answers of an API
//
// What a client is told is its class and no more; Bearer.Logger, OnError and Trace are told
// why (RFC 6750 section 3, RFC 9470, RFC 9449).
//
//	400 invalid_request                    a header that is none, or two tokens
//	401                                    no credentials
//	401 invalid_token                      a bad token, or one for another resource
//	401 insufficient_user_authentication   with acr_values and max_age: log in again
//	401 invalid_dpop_proof, use_dpop_nonce a bad proof
//	403 insufficient_scope                 with the scopes of the route, if one is missing
//	500                                    a mistake of the program
//	503                                    with Retry-After: it could not be judged
//
// A CORS handler stands in front of Bearer, so that pages of other sites may read these
// answers; where it stands behind, set Bearer.PassPreflight.
//
// # Other routers
//
// [Bearer.Middleware] is what chi takes, and echo with echo.WrapMiddleware; gin takes
// gin.WrapH of a [Bearer.Handler]. Examples are in internal/adapters. Other transports call
// [Bearer.Authenticate], [Authorize] and [Bearer.WithPrincipal].
package middleware
