package keystore

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // G502: what older versions of openssl wrote
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // G505: the default of PBKDF2 (RFC 8018 appendix A.2)
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"hash"
)

// The types of RFC 5958 section 3 and RFC 8018 appendix A.
type encryptedKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

type pbes2 struct {
	Derivation pkix.AlgorithmIdentifier
	Encryption pkix.AlgorithmIdentifier
}

type pbkdf2Parameters struct {
	Salt       []byte
	Iterations int
	KeyLength  int                      `asn1:"optional"`
	Function   pkix.AlgorithmIdentifier `asn1:"optional"`
}

const (
	oidPBES2      = "1.2.840.113549.1.5.13"
	oidPBKDF2     = "1.2.840.113549.1.5.12"
	oidHMACSHA1   = "1.2.840.113549.2.7"
	oidHMACSHA256 = "1.2.840.113549.2.9"
	oidHMACSHA384 = "1.2.840.113549.2.10"
	oidHMACSHA512 = "1.2.840.113549.2.11"
	oidAES128     = "2.16.840.1.101.3.4.1.2"
	oidAES192     = "2.16.840.1.101.3.4.1.22"
	oidAES256     = "2.16.840.1.101.3.4.1.42"
	oidTripleDES  = "1.2.840.113549.3.7"
	maxIterations = 10_000_000 // a damaged number must not keep a program busy for hours
	convertPKCS8  = ": convert it by openssl pkcs8 -topk8 -v2 aes-256-cbc"
)

var functions = map[string]func() hash.Hash{
	"": sha1.New, oidHMACSHA1: sha1.New, oidHMACSHA256: sha256.New, oidHMACSHA384: sha512.New384, oidHMACSHA512: sha512.New,
}

var ciphers = map[string]struct {
	key   int // in bytes
	block func(key []byte) (cipher.Block, error)
}{
	oidAES128: {16, aes.NewCipher}, oidAES192: {24, aes.NewCipher}, oidAES256: {32, aes.NewCipher}, oidTripleDES: {24, des.NewTripleDESCipher},
}

// decryptPKCS8 opens an EncryptedPrivateKeyInfo by PBES2 (RFC 8018 section 6.2).
func decryptPKCS8(der []byte, password string) (key any, err error) {
	var e encryptedKey
	if !unmarshal(der, &e) {
		return nil, malformed("the encrypted private key is malformed")
	}
	plain, err := e.decrypt(password)
	if err != nil {
		return nil, err
	}
	var whole asn1.RawValue
	if plain == nil || !unmarshal(plain, &whole) {
		return nil, &Error{Reason: KeyPassword, Detail: "Config.KeyPassword is not the one of the key"}
	}
	if key, err = x509.ParsePKCS8PrivateKey(plain); err != nil { // what it says may hold numbers of the key
		return nil, unsupported("the private key is of a type or curve that is not supported")
	}
	return key, nil
}

// decrypt returns nothing if the padding shows that the password is another one.
func (e encryptedKey) decrypt(password string) ([]byte, error) {
	var scheme pbes2
	var parameters pbkdf2Parameters
	switch {
	case e.Algorithm.Algorithm.String() != oidPBES2:
		return nil, unsupported("the private key is encrypted by another scheme than PBES2" + convertPKCS8)
	case !unmarshal(e.Algorithm.Parameters.FullBytes, &scheme):
		return nil, malformed("the encrypted private key is malformed")
	case scheme.Derivation.Algorithm.String() != oidPBKDF2:
		return nil, unsupported("the key of the encryption is derived by another function than PBKDF2" + convertPKCS8)
	case !unmarshal(scheme.Derivation.Parameters.FullBytes, &parameters) || parameters.Iterations < 1 || parameters.Iterations > maxIterations:
		return nil, malformed("the encrypted private key is malformed")
	}
	function, ok := functions[parameters.Function.Algorithm.String()]
	c, known := ciphers[scheme.Encryption.Algorithm.String()]
	if !ok || !known {
		return nil, unsupported("the private key is encrypted by a cipher or hash that is not supported" + convertPKCS8)
	}
	secret, err := pbkdf2.Key(function, password, parameters.Salt, parameters.Iterations, c.key)
	if err != nil {
		return nil, unsupported("PBKDF2 is refused by this program's FIPS 140 mode" + convertPKCS8)
	}
	block, err := c.block(secret)
	if err != nil {
		return nil, unsupported("the cipher is refused by this program's FIPS 140 mode" + convertPKCS8)
	}
	return decryptCBC(block, scheme.Encryption.Parameters.FullBytes, e.Data)
}

func decryptCBC(block cipher.Block, parameters, data []byte) ([]byte, error) {
	var iv []byte
	size := block.BlockSize()
	if !unmarshal(parameters, &iv) || len(iv) != size || len(data) == 0 || len(data)%size != 0 {
		return nil, malformed("the encrypted private key is malformed")
	}
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, data)
	last := plain[len(plain)-1:]
	padding := int(last[0])
	if padding == 0 || !bytes.HasSuffix(plain, bytes.Repeat(last, padding)) {
		return nil, nil
	}
	return plain[:len(plain)-padding], nil
}

// unmarshal reads all of der.
func unmarshal(der []byte, v any) bool {
	rest, err := asn1.Unmarshal(der, v)
	return err == nil && len(rest) == 0
}
