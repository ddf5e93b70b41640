package jwks

import (
	"sync/atomic"
	"time"
)

// A Status says how a key set fares, for people.
type Status struct {
	// LastSuccess is when the keys were last read, or confirmed by their provider;
	// zero if they never were. Age is how long ago that was.
	LastSuccess time.Time
	Age         time.Duration
	// LastAttempt is when they were last asked for; zero if they never were.
	LastAttempt time.Time
	// LastError is why the last attempt failed; nil if it did not. It holds nothing
	// that the provider wrote.
	LastError error
	// FreshUntil is until when the keys need not be asked for; zero without keys.
	FreshUntil time.Time

	// Keys is how many usable keys there are, Skipped how many members of the set
	// were left out, and why.
	Keys    int
	Skipped map[KeyReason]int

	// Counts since the source was made. A File has no misses and no refusals.
	Fetches     uint64 // attempts that have ended
	Failures    uint64 // those without a good answer
	NotModified uint64 // those that found the set unchanged
	Misses      uint64 // those that did not bring the key for which they were made
	Refusals    uint64 // keys that were wanted and not known, too soon for a fetch
}

// counters may be read at any time.
type counters struct{ fetches, failures, notModified atomic.Uint64 }

func (c *counters) add(info FetchInfo) {
	c.fetches.Add(1)
	if info.Err != nil {
		c.failures.Add(1)
	}
	if info.NotModified {
		c.notModified.Add(1)
	}
}

// Status says how the set fares. It asks nobody.
func (r *Remote) Status() Status {
	state := r.set.State()
	s := Status{
		LastSuccess: state.Success, LastAttempt: state.Attempt, LastError: state.Err, FreshUntil: state.FreshUntil,
		Fetches: r.loader.counters.fetches.Load(), Failures: r.loader.counters.failures.Load(),
		NotModified: r.loader.counters.notModified.Load(),
		Misses:      r.misses.count(), Refusals: r.refused.Load(),
	}
	if set := state.Value; set != nil {
		s.Age = r.loader.now().Sub(state.Success)
		s.Keys, s.Skipped = len(set.keys), set.skipped.byReason()
	}
	return s
}
