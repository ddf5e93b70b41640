// Package oidckit is the error vocabulary of the module, and its map.
//
// The module is for programs that trust an OpenID Connect provider: relying
// parties that log people in, and resource servers that check bearer tokens. Each
// package does one part and can be used alone:
//
//   - [github.com/oidckit/oidckit/middleware]: net/http middleware, bearer
//     tokens for APIs and logins for web applications. Most programs need no more.
//   - [github.com/oidckit/oidckit/oidc]: providers, token verifiers, and clients with
//     all their calls to a provider: logins, the other grants, refresh, userinfo,
//     introspection, revocation, registration and logout, without any HTTP server.
//   - [github.com/oidckit/oidckit/oidc/oidctest]: an OpenID provider in memory,
//     for tests and demonstrations.
//   - [github.com/oidckit/oidckit/claims]: paths into a token's claims and typed
//     values found there; identities and policies.
//   - [github.com/oidckit/oidckit/claims/ci]: policies for the tokens of CI services.
//   - [github.com/oidckit/oidckit/discovery]: provider metadata, fetched or static.
//   - [github.com/oidckit/oidckit/jwks]: keys that verify tokens, remote, from a
//     file, static or symmetric; keys that decrypt them; keys that sign for a client.
//   - [github.com/oidckit/oidckit/jwks/keystore]: private keys in PEM, JWK, PKCS#12 and
//     Java key stores.
//   - [github.com/oidckit/oidckit/clientauth]: how a client proves who it is.
//
// # Errors
//
// Each package has typed errors that say what happened. All of them answer
// [errors.Is] for one of the four sentinels here, which say what a caller
// should do about it. An error that answers to none of them is a bug or a
// configuration mistake: an HTTP server says 500.
package oidckit
