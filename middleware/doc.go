// Package middleware protects net/http handlers: [Bearer] for APIs whose clients
// send access tokens, [Login] for web applications whose users log in.
//
// Both are plain structs. Fill in what they need, share the pointer, wrap the
// handlers:
//
//	bearer := &middleware.Bearer{Verifier: verifier}
//	mux.Handle("GET /reports", bearer.Handler(reports, middleware.RequireScopes("reports:read")))
//
//	login := &middleware.Login{Client: client}
//	mux.Handle("GET /account", login.RequireLogin(account))
//	http.ListenAndServe(addr, login.Handler(mux))
//
// Behind them a handler finds who is asking with [PrincipalFrom] or [SessionFrom].
// A struct without its verifier or client lets nobody through.
package middleware
