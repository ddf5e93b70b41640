package main

import (
	"context"
	"fmt"

	"github.com/oidckit/oidckit/internal/bench"
	"github.com/oidckit/oidckit/internal/bench/report"
)

const goodPerSecond = 500

// maxDisturbed is how much the slowest good tokens may suffer.
const maxDisturbed = 1.5

// A round is trouble with a control beside: the same peer at an issuer that stays
// well, with as many good tokens at the same time. What the machine does to one it
// does to both. Rounds can be added up.
type round struct {
	good, undisturbed, after, unknown tally

	keys, discoveries int64 // fetches
	ratios            []float64
}

// inRounds makes the same trouble n times, each time with new stands, and adds up.
func inRounds(ctx context.Context, p bench.Peer, n int, change func(*bench.Options), trouble func(s, control *stand, r *round) error) (*round, error) {
	var sum round
	for range n {
		r, err := oneRound(ctx, p, change, trouble)
		if err != nil {
			return nil, err
		}
		sum.add(r)
	}
	return &sum, nil
}

func oneRound(ctx context.Context, p bench.Peer, change func(*bench.Options), trouble func(s, control *stand, r *round) error) (*round, error) {
	ctx, cancel := context.WithCancel(ctx) // of what the peer runs in the background
	defer cancel()
	s, err := newWarmStand(ctx, p, 0, change)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	control, err := newWarmStand(ctx, p, 0, change)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	var r round
	if err := trouble(s, control, &r); err != nil {
		return nil, err
	}
	r.keys, r.discoveries = s.Keys.Load(), s.Discoveries.Load()
	r.ratios = []float64{float64(r.good.percentile(99)) / float64(r.undisturbed.percentile(99))}
	return &r, nil
}

func (r *round) add(other *round) {
	r.good.add(&other.good)
	r.undisturbed.add(&other.undisturbed)
	r.after.add(&other.after)
	r.unknown.add(&other.unknown)
	r.keys += other.keys
	r.discoveries += other.discoveries
	r.ratios = append(r.ratios, other.ratios...)
}

// ratio is the middle one: the slowest hundredth is at the mercy of the machine.
func (r *round) ratio() float64 { return report.Median(r.ratios) }

func (r *round) fetches() string { return fetches(r.keys, r.discoveries) }

func (r *round) disturbed() report.Check {
	return report.Check{
		Target:   fmt.Sprintf("p99 of good tokens: at most %s of the undisturbed", report.Ratio(maxDisturbed)),
		Measured: report.Ratio(r.ratio()), Met: r.ratio() <= maxDisturbed,
	}
}

func (s *stand) goodTokens(ctx context.Context, t *tally) stream {
	return stream{goodPerSecond, func(int) error { return s.verify(ctx, s.good) }, t}
}
