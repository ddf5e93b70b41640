package bench_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/bench"
)

func BenchmarkVerify(b *testing.B)         { run(b, bench.Verify) }
func BenchmarkVerifyParallel(b *testing.B) { run(b, bench.VerifyParallel) }
func BenchmarkBearer(b *testing.B)         { run(b, bench.Bearer) }
func BenchmarkBearerParallel(b *testing.B) { run(b, bench.BearerParallel) }
func BenchmarkWrap(b *testing.B)           { run(b, bench.Wrap) }
func BenchmarkHot(b *testing.B)            { run(b, bench.Hot) }
func BenchmarkHotParallel(b *testing.B)    { run(b, bench.HotParallel) }
func BenchmarkRequireLogin(b *testing.B)   { run(b, bench.RequireLogin) }

// rigs serve all benchmarks and end with the process, as the keys of a service do.
var rigs = sync.OnceValues(func() (bench.Rigs, error) { return bench.NewRigs(context.Background()) })

func run(b *testing.B, what string) {
	r, err := rigs()
	require.NoError(b, err)
	groups, err := r.Groups(what)
	require.NoError(b, err)
	for _, g := range groups {
		for _, c := range g {
			b.Run(c.Name(), c.Benchmark)
		}
	}
}
