package compare

import (
	"fmt"
	"math"

	"github.com/oidckit/oidckit/internal/bench"
	"github.com/oidckit/oidckit/internal/bench/report"
)

// Table has a line for each group, and what it allocates below it.
func (p Passes) Table(groups []bench.Group) *report.Table {
	t := &report.Table{Head: []string{"", "token"}}
	columns := []string{bench.Limit}
	for _, peer := range bench.Peers() {
		columns = append(columns, peer.Name)
	}
	t.Head = append(t.Head, columns...)
	for _, g := range groups {
		c := g[0]
		if c.What == bench.RequireLogin { // has a table of its own: its peers are others
			continue
		}
		of, unit := cpu, "CPU"
		if c.Parallel() {
			of, unit = wall, "wall"
		}
		times := []string{label(c.What) + ", " + unit, c.Size + " " + c.Algorithm}
		counts := []string{label(c.What) + ", allocs", c.Size + " " + c.Algorithm}
		for _, peer := range columns {
			k := Key{c.What, c.Size, c.Algorithm, peer}
			times = append(times, p.time(k, base(c), of))
			counts = append(counts, p.count(k))
		}
		t.Add(times...)
		if !c.Parallel() {
			t.Add(counts...)
		}
	}
	return t
}

// SessionTable has the requests of logged-in browsers.
func (p Passes) SessionTable(groups []bench.Group) *report.Table {
	t := &report.Table{Head: append([]string{"", "session"}, bench.SessionPeers()...)}
	for _, g := range groups {
		if g[0].What != bench.RequireLogin {
			continue
		}
		times, counts := []string{"request with a session, CPU", g[0].Size}, []string{"request with a session, allocs", g[0].Size}
		for _, c := range g {
			times = append(times, p.time(keyOf(c), keyOf(g[0]), cpu))
			counts = append(counts, p.count(keyOf(c)))
		}
		t.Add(times...)
		t.Add(counts...)
	}
	return t
}

func label(what string) string {
	return map[string]string{
		bench.Verify: "verify", bench.VerifyParallel: "verify, parallel",
		bench.Bearer: "request", bench.BearerParallel: "request, parallel",
		bench.Wrap: "middleware alone",
		bench.Hot:  "1,000 hot tokens", bench.HotParallel: "1,000 hot tokens, parallel",
	}[what]
}

// base is what a line's ratios are to: of tokens the primitive; of requests, where
// that would be an API without protection, this library.
func base(c bench.Case) Key {
	k := keyOf(c)
	switch c.What {
	default:
		k.Peer = bench.Limit
	case bench.Bearer, bench.BearerParallel:
		k.Peer = bench.Ours
	}
	return k
}

func (p Passes) time(k, base Key, of func(bench.Sample) float64) string {
	m := p.median(k, of)
	if math.IsNaN(m) {
		return "–"
	}
	return fmt.Sprintf("%s %s", report.Nanoseconds(m), report.Ratio(p.ratio(k, base, of)))
}

func (p Passes) count(k Key) string {
	m := p.median(k, allocs)
	if math.IsNaN(m) {
		return "–"
	}
	return fmt.Sprintf("%.0f", m)
}
