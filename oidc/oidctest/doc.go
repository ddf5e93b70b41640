// Package oidctest is an OpenID provider in memory: for tests, which need one
// that listens at once, whose clock they turn and whose faults they choose, and
// for demos, whose readers have none at hand.
//
// It is a provider and not a mock of one. It checks client authentication, PKCE,
// redirect URIs, scopes, resources and the single use of codes and refresh
// tokens, and refuses what a provider in production refuses. So a program that
// logs somebody in against it has shown that it keeps the protocol.
//
// A test needs one line, and no browser:
//
//	func TestLogin(t *testing.T) {
//		provider := oidctest.Start(t)
//
//		// Point the program at provider.Issuer(), oidctest.ClientID and
//		// oidctest.ClientSecret, and start it, at app.URL. Then:
//		resp, err := provider.Browser("alice").Get(app.URL + "/account")
//		// resp is the page, for alice.
//	}
//
// A program that stands for a provider is as short:
//
//	func main() {
//		provider, err := oidctest.Listen("127.0.0.1:9000", oidctest.Config{})
//		if err != nil {
//			log.Fatal(err)
//		}
//		fmt.Println("issuer:", provider.Issuer())
//		select {}
//	}
//
// Nothing is kept outside memory, and nothing is imported beyond the standard
// library and go-jose; neither package testing nor net/http/httptest comes with it.
//
// # What it does
//
// The authorization code flow with PKCE (S256, required), answered by query or
// form_post, pushed (RFC 9126) or not; the grants authorization_code, refresh_token,
// client_credentials, JWT bearer (RFC 7523), token exchange (RFC 8693), device code
// (RFC 8628) and CIBA (poll and ping); resource indicators; access tokens that are
// JWTs (RFC 9068) or opaque, and bound to a DPoP key (RFC 9449) or a certificate
// (RFC 8705) or neither; userinfo, introspection (RFC 7662, RFC 9701), revocation
// (RFC 7009); registration of clients (RFC 7591, RFC 7592); WebFinger; RP-initiated
// logout and logout tokens. What is for a client can be encrypted to it. There is
// no session: everybody logs in every time, and prompt=none is
// login_required. Access tokens without a resource are for the userinfo endpoint,
// and only those are accepted there. A resource asked for at the token endpoint
// must have been asked for at the authorization endpoint.
//
// # Clients that prove themselves
//
// A [Client] has one AuthMethod, at all endpoints: secrets, assertions by a secret
// or a key, certificates, or none. An assertion must have the issuer as its
// audience, as a string (RFC 10070), a jti of its own, an exp within 5 minutes, and
// a signature by a registered key with a registered algorithm. Which of it was
// wrong is said in error_description, so that a test can tell.
//
// Certificates need Config.TLS and Config.MutualTLS. They are asked for at
// mtls_endpoint_aliases only; [Provider.ClientCertificate], [SelfSignedCertificate]
// and [Provider.TLSClient] make what a test needs. [Provider.Protect] makes an API
// that demands bound tokens and stepped-up authentication (RFC 9470).
//
// # People elsewhere
//
// [Provider.ApproveDevice] and [Provider.ApproveBackchannel], and their sisters that
// deny, are what people do on another device, without a browser.
//
// # Without sockets
//
// [Provider.HTTPClient] and [Provider.Login] call the provider in process. With
// [New], which does not listen, they make tests in a testing/synctest bubble
// possible, where [Fault] delays pass at once.
//
// # Time
//
// [Provider.Advance] turns the clock with which the provider stamps and judges
// tokens. A test whose verifier shares [Provider.Now] sees tokens expire without
// sleeping. One clock is enough: package oidc stamps assertions and proofs of DPoP by
// Config.Now of its provider, unless their own configurations name another.
// clientauth.RoundTripper has none to share, so that AssertionConfig.Now is needed there.
//
// # Faults
//
// [Provider.SetFault] breaks one [Endpoint]: slow, hanging, empty, oversized, a
// status or any body. [Provider.Requests] counts, so that a test can tell whether
// a cache works and whether retries stop.
//
// A program under test does not ask at once again what has failed: package oidc
// leaves a provider that failed alone for a second and longer, and looks for new
// keys at most every 10 seconds. A test that breaks and heals, or rotates twice,
// gives the program the provider's clock and turns it:
//
//	op, err := oidc.NewProvider(oidc.Config{Issuer: provider.Issuer(), Now: provider.Now})
//	provider.SetFault(oidctest.JWKS, oidctest.Fault{Status: 503})
//	// … an API answers 503 …
//	provider.SetFault(oidctest.JWKS, oidctest.Fault{})
//	provider.Advance(11 * time.Second)
//	// … and now 200.
//
// # Testing a web login
//
// [Provider.Browser] is a client with cookies that logs in by itself, so that a page
// which needs a login is one request away:
//
//	browser := provider.Browser("alice")
//	resp, err := browser.Get(app.URL + "/account")
//	// … the account of alice, after a redirect to the provider and back …
//
// A test that looks at the steps sets CheckRedirect, or does without: a client of its
// own stops at the redirect to the provider, hands its Location to [Provider.Login], and
// asks for the URL that comes back.
//
// Logouts that begin at the provider are a POST of [Provider.LogoutToken] to the
// backchannel_logout_uri of the program.
//
// # Keys
//
// There is one key per algorithm, made when it is first needed and shared with no
// other provider. [Provider.Rotate] replaces the keys and [Provider.Retire] stops
// publishing the earlier ones.
//
// Those of a client are at its JWKSURI, which is asked again after 5 minutes, and at once
// for a key with a "kid" that is not known from there: a client that rotates its key needs
// another "kid" for it. Keys in [Client].JWKS stay as they are.
//
// # Odd tokens
//
// [Provider.OnIDToken], [Provider.OnAccessToken], [Provider.OnTokenResponse] and
// [Provider.OnUserInfo] change what is about to be sent, [Provider.OnAnswer] and
// [Provider.OnSignedAnswer] the answers of every other endpoint.
// [Provider.AccessToken] makes a right token without a login, [Provider.LogoutToken]
// one for a logout; [Provider.Sign], [Provider.SignBytes] and [SignHMAC] sign
// anything at all, and [Provider.Encrypt] encrypts it. [Provider.OnRequest] sees what
// a client sent.
//
// # Not for production
//
// Passwords are kept as they are and shown on the login page. Whoever reaches the
// provider can be anybody it knows.
package oidctest
