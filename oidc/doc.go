// Package oidc logs people in at an OpenID provider, verifies the tokens it
// issues, and calls its endpoints. It knows no HTTP server: package middleware
// makes handlers of it.
//
// A [Provider] is where the trust comes from: an issuer, its metadata and its
// keys. It is made without I/O, so that a program starts while its provider is
// down, and heals. A [Client] is this program as that provider knows it:
//
//	provider, err := oidc.NewProvider(oidc.Config{Issuer: "https://id.example.com"})
//	client, err := oidc.NewClient(provider, oidc.ClientConfig{
//		ClientID: "shop", ClientSecret: secret, RedirectURL: "https://shop.example.com/callback",
//	})
//
// # Logging in
//
// [Client.Begin] makes state, nonce and PKCE verifier together and says where to
// send the browser. [Client.Finish] takes what came back, checks all of it,
// exchanges the code once and verifies the ID token. There is no way to finish
// without the [Flow] that Begin made, and no check that is left to the caller.
//
// # Tokens
//
// ID tokens, access tokens and logout tokens have verifiers and types of their own,
// and none is taken for another: [IDTokenVerifier] gives an [*IDToken],
// [AccessTokenVerifier] an [*AccessToken], [LogoutTokenVerifier] a [*LogoutToken].
// Each verifier holds the whole policy for the tokens of one issuer: whose keys, which
// algorithms, audience, age, required claims. [Issuers] puts several of them together,
// and asks a resolver for those of tenants. A refusal is an [*Error] with a [Reason];
// keys that cannot be had are an *oidckit.UnavailableError, which is no refusal.
//
// Encrypted tokens are opened with DecryptionKeys and then judged as any other. An API
// that sees the same tokens again and again can have them remembered:
// [TokenCacheConfig]. One that decides by groups which tokens do not have asks the
// provider for them: [UserInfoVerifier].
//
// # Calls
//
// A Client makes every other call that a provider offers: refresh, client credentials,
// JWT bearer and token exchange, also as sources of tokens ([Client.NewTokenSource],
// [Client.ClientCredentialsSource]); device authorization and CIBA; userinfo,
// introspection, revocation. It proves who it is with ClientConfig.ClientAuth, freshly
// each time, and sends nothing twice that is spent by once. With ClientConfig.DPoP it
// proves possession of a key besides, with ClientCertificate of a certificate.
// [Client.APITransport] carries its access tokens to APIs, and to no other place.
//
// What a provider answers instead is a [*ResponseError], whose fields have what it
// wrote and whose text has not.
//
// # Outages and strangers
//
// Keys and metadata are fetched when they are needed, once for all who wait, and kept
// beyond an outage (see package jwks for how long). Tokens that are not for us, or that
// nobody's key could have signed, cause next to no requests, whoever sends them.
// [Provider.Status] tells how things are.
package oidc
