package main

import (
	"context"
	"fmt"
	"time"

	"github.com/oidckit/oidckit/internal/bench"
	"github.com/oidckit/oidckit/internal/bench/report"
)

const junkPerSecond = 200

// every is how often the token of the new key is tried.
const every = 20 * time.Millisecond

var rotations = []scenario{{
	name: "f", title: "rotation during a flood, begun {before} before, of 200 bad tokens/s: unknown kids and wrong signatures in turn (the reply takes 20 ms; our cooldown is {cooldown})",
	head: []string{"new key accepted after", "fetches", "bad accepted"},
	run:  rotationUnderFlood,
}}

func rotationUnderFlood(ctx context.Context, p bench.Peer, sc scale) (result, error) {
	s, err := newWarmStand(ctx, p, reply, func(o *bench.Options) { o.Cooldown = sc.cooldown })
	if err != nil {
		return result{}, err
	}
	defer s.Close()
	var flood tally
	flooding := make(chan struct{})
	atMost := min(sc.watch, sc.ourCooldown()+time.Second)
	go func() {
		defer close(flooding)
		send(sc.before+atMost, stream{junkPerSecond, func(i int) error { return s.verify(ctx, junk(s.good, i)) }, &flood})
	}()
	time.Sleep(sc.before)
	token, err := s.rotate()
	if err != nil {
		return result{}, err
	}
	after, ok := s.firstSuccess(ctx, token, time.Now(), every, atMost)
	<-flooding
	// The flood spent the budget at its start, so the cooldown ends before this.
	latest := sc.ourCooldown() - sc.before + 2*reply + every
	return result{
		cells: []string{acceptedAfter(after, ok), s.fetches(), fmt.Sprint(flood.accepted)},
		checks: []report.Check{
			{Target: "the new key is accepted", Measured: acceptedAfter(after, ok), Met: ok, Counted: true},
			timedAtMost("the new key is accepted at the first request after the cooldown", after, latest),
			countedAtMost("bad tokens accepted", int64(flood.accepted), 0),
			countedAtMost("fetches, one for each cooldown begun", s.Keys.Load(), int64((sc.before+atMost)/sc.ourCooldown())+1),
		},
	}, nil
}

func junk(good string, i int) string {
	if i%2 == 0 {
		return unknownKid(good, i)
	}
	return badSignature(good, i)
}
