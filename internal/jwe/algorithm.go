package jwe

import "slices"

// The algorithms for the content-encryption key (RFC 7518 section 4.1) that fit
// a type of key, the best first. RSA1_5 is not among them (Bleichenbacher), nor
// are passwords (PBES2) and shared secrets that wrap a key.
var (
	forRSA = []string{"RSA-OAEP-256", "RSA-OAEP"}
	forEC  = []string{"ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW"}
)

// direct uses a shared secret as the content-encryption key.
const direct = "dir"

var known = slices.Concat(forRSA, forEC, []string{direct})

// wrapping is what AES key wrap adds to a key (RFC 3394 section 2.2.1).
const wrapping = 8

// A content is an algorithm that encrypts the payload, with lengths in bytes.
// RFC 7518 sections 5.2 and 5.3 fix all of them. A tag that is longer would
// move the end of the ciphertext into the tag: another spelling of the token.
type content struct{ key, iv, tag int }

var contents = map[string]content{
	"A128GCM":       {key: 16, iv: 12, tag: 16},
	"A192GCM":       {key: 24, iv: 12, tag: 16},
	"A256GCM":       {key: 32, iv: 12, tag: 16},
	"A128CBC-HS256": {key: 32, iv: 16, tag: 16},
	"A192CBC-HS384": {key: 48, iv: 16, tag: 24},
	"A256CBC-HS512": {key: 64, iv: 16, tag: 32},
}
