package oidc

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"github.com/oidckit/oidckit/clientauth"
)

// proofNonces are nonces that carry their time, authenticated: "the server [...] can use a
// nonce that contains a timestamp" and remember none of them (RFC 9449 section 11.1).
type proofNonces struct {
	// macs are functions so that no printing reaches a key.
	macs     []func(slot uint64) [nonceMAC]byte
	lifetime time.Duration
}

const (
	nonceMAC     = 16
	nonceSize    = 8 + nonceMAC
	nonceSlots   = 4 // nonces in a lifetime: for a quarter of it, all get the same one
	minNonceKey  = 32
	nonceContext = "oidckit DPoP nonce" // the key may have other uses
)

func (v *ProofVerifier) setNonces(cfg ProofVerifierConfig) error {
	if !cfg.RequireNonce {
		if len(cfg.NonceKeys) > 0 {
			return errors.New("oidc: ProofVerifierConfig.NonceKeys goes with RequireNonce")
		}
		return nil
	}
	if len(cfg.NonceKeys) == 0 {
		cfg.NonceKeys = []clientauth.Secret{clientauth.Secret(rand.Text() + rand.Text())}
	}
	v.nonces = &proofNonces{lifetime: cfg.NonceLifetime}
	for _, key := range cfg.NonceKeys {
		if len(key) < minNonceKey {
			return errors.New("oidc: ProofVerifierConfig.NonceKeys has one shorter than 32 bytes")
		}
		v.nonces.macs = append(v.nonces.macs, nonceMACOf([]byte(key)))
	}
	return nil
}

func nonceMACOf(key []byte) func(slot uint64) [nonceMAC]byte {
	return func(slot uint64) (sum [nonceMAC]byte) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(nonceContext))
		mac.Write(binary.BigEndian.AppendUint64(nil, slot))
		copy(sum[:], mac.Sum(nil))
		return sum
	}
}

// slot is the time in quarters of a lifetime.
func (n *proofNonces) slot(now time.Time) uint64 {
	return uint64(max(now.UnixMilli(), 0) / (n.lifetime.Milliseconds() / nonceSlots)) //nolint:gosec // G115: not negative
}

// Nonce returns the nonce that proofs should have from now on, for the header DPoP-Nonce of
// refusals and of good answers alike (RFC 9449 section 8.2), or nothing if none are asked
// for.
func (v *ProofVerifier) Nonce() string {
	if v == nil || v.nonces == nil {
		return ""
	}
	slot := v.nonces.slot(v.now())
	mac := v.nonces.macs[0](slot)
	return base64.RawURLEncoding.EncodeToString(append(binary.BigEndian.AppendUint64(nil, slot), mac[:]...))
}

// checkNonce: a nonce that is old or none of ours means no harm, and a new one helps.
func (v *ProofVerifier) checkNonce(p payload, now time.Time) error {
	if v.nonces == nil {
		return nil
	}
	nonce, err := p.text("nonce")
	if err != nil || !v.nonces.good(nonce, now) {
		return &Error{Reason: ReasonProofNonce, Claim: "nonce"}
	}
	return nil
}

// good accepts the nonces of a lifetime, and the next one: the clocks of servers that
// stand for each other may differ by a quarter.
func (n *proofNonces) good(nonce string, now time.Time) bool {
	data, err := base64.RawURLEncoding.Strict().DecodeString(nonce)
	if err != nil || len(data) != nonceSize {
		return false
	}
	slot, current := binary.BigEndian.Uint64(data), n.slot(now)
	if slot > current+1 || slot+nonceSlots <= current {
		return false
	}
	for _, mac := range n.macs {
		if sum := mac(slot); hmac.Equal(sum[:], data[8:]) {
			return true
		}
	}
	return false
}
