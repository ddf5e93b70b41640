package keystore

import (
	"context"
	"crypto/x509"
	"encoding/pem"
)

func readPEM(ctx context.Context, cfg Config, content []byte) (*loaded, error) {
	if cfg.Alias != "" {
		return nil, &Error{Reason: Unusable, Detail: "keys in PEM have no names: leave Config.Alias empty"}
	}
	var e entry
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, malformed("a certificate in the file is malformed")
			}
			e.certificates = append(e.certificates, c)
			continue
		}
		key, err := cfg.privateKey(ctx, block)
		switch {
		case err != nil:
			return nil, err
		case key != nil && e.key != nil:
			return nil, unsupported("there are several private keys in the file: leave one")
		case key != nil:
			e.key = key
		}
	}
	if e.key == nil {
		return nil, &Error{Reason: NoKey, Detail: "there is no private key in the file"}
	}
	return cfg.load(e)
}

// privateKey returns nil for a block of another type: openssl writes the parameters
// of a curve before the key.
func (cfg Config) privateKey(ctx context.Context, block *pem.Block) (key any, err error) {
	if block.Headers["DEK-Info"] != "" {
		// RFC 1421: a key by MD5, and no way to notice a wrong password.
		return nil, unsupported("the key is encrypted in the old way of PEM: convert it by openssl pkcs8 -topk8 -v2 aes-256-cbc")
	}
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		password, err := cfg.key(ctx)
		if err != nil {
			return nil, err
		}
		return decryptPKCS8(block.Bytes, password)
	default:
		return nil, nil
	}
	if err != nil { // what it says may hold numbers of the key
		return nil, malformed("the private key is malformed, or of a type or curve that is not supported")
	}
	return key, nil
}
