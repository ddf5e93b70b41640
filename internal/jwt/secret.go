package jwt

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"crypto/subtle"
	"hash"
	"sync"
)

// A Secret is a key for HMAC that is used more than once: it keeps the states that
// the key was mixed into. It is safe for concurrent use.
type Secret struct {
	key    []byte
	states [3]sync.Pool // for SHA-256, SHA-384, SHA-512
}

// NewSecret returns a Secret with a copy of key.
func NewSecret(key []byte) *Secret { return &Secret{key: bytes.Clone(key)} }

// Equal reports whether two secrets are the same.
func (s *Secret) Equal(o crypto.PublicKey) bool {
	other, ok := o.(*Secret)
	return ok && subtle.ConstantTimeCompare(s.key, other.key) == 1
}

func (s *Secret) sum(h crypto.Hash, data, dst []byte) []byte {
	pool := &s.states[h-crypto.SHA256]
	mac, ok := pool.Get().(hash.Hash)
	if !ok {
		mac = hmac.New(h.New, s.key)
	}
	defer pool.Put(mac)
	mac.Reset()
	mac.Write(data)
	return mac.Sum(dst)
}
