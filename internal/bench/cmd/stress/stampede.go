package main

import (
	"context"
	"fmt"
	"time"

	"github.com/oidckit/oidckit/internal/bench"
	"github.com/oidckit/oidckit/internal/bench/report"
)

// callers come at once.
const callers = 200

// reply is how long an answer with keys takes where nothing else is said.
const reply = 20 * time.Millisecond

var stampedes = []scenario{{
	name: "a1", title: "cold start, 200 verify at once (the reply takes 20 ms)",
	head: []string{"fetches", "refused", "slowest"},
	run:  coldStampede,
}, {
	name: "a2", title: "rotation, 200 bring tokens of the new key at once (the reply takes 20 ms)",
	head: []string{"fetches", "refused", "slowest", "new key accepted after"},
	run:  rotationStampede,
}}

func coldStampede(ctx context.Context, p bench.Peer, _ scale) (result, error) {
	s, err := newStand(ctx, p, reply, nil)
	if err != nil {
		return result{}, err
	}
	defer s.Close()
	t := stampede(callers, func(int) error { return s.verify(ctx, s.good) })
	return result{
		cells: []string{s.fetches(), t.refusals(), t.time(100)},
		checks: []report.Check{
			countedAtMost("fetches of the key set, "+p.Name, s.Keys.Load(), 1),
			countedAtMost("fetches of the metadata", s.Discoveries.Load(), 1),
			countedAtMost("good tokens refused", int64(t.refused), 0),
		},
	}, nil
}

func rotationStampede(ctx context.Context, p bench.Peer, sc scale) (result, error) {
	s, err := newWarmStand(ctx, p, reply, nil)
	if err != nil {
		return result{}, err
	}
	defer s.Close()
	token, err := s.rotate()
	if err != nil {
		return result{}, err
	}
	began := time.Now()
	t := stampede(callers, func(int) error { return s.verify(ctx, token) })
	seen, after := s.fetches(), "at once"
	keys := s.Keys.Load()
	if t.refused > 0 {
		after = acceptedAfter(s.firstSuccess(ctx, token, began, reply, sc.watch))
	}
	return result{
		cells: []string{seen, t.refusals(), t.time(100), after},
		checks: []report.Check{
			countedAtMost("fetches of the key set", keys, 1),
			countedAtMost("good tokens refused", int64(t.refused), 0),
		},
	}, nil
}

// fetches are those of the key set, and of the metadata if there were any.
func fetches(keys, discoveries int64) string {
	if discoveries > 0 {
		return fmt.Sprintf("%d (+ %d of metadata)", keys, discoveries)
	}
	return fmt.Sprint(keys)
}

func (s *stand) fetches() string { return fetches(s.Keys.Load(), s.Discoveries.Load()) }

func acceptedAfter(after time.Duration, ok bool) string {
	if !ok {
		return "not within " + after.String()
	}
	return report.Nanoseconds(float64(after))
}

func countedAtMost(what string, got, limit int64) report.Check {
	return report.Check{
		Target: fmt.Sprintf("%s: at most %d", what, limit), Measured: fmt.Sprint(got), Met: got <= limit, Counted: true,
	}
}

func timedAtMost(what string, got, limit time.Duration) report.Check {
	return report.Check{
		Target:   fmt.Sprintf("%s: at most %s", what, report.Nanoseconds(float64(limit))),
		Measured: report.Nanoseconds(float64(got)), Met: got <= limit,
	}
}
