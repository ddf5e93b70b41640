package oidc

import "time"

// NewReplayMemory returns a [ReplayStore] for the only process of a program. It remembers
// 65,536 keys; while none of them has expired, there is no room for another, which is an
// error. now tells the time; nil means time.Now.
func NewReplayMemory(now func() time.Time) ReplayStore {
	if now == nil {
		now = time.Now
	}
	return &replayMemory{now: now}
}
