package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
)

const (
	idSize    = 4
	keySize   = 32 // AES-256
	saltSize  = 12 // first half of the nonce of XAES-256-GCM; the other half is GCM's own
	blockSize = aes.BlockSize
)

// A sealer seals with one key. What it sealed begins with the id of the key, so that whoever
// has many of them does not try each, and strangers' bytes are refused for next to nothing.
//
// The nonce of XAES-256-GCM has 192 bits, which may be random however many messages there
// are, on however many processes that share a key. Plain GCM has 96: too few after 2^32.
type sealer struct {
	id     [idSize]byte
	master cipher.Block
	k1     [blockSize]byte
}

func newSealer(material []byte) sealer {
	s := sealer{master: must(aes.NewCipher(material[idSize:]))}
	copy(s.id[:], material)
	s.k1 = subkey(s.master)
	return s
}

// subkey is K1 of CMAC (NIST SP 800-38B section 6.1).
func subkey(block cipher.Block) (k [blockSize]byte) {
	block.Encrypt(k[:], k[:])
	carry := byte(0)
	for i := len(k) - 1; i >= 0; i-- {
		k[i], carry = k[i]<<1|carry, k[i]>>7
	}
	k[len(k)-1] ^= 0x87 * carry // only if the bit that fell off was set
	return k
}

// messageKey is the AEAD of messages whose nonces begin with salt. It makes the rest of the
// nonce itself.
func (s *sealer) messageKey(salt []byte) cipher.AEAD {
	var key [keySize]byte
	for i := range byte(2) {
		half := key[int(i)*blockSize:][:blockSize]
		copy(half, []byte{0, i + 1, 'X', 0})
		copy(half[4:], salt)
		subtle.XORBytes(half, half, s.k1[:])
		s.master.Encrypt(half, half)
	}
	return must(cipher.NewGCMWithRandomNonce(must(aes.NewCipher(key[:]))))
}

func (s *sealer) seal(plain []byte, context string) []byte {
	var salt [saltSize]byte
	_, _ = rand.Read(salt[:]) // never fails: crypto/rand ends the program instead
	aead := s.messageKey(salt[:])
	out := make([]byte, 0, idSize+saltSize+aead.Overhead()+len(plain))
	out = append(append(out, s.id[:]...), salt[:]...)
	return aead.Seal(out, nil, plain, []byte(context)) //nolint:gosec // G407: this AEAD makes its nonce itself
}

func (s *sealer) open(sealed []byte, context string) (plain []byte, ok bool) {
	if len(sealed) < idSize+saltSize || [idSize]byte(sealed) != s.id {
		return nil, false
	}
	salt, rest := sealed[idSize:idSize+saltSize], sealed[idSize+saltSize:]
	plain, err := s.messageKey(salt).Open(nil, nil, rest, []byte(context))
	return plain, err == nil
}
