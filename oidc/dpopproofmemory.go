package oidc

import (
	"crypto/sha256"
	"errors"
	"strings"
	"sync"
	"time"
)

// A proofMemory remembers proofs for a while that is the same for all, so that they are
// forgotten in the order in which they came, each when the next one comes.
type proofMemory struct {
	keep       time.Duration
	max, share int

	mu    sync.Mutex
	seen  map[[sha256.Size]byte]struct{}
	ofKey map[string]int // how many of each key
	queue []rememberedProof
}

type rememberedProof struct {
	hash  [sha256.Size]byte
	jkt   string
	until time.Time
}

// keyShare is the part of the memory that one key may have: one key must not shut out all
// others. Who has a good token for each of several keys can, for as long as proofs live:
// that is 503 for others, and never a proof that is taken twice.
const keyShare = 8

func newProofMemory(most int, keep time.Duration) *proofMemory {
	return &proofMemory{
		keep: keep, max: most, share: max(most/keyShare, 1),
		seen: make(map[[sha256.Size]byte]struct{}), ofKey: make(map[string]int),
	}
}

var (
	errProofsFull   = errors.New("the memory is full")
	errKeyShareFull = errors.New("the share of this key is full")
)

// add reports whether a proof is new, and remembers it then.
func (m *proofMemory) add(jkt, jti string, now time.Time) (first bool, err error) {
	hash := sha256.Sum256([]byte(jkt + " " + jti)) // a thumbprint has no space
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(now)
	_, known := m.seen[hash]
	switch {
	case known:
		return false, nil
	case len(m.seen) >= m.max:
		return false, errProofsFull
	case m.ofKey[jkt] >= m.share:
		return false, errKeyShareFull
	}
	jkt = strings.Clone(jkt) // not a part of a whole token
	m.seen[hash] = struct{}{}
	m.ofKey[jkt]++
	m.queue = append(m.queue, rememberedProof{hash, jkt, now.Add(m.keep)})
	return true, nil
}

func (m *proofMemory) forget(now time.Time) {
	for len(m.queue) > 0 && !now.Before(m.queue[0].until) {
		oldest := m.queue[0]
		delete(m.seen, oldest.hash)
		if m.ofKey[oldest.jkt]--; m.ofKey[oldest.jkt] == 0 {
			delete(m.ofKey, oldest.jkt)
		}
		m.queue[0] = rememberedProof{}
		m.queue = m.queue[1:]
	}
}
