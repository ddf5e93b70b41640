// Package compare takes what was measured in several passes together, and holds it
// to the targets.
package compare

import (
	"math"

	"github.com/oidckit/oidckit/internal/bench"
	"github.com/oidckit/oidckit/internal/bench/report"
)

// A Key names a case.
type Key struct{ What, Size, Algorithm, Peer string }

func keyOf(c bench.Case) Key { return Key{c.What, c.Size, c.Algorithm, c.Peer} }

// Passes are the samples of each case, one for each pass.
type Passes map[Key][]bench.Sample

// Measure goes round n times. The cases of a group are measured back to back, and
// each pass begins with another one: whoever comes first is not always the same. It
// tells when a pass, from 0, begins.
func Measure(rigs bench.Rigs, what []string, n int, tell func(pass int)) (Passes, []bench.Group, error) {
	var groups []bench.Group
	for _, w := range what {
		g, err := rigs.Groups(w)
		if err != nil {
			return nil, nil, err
		}
		groups = append(groups, g...)
	}
	p := Passes{}
	for pass := range n {
		tell(pass)
		for _, g := range groups {
			if err := p.add(g, pass); err != nil {
				return nil, nil, err
			}
		}
	}
	return p, groups, nil
}

func (p Passes) add(g bench.Group, first int) error {
	for i := range g {
		c := g[(first+i)%len(g)]
		s, err := c.Sample()
		if err != nil {
			return err
		}
		p[keyOf(c)] = append(p[keyOf(c)], s)
	}
	return nil
}

// Of a sample, what is compared.
func cpu(s bench.Sample) float64    { return s.CPU }
func wall(s bench.Sample) float64   { return s.Wall }
func allocs(s bench.Sample) float64 { return float64(s.Allocs) }

// median returns the middle of all passes, NaN if the case was not measured.
func (p Passes) median(k Key, of func(bench.Sample) float64) float64 {
	var values []float64
	for _, s := range p[k] {
		values = append(values, of(s))
	}
	if len(values) == 0 {
		return math.NaN()
	}
	return report.Median(values)
}

// ratio returns the middle of the ratios that a and b had within a pass, NaN if one
// of them was not measured.
func (p Passes) ratio(a, b Key, of func(bench.Sample) float64) float64 {
	n := min(len(p[a]), len(p[b]))
	if n == 0 {
		return math.NaN()
	}
	values := make([]float64, n)
	for i := range n {
		values[i] = of(p[a][i]) / of(p[b][i])
	}
	return report.Median(values)
}

// fastest returns the peer that needs the least.
func (p Passes) fastest(what, size, algorithm string) Key {
	var best Key
	least := math.Inf(1)
	for _, peer := range bench.Others() {
		k := Key{what, size, algorithm, peer.Name}
		if m := p.median(k, cpu); m < least {
			best, least = k, m
		}
	}
	return best
}
