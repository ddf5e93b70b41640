// Package jwks holds the keys that verify tokens, and our own that sign and decrypt.
//
// A [Source] gives the keys that may have signed a token: [Remote] reads a
// provider's JWK Set (RFC 7517) and keeps it current, [File] reads one from a file,
// [Static] holds keys that are known beforehand, [Symmetric] a shared secret.
// [KeySet] makes any of them a key set of github.com/coreos/go-oidc.
//
//	keys, err := jwks.NewRemote(jwks.RemoteConfig{URL: "https://op.example/jwks"})
//	…
//	payload, err := jwks.Verify(ctx, keys, []string{"RS256"}, token)
//
// A set is read member by member: a key that is unknown, weak, private,
// symmetric or for encryption is left out, and the others stay usable.
//
// # What a stranger can cause
//
// Tokens with unknown keys and with bad signatures cause one fetch of the set per
// [RemoteConfig].Cooldown, all of them together, whether it fails or not. Whoever
// comes too soon is refused at once. A new key is therefore accepted at the latest
// with the first token after the cooldown. Nothing is remembered of what was not
// found.
//
// # What an outage causes
//
// Keys that were fetched serve while they cannot be fetched again, for
// [RemoteConfig].MaxStale at most. A token whose key cannot be had is not invalid: the
// error answers errors.Is for oidckit.ErrUnavailable. [Remote.Status] and [Trace] tell
// how a set fares.
//
// # Keys of our own
//
// A [SigningKey] signs with any crypto.Signer, [SigningKeys] hold several while they
// change, and [Handler] publishes them, and the public halves of [DecryptionKey]s, at
// jwks_uri. [ParseSigningKey] and [ParseSigningKeys] read private JWKs; package keystore
// reads PEM, PKCS#12 and Java key stores.
//
// # One token and one document
//
// [VerifyCompact] checks the signature of one compact JWS with a JWK or a JWK Set, for
// tools and test vectors.
package jwks
