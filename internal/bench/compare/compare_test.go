package compare_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/bench"
	"github.com/oidckit/oidckit/internal/bench/compare"
	"github.com/oidckit/oidckit/internal/bench/report"
)

// samples makes one for each CPU time.
func samples(allocs int64, ns ...float64) []bench.Sample {
	var s []bench.Sample
	for _, cpu := range ns {
		s = append(s, bench.Sample{CPU: cpu, Wall: cpu, Allocs: allocs})
	}
	return s
}

func verifying(size, algorithm, peer string) compare.Key {
	return compare.Key{What: bench.Verify, Size: size, Algorithm: algorithm, Peer: peer}
}

func check(t *testing.T, p compare.Passes, target string) report.Check {
	for _, c := range p.Checks() {
		if c.Target == target {
			return c
		}
	}
	require.Fail(t, "no such target", target)
	return report.Check{}
}

// The machine is twice as slow in the second pass: the ratio of the medians would
// be wrong, the median of the ratios is not.
func TestRatiosAreTakenWithinAPass(t *testing.T) {
	t.Parallel()
	p := compare.Passes{
		verifying("large", "RS256", bench.Limit): samples(9, 100, 200, 400),
		verifying("large", "RS256", bench.Ours):  samples(14, 110, 220, 800),
	}
	c := check(t, p, "cold, large, RS256: at most ×1.15 the primitive")
	require.True(t, c.Met)
	require.Equal(t, "×1.10", c.Measured)

	p[verifying("large", "RS256", bench.Ours)] = samples(14, 120, 240, 440)
	require.False(t, check(t, p, "cold, large, RS256: at most ×1.15 the primitive").Met)
}

func TestAllocations(t *testing.T) {
	t.Parallel()
	target := "cold, small, ES256: at most 5 allocations more than the primitive"
	p := compare.Passes{
		verifying("small", "ES256", bench.Limit): samples(10, 1),
		verifying("small", "ES256", bench.Ours):  samples(15, 1),
	}
	require.True(t, check(t, p, target).Met)
	p[verifying("small", "ES256", bench.Ours)] = samples(16, 1)
	require.False(t, check(t, p, target).Met)
}

func TestMiddleware(t *testing.T) {
	t.Parallel()
	of := func(algorithm, peer string) compare.Key {
		return compare.Key{What: bench.Wrap, Size: "large", Algorithm: algorithm, Peer: peer}
	}
	ratio := "middleware, cold, ES256: at most ×1.05 the verification alone"
	p := compare.Passes{
		of("ES256", bench.Limit):  samples(9, 100, 200, 400),
		of("ES256", bench.Ours):   samples(12, 104, 210, 800),
		of("RS256", bench.Cached): samples(6, 700),
	}
	require.True(t, check(t, p, ratio).Met)
	require.True(t, check(t, p, "middleware, cached: at most 700 ns").Met)
	require.True(t, check(t, p, "middleware, cached: at most 6 allocations").Met)
	p[of("ES256", bench.Ours)] = samples(12, 106, 214, 400)
	p[of("RS256", bench.Cached)] = samples(7, 701)
	require.False(t, check(t, p, ratio).Met)
	require.False(t, check(t, p, "middleware, cached: at most 700 ns").Met)
	require.False(t, check(t, p, "middleware, cached: at most 6 allocations").Met)
}

func TestTheFastestPeerCounts(t *testing.T) {
	t.Parallel()
	target := "cold, large, RS256: the fastest peer needs at least ×1.50"
	p := compare.Passes{
		verifying("large", "RS256", bench.Limit): samples(0, 1), // no peer
		verifying("large", "RS256", bench.Ours):  samples(0, 100),
		verifying("large", "RS256", "jwx"):       samples(0, 300),
		verifying("large", "RS256", "go-oidc"):   samples(0, 150),
	}
	require.True(t, check(t, p, target).Met)
	p[verifying("large", "RS256", "cap-jwt")] = samples(0, 149)
	require.False(t, check(t, p, target).Met)
}

func TestWhatWasNotMeasuredIsNotMet(t *testing.T) {
	t.Parallel()
	for _, c := range (compare.Passes{}).Checks() {
		require.False(t, c.Met, c.Target)
	}
}

func TestCached(t *testing.T) {
	t.Parallel()
	one := verifying("large", "RS256", bench.Cached)
	hot := one
	hot.What = bench.Hot
	parallel := one
	parallel.What = bench.HotParallel
	p := compare.Passes{
		verifying("large", "RS256", "go-oidc"): samples(0, 100_000),
		one:                                    samples(0, 100),
		hot:                                    samples(0, 250),
		parallel:                               samples(0, 1),
	}
	met := func() (n int) {
		for _, c := range p.Checks() {
			if c.Met {
				n++
			}
		}
		return n
	}
	require.Equal(t, 7, met(), "time, part and allocations of both, scaling")
	p[hot] = samples(1, 450)
	require.Equal(t, 4, met(), "one token, scaling")
	p[one] = samples(1, 450)
	require.Equal(t, 1, met(), "scaling alone")
	p[parallel] = samples(0, 450)
	require.Zero(t, met())
}
