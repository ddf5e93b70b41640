package keystore

import (
	"bytes"
	"encoding/binary"

	"github.com/oidckit/oidckit/internal/strictjson"
)

// looksLike returns the type of a file by its content, or nothing.
func looksLike(content []byte) string {
	switch text := bytes.TrimSpace(content); {
	case isJKS(content):
		return JKS
	case isPKCS12(content):
		return PKCS12
	case bytes.HasPrefix(text, []byte("{")):
		if _, ok := strictjson.Member(string(text), "keys"); ok {
			return JWKS
		}
		return JWK
	case bytes.Contains(content, []byte("-----BEGIN ")):
		return PEM
	}
	return ""
}

// isJKS also takes a JCEKS, to say that it is not supported.
func isJKS(content []byte) bool {
	return len(content) > 4 && (binary.BigEndian.Uint32(content) == magicJKS || binary.BigEndian.Uint32(content) == magicJCEKS)
}
