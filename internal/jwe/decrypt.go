package jwe

import (
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/oidckit/oidckit/internal/jwt"
)

// Decrypt returns the compact JWS inside a compact JWE, not verified. It is
// shorter than the JWE, as nothing is decompressed. All errors are of type
// *jwt.Error, and from the first use of a key on they are one and the same.
func Decrypt(raw string, keys []Key) (inner string, err error) {
	plaintext, err := decrypt(raw, keys)
	if err != nil {
		return "", err
	}
	// Nobody has signed what is no JWS; a JWE in a JWE would be the start of many.
	if inner = string(plaintext); strings.Count(inner, ".") != 2 {
		return "", refuse(jwt.Decryption, "")
	}
	return inner, nil
}

// DecryptContent is [Decrypt] for content of any kind.
func DecryptContent(raw string, keys []Key) (content []byte, err error) { return decrypt(raw, keys) }

func decrypt(raw string, keys []Key) (plaintext []byte, err error) {
	t, err := parse(raw)
	if err != nil {
		return nil, err
	}
	// What no key is for is not allowed.
	if !slices.ContainsFunc(keys, func(k Key) bool { return slices.Contains(k.Algorithms, t.alg) }) {
		return nil, refuse(jwt.Algorithm, "no decryption key is for this alg")
	}
	fitting := choose(keys, t)
	if len(fitting) == 0 {
		return nil, refuse(jwt.KeyMisfit, "no decryption key fits kid, alg, enc and the size of the encrypted key")
	}
	object, err := jose.ParseEncryptedCompact(raw, []jose.KeyAlgorithm{jose.KeyAlgorithm(t.alg)}, []jose.ContentEncryption{jose.ContentEncryption(t.enc)})
	if err != nil { // whose text has parts of the header
		return nil, refuse(jwt.Header, "malformed parameter")
	}
	for _, k := range fitting {
		if plaintext, err := object.Decrypt(k.material); err == nil {
			return plaintext, nil
		}
	}
	return nil, refuse(jwt.Decryption, "")
}

func refuse(reason jwt.Reason, detail string) error {
	return &jwt.Error{Reason: reason, Detail: detail}
}
