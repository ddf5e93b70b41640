package jwks

import "time"

// A Trace has functions that a [Remote] calls when something happens, as in
// net/http/httptrace. Each may be nil. They are called outside of all locks, from
// several goroutines at the same time, and should return soon. One Trace may serve
// many Remotes.
type Trace struct {
	// FetchStart is called before a fetch, in its goroutine. It must not ask the
	// Remote for keys: they would wait for each other.
	FetchStart func()
	// FetchDone is called after a fetch, when what came of it is in place.
	FetchDone func(FetchInfo)
	// Refused is called when a key was wanted that is not known, and no fetch was
	// made for it. It is called for each such token, in the goroutine of the caller.
	Refused func(Refusal)
}

// FetchInfo says what came of a fetch.
type FetchInfo struct {
	Duration    time.Duration // 0 in what Trace has not asked for
	Err         error         // nil for a good answer; the numbers are then of the new set
	NotModified bool          // the provider said that the set is the same
	Keys        int           // usable ones
	Skipped     int           // members that were left out
	Added       int           // keys that were not there before
	Removed     int           // keys that were there before, and are no longer or have changed
}

// A Refusal is an answer without a fetch.
type Refusal struct{ Reason RefusalReason }

// A RefusalReason is why no fetch was made for a key that is not known.
type RefusalReason string

// The reasons.
const (
	RefusedCooldown RefusalReason = "cooldown" // see RemoteConfig.Cooldown
	RefusedCrowded  RefusalReason = "crowded"  // a thousand wait for the same fetch already
)

func (t *Trace) fetchStart() {
	if t != nil && t.FetchStart != nil {
		t.FetchStart()
	}
}

func (t *Trace) fetchDone(info FetchInfo) {
	if t != nil && t.FetchDone != nil {
		t.FetchDone(info)
	}
}

func (t *Trace) refused(r Refusal) {
	if t != nil && t.Refused != nil {
		t.Refused(r)
	}
}
