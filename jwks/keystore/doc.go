// Package keystore reads the private key that a client signs with from a file: PEM,
// JWK, JWK Set, PKCS#12 or a Java key store (JKS).
//
//	key, err := keystore.Load(keystore.Config{
//		Path: "/etc/client.p12", StorePassword: keystore.PasswordFile("/etc/client.p12.password"),
//		Alias: "client", KeyID: "2026-01",
//	})
//
// The [File] signs, as a [jwks.SigningKey] does, is published by [jwks.Handler], and
// presents its certificate in TLS. It is read again when it changes.
//
// # What is read
//
//   - PEM: one private key in PKCS#8, PKCS#1 or SEC 1, and certificates. PKCS#8 may be
//     encrypted by PBES2 with PBKDF2 (RFC 8018) and AES or Triple DES in CBC mode, which is
//     what openssl writes. The old encryption of PEM ("Proc-Type: 4,ENCRYPTED") is refused.
//   - JWK and JWK Set: private keys (RFC 7517). Of a set, one key signs, and all are
//     published: keys are changed by editing the file. See [Config.Alias].
//   - PKCS#12 (RFC 7292): keys that have a certificate, by their friendly name, which
//     Java calls the alias. It has one password.
//   - JKS: private keys by alias, with a store password and a key password.
//
// # Changing a key
//
// A provider has to know a key before it is used. In a JWK Set the next key is added at
// the end; when caches have ended ([jwks.PublishedFor], or as long as the provider says)
// it is moved to the front; when all that the old one signed has expired, the old one is
// removed. A file with one key is replaced at once: where that is not good enough, two
// files in [jwks.SigningKeys] overlap. Without overlap too the "kid" should change with
// the key, as [Config.ThumbprintKeyID] makes it.
package keystore
