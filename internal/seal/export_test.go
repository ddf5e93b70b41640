package seal

import (
	"crypto/aes"
	"crypto/cipher"
)

// XAES opens with a key and a nonce of 24 bytes, for the vectors of the specification.
func XAES(key, nonce, sealed, context []byte) ([]byte, error) {
	s := sealer{master: must(aes.NewCipher(key))}
	s.k1 = subkey(s.master)
	return s.messageKey(nonce[:saltSize]).Open(nil, nil, append(nonce[saltSize:len(nonce):len(nonce)], sealed...), context)
}

// Subkey is K1 of CMAC.
func Subkey(block cipher.Block) [16]byte { return subkey(block) }
