package middleware

import (
	"bytes"
	"container/heap"
	"context"
	"sync"
	"time"
)

// A MemoryStore is a [Store] of one process: for tests, and for applications that run once
// and may forget who is logged in when they end. It is safe for concurrent use, and has locks.
type MemoryStore struct {
	// Now tells the time; nil means time.Now. Set it before the first use.
	Now func() time.Time

	max     int
	mu      sync.Mutex
	entries map[string]*memoryEntry
	expiry  memoryHeap
	locks   map[string]chan struct{} // closed when the lock is free
}

// A memoryEntry is changed by nobody but Commit and the heap, under the mutex.
type memoryEntry struct {
	token  string
	b      []byte
	until  time.Time
	inHeap int
}

// NewMemoryStore makes one of at most so many entries. One more makes it forget the entry that
// would expire first: an early logout, or, with sealed cookies, one that is undone; so have room
// for several entries for each session and each logout within LoginConfig.Lifetime. It panics if
// entries is not positive.
func NewMemoryStore(entries int) *MemoryStore {
	if entries <= 0 {
		panic("middleware: NewMemoryStore: entries must be positive")
	}
	return &MemoryStore{max: entries, entries: make(map[string]*memoryEntry), locks: make(map[string]chan struct{})}
}

// Find returns a copy of what is kept under token. It never fails.
func (m *MemoryStore) Find(token string) (b []byte, found bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entries[token]
	if e == nil || !m.now().Before(e.until) {
		return nil, false, nil
	}
	return bytes.Clone(e.b), true, nil
}

// Commit keeps a copy of b under token until expiry. It never fails.
func (m *MemoryStore) Commit(token string, b []byte, expiry time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remove(token)
	m.makeRoom()
	e := &memoryEntry{token: token, b: bytes.Clone(b), until: expiry}
	m.entries[token] = e
	heap.Push(&m.expiry, e)
	return nil
}

// Delete drops what is kept under token. It never fails.
func (m *MemoryStore) Delete(token string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remove(token)
	return nil
}

// FindCtx is Find, which does not wait for anything that a context could end.
func (m *MemoryStore) FindCtx(_ context.Context, token string) (b []byte, found bool, err error) {
	return m.Find(token)
}

// CommitCtx is Commit.
func (m *MemoryStore) CommitCtx(_ context.Context, token string, b []byte, expiry time.Time) error {
	return m.Commit(token, b, expiry)
}

// DeleteCtx is Delete.
func (m *MemoryStore) DeleteCtx(_ context.Context, token string) error { return m.Delete(token) }

// Lock waits for the lock of this name, which is apart from what is kept under it, until ctx
// ends. It is lost after ttl, which is real time whatever Now says.
func (m *MemoryStore) Lock(ctx context.Context, token string, ttl time.Duration) (unlock func(), err error) {
	for {
		unlock, held := m.tryLock(token, ttl)
		if held == nil {
			return unlock, nil
		}
		select {
		case <-held:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// tryLock returns what is closed once the lock that somebody else has is free.
func (m *MemoryStore) tryLock(token string, ttl time.Duration) (unlock func(), held <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if held := m.locks[token]; held != nil {
		return nil, held
	}
	mine := make(chan struct{})
	m.locks[token] = mine
	release := sync.OnceFunc(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.locks, token) // mine: it is there until this, which is once
		close(mine)
	})
	timer := time.AfterFunc(ttl, release)
	return func() { timer.Stop(); release() }, nil
}

// makeRoom drops what has expired and, if that is not enough, what expires first.
func (m *MemoryStore) makeRoom() {
	now := m.now()
	for len(m.expiry) > 0 && (len(m.expiry) >= m.max || !now.Before(m.expiry[0].until)) {
		m.remove(m.expiry[0].token)
	}
}

func (m *MemoryStore) remove(token string) {
	if e := m.entries[token]; e != nil {
		delete(m.entries, token)
		heap.Remove(&m.expiry, e.inHeap)
	}
}

func (m *MemoryStore) now() time.Time {
	if m.Now != nil {
		return m.Now()
	}
	return time.Now()
}

// A memoryHeap has the entry that expires first in front.
type memoryHeap []*memoryEntry

func (h memoryHeap) Len() int           { return len(h) }
func (h memoryHeap) Less(i, j int) bool { return h[i].until.Before(h[j].until) }

func (h memoryHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].inHeap, h[j].inHeap = i, j
}

// Push is for container/heap.
func (h *memoryHeap) Push(x any) {
	e := x.(*memoryEntry) //nolint:errcheck // nothing else is pushed
	e.inHeap = len(*h)
	*h = append(*h, e)
}

// Pop is for container/heap.
func (h *memoryHeap) Pop() any {
	old := *h
	last := len(old) - 1
	e := old[last]
	old[last] = nil
	*h = old[:last]
	return e
}
