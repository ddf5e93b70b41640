package file

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Config says which files make a value, and how.
type Config[T any] struct {
	// For begins the text of each error: the name of the package that asks.
	For string
	// Paths are of the files. One or more; they are read together, in this order.
	Paths []string
	// MaxSize is as much as a file may have, in bytes.
	MaxSize int64
	// Parse makes a value of the contents, which are in the order of Paths and are
	// its to keep. last is the one before, or the zero T. It is called by one
	// goroutine at a time. Its errors must hold nothing of the contents: they are
	// wrapped, with the path, and end in State.Err.
	Parse func(ctx context.Context, last T, contents [][]byte) (T, error)
	// Told is called after each time that the files were read, with what came of it
	// and whether the time before had failed; for logs and counters. May be nil. A
	// look at files that have not changed reads nothing.
	Told func(ctx context.Context, failed bool, err error)
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// A Value is the last good value of files. It is safe for concurrent use.
type Value[T any] struct {
	cfg     Config[T]
	current atomic.Pointer[State[T]]
	mu      sync.Mutex // who holds it looks after the files
}

// A State is what is known of the files. It is replaced, never changed.
type State[T any] struct {
	// Value is what was made of the files when they were read well for the last time.
	// It is the zero T as long as Version is 0.
	Value T
	// Version counts the times that Value was made. It starts with 1.
	Version uint64
	// Err is why the last attempt to read the files failed; nil if it did not. The
	// value from before stays: a file may be half written.
	Err error
	// Looked is when the files were last looked at, Read when Value was made, or
	// found to be what they hold still.
	Looked, Read time.Time

	seen []seen // of the files when they were read last, well or not
}

// New returns a value that was not read yet: the first [Value.Get] does it.
func New[T any](cfg Config[T]) *Value[T] {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Value[T]{cfg: cfg}
}

// LookAfter is how often files are looked at.
const LookAfter = time.Second

// Get returns the value, and looks after the files if it is time. While one caller
// does, the others go on with what there is; without anything, they wait. It never
// returns nil.
func (v *Value[T]) Get(ctx context.Context) *State[T] {
	now := v.cfg.Now()
	state := v.current.Load()
	switch {
	case state == nil:
		v.mu.Lock()
	case recent(state.Looked, now) || !v.mu.TryLock():
		return state
	}
	defer v.mu.Unlock()
	if state = v.current.Load(); state != nil && recent(state.Looked, now) {
		return state
	}
	return v.look(ctx, state, now, false)
}

// Reread reads the files at once, whether they seem to have changed or not: for who
// was told that the value is no good any more.
func (v *Value[T]) Reread(ctx context.Context) *State[T] {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.look(ctx, v.current.Load(), v.cfg.Now(), true)
}

// Last returns what is known without looking at the files: nil if nobody asked yet.
func (v *Value[T]) Last() *State[T] { return v.current.Load() }

// recent reports whether t is less than a second ago. A clock that was set back makes
// nothing recent.
func recent(t, now time.Time) bool {
	ago := now.Sub(t)
	return ago >= 0 && ago < LookAfter
}

// look returns the state after a look at the files. old may be nil.
func (v *Value[T]) look(ctx context.Context, old *State[T], now time.Time, force bool) *State[T] {
	if old == nil {
		old = &State[T]{}
	}
	next := *old
	next.Looked = now
	seen := seeAll(v.cfg.Paths)
	if !force && old.Err == nil && unchanged(old.seen, seen) {
		next.Read = now
	} else {
		next.seen = seen
		v.read(ctx, &next, now)
		v.tell(ctx, old.Err != nil, next.Err)
	}
	v.current.Store(&next)
	return &next
}

func (v *Value[T]) read(ctx context.Context, next *State[T], now time.Time) {
	var value T
	contents, err := readAll(v.cfg.Paths, next.seen, v.cfg.MaxSize)
	if err == nil {
		if value, err = v.cfg.Parse(ctx, next.Value, contents); err != nil {
			err = fmt.Errorf("%s: %w", v.cfg.Paths[0], err)
		}
	}
	if err != nil {
		next.Err = fmt.Errorf("%s: %w", v.cfg.For, err)
		return
	}
	next.Value, next.Err, next.Read = value, nil, now
	next.Version++
}

func (v *Value[T]) tell(ctx context.Context, failed bool, err error) {
	if v.cfg.Told != nil {
		v.cfg.Told(ctx, failed, err)
	}
}
