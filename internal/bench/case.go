package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// What a Case measures. The names are those of the benchmarks.
const (
	Verify         = "Verify"         // a token, in one goroutine
	VerifyParallel = "VerifyParallel" // a token, on all cores
	Bearer         = "Bearer"         // a request through the middleware, in one goroutine
	BearerParallel = "BearerParallel" // a request through the middleware, on all cores
	Wrap           = "Wrap"           // a request through the middleware alone: the handler and the answer cost nothing
	Hot            = "Hot"            // 1,000 tokens in turn, in one goroutine
	HotParallel    = "HotParallel"    // 1,000 tokens in turn, on all cores
)

// hotTokens are as many as an API sees again and again.
const hotTokens = 1000

// A Case is one measurement.
type Case struct {
	What, Size, Algorithm, Peer string

	// newOp returns what is repeated, for one goroutine.
	newOp func() (func() error, error)
}

// A Group is cases to be compared with each other, measured back to back.
type Group []Case

// Name is what benchstat takes apart (-col /peer).
func (c Case) Name() string {
	return fmt.Sprintf("size=%s/alg=%s/peer=%s", c.Size, c.Algorithm, c.Peer)
}

// Parallel reports whether all cores work.
func (c Case) Parallel() bool { return strings.HasSuffix(c.What, "Parallel") }

// Groups returns the groups of one What.
func (r Rigs) Groups(what string) ([]Group, error) {
	if what == RequireLogin {
		g, err := Sessions(context.Background())
		return []Group{g}, err
	}
	var groups []Group
	for _, size := range sizesOf(what) {
		for _, algorithm := range algorithmsOf(what) {
			g, err := r[algorithm].group(what, size)
			if err != nil {
				return nil, fmt.Errorf("%s %s %s: %w", what, size, algorithm, err)
			}
			if len(g) > 0 {
				groups = append(groups, g)
			}
		}
	}
	return groups, nil
}

func sizesOf(what string) []string {
	if what == Verify {
		return Sizes()
	}
	return []string{"large"}
}

func algorithmsOf(what string) []string {
	switch what {
	case Bearer, BearerParallel, Wrap:
		return []string{"HS256", "RS256", "ES256"}
	case Hot, HotParallel:
		return []string{"RS256"}
	}
	return Algorithms()
}

// peersOf leaves those out for which a hot token is like any other.
func peersOf(what string) []Peer {
	peers := Peers()
	if what == Hot || what == HotParallel {
		return slices.DeleteFunc(peers, func(p Peer) bool { return p.Name != Cached })
	}
	return peers
}

func (r *Rig) group(what, size string) (Group, error) {
	var g Group
	if base := r.base(what); base != nil {
		g = append(g, Case{What: what, Size: size, Algorithm: r.Key.Algorithm, Peer: Limit, newOp: base(size)})
	}
	for _, p := range peersOf(what) {
		v, err := r.Verifier(p)
		if errors.Is(err, ErrNoSymmetric) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		c := Case{What: what, Size: size, Algorithm: r.Key.Algorithm, Peer: p.Name}
		if c.newOp, err = r.ops(what, size, v); err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		g = append(g, c)
	}
	return g, nil
}

// base is what costs least of all: the primitive, the API without protection, our
// verification alone, or reading tokens, which a server does when it gets them.
func (r *Rig) base(what string) func(size string) func() (func() error, error) {
	switch what {
	case Verify, VerifyParallel:
		return r.limitOps
	case Bearer, BearerParallel:
		return func(size string) func() (func() error, error) { return r.bearerOps(size, Unprotected()) }
	case Wrap:
		return r.aloneOps
	case Hot, HotParallel:
		return r.readOps
	}
	return nil
}

func (r *Rig) limitOps(size string) func() (func() error, error) {
	return func() (func() error, error) {
		tokens, err := r.Tokens(size, 1)
		if err != nil {
			return nil, err
		}
		return NewLimit(r.Key, tokens[0])
	}
}

func (r *Rig) readOps(size string) func() (func() error, error) {
	return func() (func() error, error) {
		tokens, err := r.Tokens(size, hotTokens)
		return inTurn(tokens, func(t string) error { return verified(strings.Count(t, ".") == 2) }), err
	}
}

func (r *Rig) ops(what, size string, v Verifier) (func() (func() error, error), error) {
	switch what {
	case Bearer, BearerParallel:
		return r.bearerOps(size, Protect(v)), nil
	case Wrap:
		return r.wrapOps(size, v), nil
	case Hot, HotParallel:
		return r.verifyOps(size, v, hotTokens)
	}
	return r.verifyOps(size, v, 1)
}

// verifyOps verifies n tokens in turn. All were seen before. Each goroutine has
// copies of its own, as of requests: comparing a string with itself costs nothing.
func (r *Rig) verifyOps(size string, v Verifier, n int) (func() (func() error, error), error) {
	tokens, err := r.Tokens(size, n)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	for _, t := range tokens {
		if err := Accept(ctx, v, t); err != nil {
			return nil, err
		}
	}
	return func() (func() error, error) {
		own := make([]string, n)
		for i, t := range tokens {
			own[i] = strings.Clone(t)
		}
		return inTurn(own, func(t string) error {
			_, err := v.Verify(ctx, t)
			return err
		}), nil
	}, nil
}

func inTurn(tokens []string, do func(token string) error) func() error {
	next := 0
	return func() error {
		err := do(tokens[next])
		if next++; next == len(tokens) {
			next = 0
		}
		return err
	}
}

// bearerOps sends a request to an API, without a network.
func (r *Rig) bearerOps(size string, api http.Handler) func() (func() error, error) {
	return func() (func() error, error) {
		tokens, err := r.Tokens(size, 1)
		if err != nil {
			return nil, err
		}
		request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://api.example.com/reports", nil)
		if err != nil {
			return nil, err
		}
		request.Header.Set("Authorization", "Bearer "+tokens[0])
		return func() error {
			recorder := httptest.NewRecorder()
			api.ServeHTTP(recorder, request)
			if recorder.Code != http.StatusNoContent {
				return fmt.Errorf("bench: the API answered %d", recorder.Code)
			}
			return nil
		}, nil
	}
}

// Benchmark measures the case, with the CPU time of the process beside the wall
// time: the collector works on other cores, where a serial clock does not see it.
func (c Case) Benchmark(b *testing.B) {
	b.ReportAllocs()
	if c.Parallel() {
		c.benchmarkParallel(b)
		return
	}
	op, err := c.newOp()
	if err != nil {
		b.Fatal(err)
	}
	began := cpuTime()
	for b.Loop() {
		if err := op(); err != nil {
			b.Fatal(err)
		}
	}
	reportCPU(b, began)
}

func (c Case) benchmarkParallel(b *testing.B) {
	ops := make(chan func() error, runtime.GOMAXPROCS(0)) // as many goroutines as RunParallel starts
	for range cap(ops) {
		op, err := c.newOp()
		if err != nil {
			b.Fatal(err)
		}
		ops <- op
	}
	b.ResetTimer()
	began := cpuTime()
	b.RunParallel(func(pb *testing.PB) {
		for op := <-ops; pb.Next(); {
			if err := op(); err != nil {
				b.Error(err)
				return
			}
		}
	})
	reportCPU(b, began)
}

func reportCPU(b *testing.B, began float64) {
	b.ReportMetric((cpuTime()-began)/float64(b.N), "cpu-ns/op")
}
