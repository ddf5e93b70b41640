package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A ReplayStore remembers what is good once, for all processes that share it. It must be
// safe for concurrent use.
type ReplayStore interface {
	// Once remembers key until then, and reports whether it had not been remembered
	// already: of callers with one key at one time, exactly one is the first. The key is
	// 43 characters of base64url, and tells nothing about what it stands for. A store that
	// cannot tell, because it is full or does not answer, returns an error: nobody is
	// called first then.
	Once(ctx context.Context, key string, until time.Time) (first bool, err error)
}

// replayKey is the hash of parts that no other parts have.
func replayKey(parts ...string) string {
	var b strings.Builder
	for _, part := range parts {
		b.WriteString(strconv.Itoa(len(part)) + ":" + part)
	}
	sum := sha256.Sum256([]byte(b.String()))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// onceMemory is a bounded memory of what was there. The zero one is empty.
type onceMemory struct {
	mu    sync.Mutex
	until map[[sha256.Size]byte]time.Time
}

const maxRemembered = 1 << 16

// add remembers key, and reports whether it was not remembered. If it is full of what has
// not expired, it remembers nothing.
func (o *onceMemory) add(key string, until, now time.Time) (first, full bool) {
	hash := sha256.Sum256([]byte(key))
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.until[hash]; ok {
		return false, false
	}
	if o.until == nil {
		o.until = make(map[[sha256.Size]byte]time.Time)
	}
	if len(o.until) >= maxRemembered && !o.forget(now) {
		return false, true
	}
	o.until[hash] = until
	return true, false
}

// forget drops what has expired, and reports whether there was any.
func (o *onceMemory) forget(now time.Time) (some bool) {
	for key, until := range o.until {
		if !now.Before(until) {
			delete(o.until, key)
			some = true
		}
	}
	return some
}

func (o *onceMemory) clear() {
	o.mu.Lock()
	defer o.mu.Unlock()
	clear(o.until)
}

// replayMemory is the ReplayStore of one process.
type replayMemory struct {
	memory onceMemory
	now    func() time.Time
}

var errReplayMemoryFull = errors.New("the memory is full")

// Once implements [ReplayStore]. To forget one that has not expired would be to accept it
// again: a full memory is an error.
func (r *replayMemory) Once(_ context.Context, key string, until time.Time) (bool, error) {
	first, full := r.memory.add(key, until, r.now())
	if full {
		return false, errReplayMemoryFull
	}
	return first, nil
}
