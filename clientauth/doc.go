// Package clientauth is how a client proves to an endpoint who it is.
//
// A [Method] puts the proof into a request, freshly each time, at whichever
// endpoint: token, pushed authorization, introspection, revocation, device. Each is one
// of the methods of OpenID Connect Core section 9 or RFC 8705, under the name that
// registration calls it:
//
//	clientauth.SecretBasic(clientauth.SecretFile("/run/secrets/oidc"))
//	clientauth.PrivateKeyJWT(key)                                    // key is a *jwks.SigningKey
//	clientauth.TLS(clientauth.CertificateFile("tls.crt", "tls.key"))
//	clientauth.AssertionFile("/var/run/secrets/tokens/oidc")         // a projected token of Kubernetes
//
// [Auto] chooses among them by what the provider's metadata list, and never by trial.
//
// # Secrets
//
// A [Secret] is text; a [SecretSource] has one, and is asked for each request.
// Neither prints, nor does anything else of this package print what it was given:
// formatted, in JSON or in logs. Only package fmt cannot be told about a Secret in an unexported
// field of somebody else's struct.
//
// # Assertions
//
// An assertion is made out to the provider's issuer, and to nobody else (RFC 10070). It
// lives a minute at most, and is sent once. [AssertionConfig] says what can be otherwise for
// old providers; [EntraID] and [LoginGov] are such.
//
// # With golang.org/x/oauth2
//
// [RoundTripper] brings a Method to programs that go on with that package.
package clientauth
