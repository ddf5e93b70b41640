// Package middleware protects net/http handlers: [Bearer] for APIs whose clients
// send access tokens, [Login] for web applications whose users log in.
//
// Both are plain structs. Fill in what they need, share the pointer, wrap the
// handlers:
//
//	bearer := &middleware.Bearer{Verifier: verifier}
//	mux.Handle("GET /reports", bearer.Handler(reports, middleware.RequireScopes("reports:read")))
//	mux.Handle("DELETE /reports/{id}", bearer.Handler(remove, middleware.RequireRole(roles, "admin"), middleware.RequireMaxAge(5*time.Minute)))
//
//	login := &middleware.Login{Client: client}
//	mux.Handle("GET /account", login.RequireLogin(account))
//	server := &http.Server{Addr: addr, Handler: login.Handler(mux), ReadHeaderTimeout: 10 * time.Second, …}
//
// Behind them a handler finds who is asking with [PrincipalFrom] or [SessionFrom].
// A struct without its verifier or client lets nobody through.
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
