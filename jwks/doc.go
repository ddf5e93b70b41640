// Package jwks holds the keys that verify tokens.
//
// A [Source] gives the keys that may have signed a token: [Remote] reads a
// provider's JWK Set (RFC 7517) and keeps it current, [Static] holds keys that are
// known beforehand, [Symmetric] a shared secret. [KeySet] makes any of them a key
// set of github.com/coreos/go-oidc.
//
// A set is read member by member: a key that is unknown, weak, private,
// symmetric or for encryption is left out, and the others stay usable.
package jwks
