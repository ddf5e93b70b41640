package claims_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/claims"
)

// benchmarkPayload is the access token of a Keycloak: 1.2 KB.
func benchmarkPayload(tb testing.TB) claims.Set {
	tb.Helper()
	text, err := os.ReadFile("testdata/tokens/keycloak-access.json")
	require.NoError(tb, err)
	require.InDelta(tb, 1150, len(text), 50)
	set, err := claims.Parse(text)
	require.NoError(tb, err)
	return set
}

// The third of four clients: two are walked over.
var (
	benchmarkPath  = claims.P("resource_access", "orders-api", "tier")
	benchmarkRoles = claims.P("resource_access", "orders-api", "roles")
)

// BenchmarkPathLookup: at most 150 ns and no allocations for three segments.
func BenchmarkPathLookup(b *testing.B) {
	set := benchmarkPayload(b)
	b.Run("String", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if text, err := set.String(benchmarkPath); err != nil || text != "gold" {
				b.Fatal(err)
			}
		}
	})
	b.Run("Has", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !set.Has(benchmarkPath) {
				b.Fatal("missing")
			}
		}
	})
	b.Run("Contains", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if has, err := set.Contains(benchmarkRoles, "refund"); err != nil || !has {
				b.Fatal(err)
			}
		}
	})
}

func TestPathLookupNeedsNoMemory(t *testing.T) {
	set, none := benchmarkPayload(t), claims.P("resource_access", "none", "roles")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_, err := set.String(benchmarkPath)
		has, contains := set.Contains(benchmarkRoles, "refund")
		if err != nil || !has || contains != nil || !set.Has(benchmarkPath) || set.Has(none) {
			panic("not found")
		}
	}))
}
