package compare

import (
	"fmt"
	"runtime"

	"github.com/oidckit/oidckit/internal/bench"
	"github.com/oidckit/oidckit/internal/bench/report"
)

// The targets of the issue. Ratios are of CPU time.
const (
	maxHMAC       = 6.0   // of the primitive, HS256
	maxAllocs     = 5.0   // more than the primitive
	maxCached     = 250.0 // nanoseconds
	maxCachedPart = 0.004 // of the fastest peer's RS256
	minScaling    = 0.75  // of the cores, at 1,000 hot tokens

	maxMiddleware       = 1.05  // of our verification alone
	maxCachedMiddleware = 700.0 // nanoseconds
	maxMiddlewareAllocs = 6.0   // with a token of the cache

	maxRequireLogin = 15_000.0 // nanoseconds, with a session in sealed cookies
)

// maxOverLimit is how much more than the primitive a token may cost.
var maxOverLimit = map[string]float64{"large": 1.15, "small": 1.08}

// minFaster is how many times faster than the fastest peer we are to be.
var minFaster = map[string]float64{"RS256": 1.5, "ES256": 1.3, "EdDSA": 1.3, "HS256": 5}

// Checks holds the passes to the targets. Those that were not measured are not met,
// but those of a cache, which are left out.
func (p Passes) Checks() []report.Check {
	var checks []report.Check
	for _, size := range bench.Sizes() {
		for _, algorithm := range bench.Algorithms() {
			checks = append(checks, p.overLimit(size, algorithm), p.overLimitAllocs(size, algorithm))
		}
	}
	for _, algorithm := range bench.Algorithms() {
		if minFaster[algorithm] > 0 {
			checks = append(checks, p.faster(algorithm))
		}
	}
	return append(append(append(checks, p.middleware()...), p.cached()...), p.requireLogin()...)
}

// requireLogin is the target for a request of a logged-in browser to an empty handler. It is
// left out where it was not measured.
func (p Passes) requireLogin() (checks []report.Check) {
	for k := range p {
		if k.What == bench.RequireLogin && k.Peer == bench.OursSealed {
			ns := p.median(k, cpu)
			checks = append(checks, report.Check{
				Target:   fmt.Sprintf("RequireLogin, sealed cookies of %s: at most %s", k.Size, report.Nanoseconds(maxRequireLogin)),
				Measured: report.Nanoseconds(ns), Met: ns <= maxRequireLogin,
			})
		}
	}
	return checks
}

// middleware are the targets for a request to an empty handler. The limit of its rows
// is our verification alone.
func (p Passes) middleware() (checks []report.Check) {
	for _, algorithm := range []string{"HS256", "RS256", "ES256"} {
		r := p.ratio(Key{bench.Wrap, "large", algorithm, bench.Ours}, Key{bench.Wrap, "large", algorithm, bench.Limit}, cpu)
		checks = append(checks, report.Check{
			Target:   fmt.Sprintf("middleware, cold, %s: at most %s the verification alone", algorithm, report.Ratio(maxMiddleware)),
			Measured: report.Ratio(r), Met: r <= maxMiddleware,
		})
	}
	cached := Key{bench.Wrap, "large", "RS256", bench.Cached}
	ns, n := p.median(cached, cpu), p.median(cached, allocs)
	return append(checks, report.Check{
		Target:   fmt.Sprintf("middleware, cached: at most %s", report.Nanoseconds(maxCachedMiddleware)),
		Measured: report.Nanoseconds(ns), Met: ns <= maxCachedMiddleware,
	}, report.Check{
		Target:   fmt.Sprintf("middleware, cached: at most %.0f allocations", maxMiddlewareAllocs),
		Measured: fmt.Sprintf("%.0f", n), Met: n <= maxMiddlewareAllocs,
	})
}

func (p Passes) overLimit(size, algorithm string) report.Check {
	limit := maxOverLimit[size]
	if algorithm == "HS256" {
		limit = maxHMAC
	}
	r := p.ratio(Key{bench.Verify, size, algorithm, bench.Ours}, Key{bench.Verify, size, algorithm, bench.Limit}, cpu)
	return report.Check{
		Target:   fmt.Sprintf("cold, %s, %s: at most %s the primitive", size, algorithm, report.Ratio(limit)),
		Measured: report.Ratio(r), Met: r <= limit,
	}
}

func (p Passes) overLimitAllocs(size, algorithm string) report.Check {
	ours := p.median(Key{bench.Verify, size, algorithm, bench.Ours}, allocs)
	limit := p.median(Key{bench.Verify, size, algorithm, bench.Limit}, allocs)
	return report.Check{
		Target:   fmt.Sprintf("cold, %s, %s: at most %.0f allocations more than the primitive", size, algorithm, maxAllocs),
		Measured: fmt.Sprintf("%.0f - %.0f = %.0f", ours, limit, ours-limit), Met: ours-limit <= maxAllocs,
	}
}

func (p Passes) faster(algorithm string) report.Check {
	peer := p.fastest(bench.Verify, "large", algorithm)
	r := p.ratio(peer, Key{bench.Verify, "large", algorithm, bench.Ours}, cpu)
	small := p.fastest(bench.Verify, "small", algorithm)
	rSmall := p.ratio(small, Key{bench.Verify, "small", algorithm, bench.Ours}, cpu)
	return report.Check{
		Target: fmt.Sprintf("cold, large, %s: the fastest peer needs at least %s", algorithm, report.Ratio(minFaster[algorithm])),
		Measured: fmt.Sprintf("%s (%s); for information, small: %s (%s)",
			report.Ratio(r), peer.Peer, report.Ratio(rSmall), small.Peer),
		Met: r >= minFaster[algorithm],
	}
}

// cached are the targets for a token that is in the cache, alone or among 1,000.
func (p Passes) cached() []report.Check {
	serial := Key{bench.Hot, "large", "RS256", bench.Cached}
	parallel := Key{bench.HotParallel, "large", "RS256", bench.Cached}
	if len(p[serial]) == 0 {
		return nil
	}
	scaling := p.ratio(serial, parallel, wall)
	wanted := minScaling * float64(runtime.GOMAXPROCS(0))
	checks := p.hit("one hot token", Key{bench.Verify, "large", "RS256", bench.Cached})
	checks = append(checks, p.hit("1,000 hot tokens", serial)...)
	return append(checks, report.Check{
		Target:   fmt.Sprintf("cached, 1,000 hot tokens: %d cores do at least %s of one", runtime.GOMAXPROCS(0), report.Ratio(wanted)),
		Measured: report.Ratio(scaling), Met: scaling >= wanted,
	})
}

// hit are the targets for one lookup.
func (p Passes) hit(which string, k Key) []report.Check {
	peer := p.fastest(bench.Verify, "large", "RS256")
	ns, part := p.median(k, cpu), p.ratio(k, peer, cpu)
	return []report.Check{{
		Target:   fmt.Sprintf("cached, %s: at most %s", which, report.Nanoseconds(maxCached)),
		Measured: report.Nanoseconds(ns), Met: ns <= maxCached,
	}, {
		Target:   fmt.Sprintf("cached, %s: at most %.1f %% of the fastest peer's cold RS256", which, 100*maxCachedPart),
		Measured: fmt.Sprintf("%.2f %% (%s)", 100*part, peer.Peer), Met: part <= maxCachedPart,
	}, {
		Target: fmt.Sprintf("cached, %s: no allocation", which), Measured: fmt.Sprintf("%.0f", p.median(k, allocs)),
		Met: p.median(k, allocs) == 0,
	}}
}
