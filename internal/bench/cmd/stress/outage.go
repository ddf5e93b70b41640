package main

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/oidckit/oidckit/internal/bench"
	"github.com/oidckit/oidckit/internal/bench/report"
)

var outageHead = []string{"refused meanwhile", "p50", "p99", "p99, undisturbed", "ratio", "refused after", "fetches"}

var outages = []scenario{{
	name: "c1", title: "the issuer refuses connections for {outage}, keys are fresh for 1 s where there is such a notion; good tokens, 500/s; then {after} after it is back (rounds: {rounds})",
	head: outageHead, run: outage(func(s *stand) error { return s.Down() }, func(s *stand) error { return s.Up() }),
}, {
	name: "c2", title: "as c1, but the issuer takes requests and does not answer",
	head: outageHead, run: outage(
		func(s *stand) error { s.Hang(); return nil }, func(s *stand) error { s.Resume(); return nil },
	),
}, {
	name: "c3", title: "the service starts while the issuer is down, for {down}; defaults; 20 tokens/s",
	head: []string{"set-up", "first success after the issuer is back"},
	run:  startWithout,
}, {
	name: "c4", title: "as c2 with defaults, but nobody asked for 12 min before, by a turned clock; good tokens with a deadline of 5 s each",
	head: []string{"refused meanwhile", "p50", "p99", "fetches"}, long: true,
	run: idleBefore,
}}

func outage(begin, end func(*stand) error) func(context.Context, bench.Peer, scale) (result, error) {
	refresh := func(o *bench.Options) { o.Refresh = time.Second }
	return func(ctx context.Context, p bench.Peer, sc scale) (result, error) {
		trouble, err := inRounds(ctx, p, sc.rounds, refresh, func(s, control *stand, r *round) error {
			if err := begin(s); err != nil {
				return err
			}
			send(sc.outage, s.goodTokens(ctx, &r.good), control.goodTokens(ctx, &r.undisturbed))
			if err := end(s); err != nil {
				return err
			}
			send(sc.after, s.goodTokens(ctx, &r.after))
			return nil
		})
		if err != nil {
			return result{}, err
		}
		return result{
			cells: []string{
				trouble.good.refusals(), trouble.good.time(50), trouble.good.time(99), trouble.undisturbed.time(99),
				report.Ratio(trouble.ratio()), trouble.after.refusals(), trouble.fetches(),
			},
			checks: []report.Check{
				countedAtMost("good tokens refused meanwhile", int64(trouble.good.refused), 0),
				countedAtMost("good tokens refused after", int64(trouble.after.refused), 0),
				trouble.disturbed(),
			},
		}, nil
	}
}

var errNoClock = errors.New("no clock to turn")

// idleBefore is for this library alone: only its clock can be turned. The one check
// is not counted, for what is right here is a question: a key that was withdrawn
// while nobody looked must not serve again, and a good token should not wait.
func idleBefore(ctx context.Context, p bench.Peer, sc scale) (result, error) {
	if p.Name != bench.Ours {
		return result{}, errNoClock
	}
	var turned atomic.Int64
	s, err := newWarmStand(ctx, p, 0, func(o *bench.Options) {
		o.Now = func() time.Time { return time.Now().Add(time.Duration(turned.Load())) }
	})
	if err != nil {
		return result{}, err
	}
	defer s.Close()
	s.Hang()
	turned.Store(int64(12 * time.Minute))
	var meanwhile tally
	send(sc.outage, s.goodTokens(ctx, &meanwhile))
	return result{
		cells: []string{meanwhile.refusals(), meanwhile.time(50), meanwhile.time(99), s.fetches()},
		checks: []report.Check{{
			Target:   "good tokens refused meanwhile: at most 0",
			Measured: strconv.Itoa(meanwhile.refused), Met: meanwhile.refused == 0,
		}},
	}, nil
}

// startWithout gives New the time that a service manager would.
func startWithout(ctx context.Context, p bench.Peer, sc scale) (result, error) {
	rig, err := bench.NewRig(ctx, "RS256")
	if err != nil {
		return result{}, err
	}
	defer rig.Close()
	tokens, err := rig.Tokens("large", 1)
	if err != nil {
		return result{}, err
	}
	if err := rig.Down(); err != nil {
		return result{}, err
	}
	v, setUp := newWithin(ctx, p, rig.Options(), deadline)
	row := result{cells: []string{setUp, "–"}, checks: []report.Check{{
		Target: "starts without the provider", Measured: setUp, Met: v != nil, Counted: true,
	}}}
	if v == nil {
		return row, rig.Up()
	}
	s := &stand{Rig: rig, verifier: v, good: tokens[0]}
	every := 50 * time.Millisecond
	_, early := s.firstSuccess(ctx, s.good, time.Now(), every, sc.down)
	if err := rig.Up(); err != nil {
		return result{}, err
	}
	after, ok := s.firstSuccess(ctx, s.good, time.Now(), every, sc.watch)
	row.cells[1] = acceptedAfter(after, ok)
	row.checks = append(row.checks, report.Check{
		Target: "heals by itself", Measured: row.cells[1], Met: ok && !early, Counted: true,
	})
	return row, nil
}

func newWithin(ctx context.Context, p bench.Peer, o bench.Options, d time.Duration) (bench.Verifier, string) {
	type made struct {
		v   bench.Verifier
		err error
	}
	done := make(chan made, 1)
	go func() {
		v, err := p.New(ctx, o)
		done <- made{v, err}
	}()
	select {
	case m := <-done:
		if m.err != nil {
			return nil, "fails"
		}
		return m.v, "ok"
	case <-time.After(d):
		return nil, "still waiting after " + d.String()
	}
}
