package middleware

import (
	"context"
	"slices"
	"sync"
	"time"
)

// A note says that sessions end. Notes are never taken back.
type note struct {
	name  string
	plain []byte
	until time.Time
	merge func(a, b []byte) []byte // makes one of two of a name; nil if they are all the same
}

// maxDebts is how many notes wait for the store, of a few hundred bytes each.
const maxDebts = 1 << 12

// A debt is a note that the store is to get, or to get once more.
type debt struct {
	note note
	due  time.Time
}

// debts are those of this process. Whoever finds the store well hands one over.
type debts struct {
	mu  sync.Mutex
	all []debt
}

// note writes down that sessions end: here, where it holds at once, and in the store, which gets
// it later if it does not take it now.
func (s *sessions) note(ctx context.Context, n note) error {
	s.noteHere(ctx, n)
	if !s.shared {
		return nil
	}
	locked, err := s.noteThere(ctx, n)
	switch {
	case err != nil:
		s.owed.add(debt{n, s.login.now()})
	case !locked: // somebody may be overwriting it
		s.owed.add(debt{n, s.login.now().Add(lockTTL)})
	}
	return err
}

func (s *sessions) noteHere(ctx context.Context, n note) {
	s.noting.Lock()
	defer s.noting.Unlock()
	_ = s.write(ctx, s.noted, n) // of this process: it does not fail
}

// noteThere has the lock of the name where two that are written at one time could each miss the
// other. If that takes too long it goes without: a logout must not wait for a process that died.
func (s *sessions) noteThere(ctx context.Context, n note) (locked bool, err error) {
	if n.merge == nil {
		return true, s.write(ctx, s.revoked, n)
	}
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	unlock, lockErr := s.kept.lock(wait, s.name("lock", n.name))
	if lockErr == nil {
		defer unlock()
	}
	return lockErr == nil, s.write(ctx, s.revoked, n)
}

func (s *sessions) write(ctx context.Context, to *sharedStore, n note) error {
	if n.merge != nil {
		was, ok, err := to.find(ctx, n.name)
		if err != nil {
			return err
		}
		if ok {
			n.plain = n.merge(was, n.plain)
		}
	}
	return to.commit(ctx, n.name, n.plain, n.until)
}

// settle hands over one of the notes that the store is to get. The caller has found it well.
func (s *sessions) settle(ctx context.Context) {
	now := s.login.now()
	d, ok := s.owed.take(now)
	if !ok {
		return
	}
	if _, err := s.noteThere(ctx, d.note); err != nil {
		s.owed.add(debt{d.note, now})
	}
}

func (d *debts) add(one debt) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.all) == maxDebts {
		d.all = slices.Delete(d.all, 0, 1)
	}
	d.all = append(d.all, one)
}

// take returns one that is due.
func (d *debts) take(now time.Time) (one debt, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.IndexFunc(d.all, func(one debt) bool { return !now.Before(one.due) })
	if i < 0 {
		return debt{}, false
	}
	one = d.all[i]
	d.all = slices.Delete(d.all, i, i+1)
	return one, true
}

// atOnce does n things at the same time, for each of them waits. One that panics, as a Store of
// the program may, panics in the caller, who may have somebody to recover from it: in a goroutine
// of ours it would end the process.
func atOnce(n int, do func(i int)) {
	panics := make([]any, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			defer func() { panics[i] = recover() }()
			do(i)
		})
	}
	wg.Wait()
	for _, p := range panics {
		if p != nil {
			panic(p)
		}
	}
}
