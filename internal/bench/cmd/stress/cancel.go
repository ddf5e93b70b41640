package main

import (
	"context"
	"errors"
	"time"

	"github.com/oidckit/oidckit/internal/bench"
	"github.com/oidckit/oidckit/internal/bench/report"
)

// The first caller hangs up 100 ms into a fetch of 500 ms; others came in between.
const (
	slowReply = 500 * time.Millisecond
	hangsUp   = 100 * time.Millisecond
	others    = 20
)

var cancelHead = []string{"others refused", "others' slowest", "fetches"}

var cancellations = []scenario{{
	name: "e1", title: "cold: the first caller's context ends 100 ms into a fetch of 500 ms; 20 others came in between",
	head: cancelHead, run: cancelledCold,
}, {
	name: "e2", title: "as e1, but warm, and the tokens are of a key that was just rotated in",
	head: cancelHead, run: cancelledRotation,
}}

func cancelledCold(ctx context.Context, p bench.Peer, _ scale) (result, error) {
	s, err := newStand(ctx, p, slowReply, nil)
	if err != nil {
		return result{}, err
	}
	defer s.Close()
	return s.hangUp(ctx, s.good)
}

func cancelledRotation(ctx context.Context, p bench.Peer, _ scale) (result, error) {
	s, err := newWarmStand(ctx, p, 0, nil)
	if err != nil {
		return result{}, err
	}
	defer s.Close()
	s.Delay(slowReply)
	token, err := s.rotate()
	if err != nil {
		return result{}, err
	}
	return s.hangUp(ctx, token)
}

func (s *stand) hangUp(ctx context.Context, token string) (result, error) {
	impatient, cancel := context.WithTimeout(ctx, hangsUp)
	defer cancel()
	first := make(chan error, 1)
	go func() {
		_, err := s.verifier.Verify(impatient, token)
		first <- err
	}()
	time.Sleep(hangsUp / 2)
	t := stampede(others, func(int) error { return s.verify(ctx, token) })
	err := <-first
	return result{
		cells: []string{t.refusals(), t.time(100), s.fetches()},
		checks: []report.Check{
			countedAtMost("others refused", int64(t.refused), 0),
			countedAtMost("fetches of the key set", s.Keys.Load(), 1),
			{
				Target: "the first caller's context ends its own wait", Measured: outcome(err),
				Met: errors.Is(err, context.DeadlineExceeded), Counted: true,
			},
		},
	}, nil
}

func outcome(err error) string {
	switch {
	case err == nil:
		return "accepted"
	case errors.Is(err, context.DeadlineExceeded):
		return "its own deadline"
	}
	return "another error"
}
