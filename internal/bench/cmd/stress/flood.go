package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/oidckit/oidckit/internal/bench"
	"github.com/oidckit/oidckit/internal/bench/report"
)

const badPerSecond = 2000

var floodHead = []string{"fetches", "accepted", "p50 of a refusal", "p99", "most calls waiting"}

var floods = []scenario{{
	name: "b1", title: "{bad} tokens with unknown kids over {flood} (the reply takes 20 ms)",
	head: floodHead, run: flooded(unknownKid, reply),
}, {
	name: "b2", title: "as b1, but the reply comes at once",
	head: floodHead, run: flooded(unknownKid, 0),
}, {
	name: "b3", title: "{bad} tokens with the known kid and a wrong signature over {flood} (the reply takes 20 ms)",
	head: floodHead, run: flooded(badSignature, reply),
}}

// flooded is right in all but what forge makes of a token.
func flooded(forge func(good string, i int) string, delay time.Duration) func(context.Context, bench.Peer, scale) (result, error) {
	return func(ctx context.Context, p bench.Peer, sc scale) (result, error) {
		s, err := newWarmStand(ctx, p, delay, nil)
		if err != nil {
			return result{}, err
		}
		defer s.Close()
		var t tally
		send(sc.flood, stream{badPerSecond, func(i int) error { return s.verify(ctx, forge(s.good, i)) }, &t})
		return result{
			cells: []string{s.fetches(), fmt.Sprint(t.accepted), t.time(50), t.time(99), fmt.Sprint(t.most.Load())},
			checks: []report.Check{
				countedAtMost("fetches", s.Keys.Load()+s.Discoveries.Load(), 2),
				countedAtMost("bad tokens accepted", int64(t.accepted), 0),
				timedAtMost("p99 of a refusal", t.percentile(99), time.Millisecond),
			},
		}, nil
	}
}

// unknownKid changes the header of a good token.
func unknownKid(good string, i int) string {
	_, rest, _ := strings.Cut(good, ".")
	header := fmt.Sprintf(`{"alg":"RS256","kid":"unknown-%d","typ":"at+jwt"}`, i)
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + rest
}

// badSignature changes the beginning of the signature.
func badSignature(good string, i int) string {
	dot := strings.LastIndexByte(good, '.')
	begin := fmt.Sprintf("%08d", i)
	if good[dot+1:dot+9] == begin {
		begin = "AAAAAAAA"
	}
	return good[:dot+1] + begin + good[dot+9:]
}
