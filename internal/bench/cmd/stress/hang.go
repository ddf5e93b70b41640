package main

import (
	"context"
	"strconv"
	"time"

	"github.com/oidckit/oidckit/internal/bench"
	"github.com/oidckit/oidckit/internal/bench/report"
)

const unknownPerSecond = 20

var hangHead = []string{
	"good refused", "good p50", "good p99", "p99, undisturbed", "ratio", "unknown p50", "unknown p99", "fetches", "most calls waiting",
}

var hangs = []scenario{{
	name: "d1", title: "replies with keys take {hang}; 500 good tokens/s and 20 with unknown kids/s for {hanging}; defaults (rounds: {rounds})",
	head: hangHead, run: slowReplies(nil),
}, {
	name: "d2", title: "as d1, keys are fresh for 1 s where there is such a notion, so that they fall due meanwhile",
	head: hangHead, run: slowReplies(func(o *bench.Options) { o.Refresh = time.Second }),
}}

func slowReplies(change func(*bench.Options)) func(context.Context, bench.Peer, scale) (result, error) {
	return func(ctx context.Context, p bench.Peer, sc scale) (result, error) {
		trouble, err := inRounds(ctx, p, sc.rounds, change, func(s, control *stand, r *round) error {
			s.Delay(sc.hang)
			send(sc.hanging, s.goodTokens(ctx, &r.good), control.goodTokens(ctx, &r.undisturbed), stream{
				unknownPerSecond, func(i int) error { return s.verify(ctx, unknownKid(s.good, i)) }, &r.unknown,
			})
			return nil
		})
		if err != nil {
			return result{}, err
		}
		return result{
			cells: []string{
				trouble.good.refusals(), trouble.good.time(50), trouble.good.time(99), trouble.undisturbed.time(99),
				report.Ratio(trouble.ratio()), trouble.unknown.time(50), trouble.unknown.time(99), trouble.fetches(),
				strconv.FormatInt(trouble.good.most.Load()+trouble.unknown.most.Load(), 10),
			},
			checks: []report.Check{
				countedAtMost("good tokens refused", int64(trouble.good.refused), 0),
				countedAtMost("bad tokens accepted", int64(trouble.unknown.accepted), 0),
				trouble.disturbed(),
			},
		}, nil
	}
}
