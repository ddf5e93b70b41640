package report_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/bench/report"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	require.Zero(t, report.Median(nil))
	require.Equal(t, 2.0, report.Median([]float64{9, 1, 2}))
	require.Equal(t, 3.0, report.Median([]float64{9, 1, 2, 4}))
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	var hundred []int
	for i := range 100 {
		hundred = append(hundred, 100-i)
	}
	require.Equal(t, 99, report.Percentile(hundred, 99))
	require.Equal(t, 50, report.Percentile(hundred, 50))
	require.Equal(t, 7, report.Percentile([]int{7}, 1))
	require.Zero(t, report.Percentile([]int(nil), 50))
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for ns, want := range map[float64]string{
		3: "3.00 ns", 228: "228 ns", 5530: "5.53 µs", 44100: "44.1 µs", 999999: "1000 µs", 2.5e6: "2.50 ms", 1.25e9: "1.2 s", 12e9: "12 s",
	} {
		require.Equal(t, want, report.Nanoseconds(ns))
	}
	require.Equal(t, "×0.0040", report.Ratio(0.004))
	require.Equal(t, "×1.14", report.Ratio(1.1378))
	require.Equal(t, "×75.8", report.Ratio(75.84))
}

func TestTableKeepsItsCells(t *testing.T) {
	t.Parallel()
	table := report.Table{Head: []string{"a", "b"}}
	table.Add("x|y", "two\nlines")
	require.Equal(t, "| a | b |\n|---|---|\n| x\\|y | two lines |\n\n", table.String())
}

func TestFailedAreOnlyTheCounted(t *testing.T) {
	t.Parallel()
	slow := report.Check{Target: "fast"}
	wrong := report.Check{Target: "right", Counted: true}
	good := report.Check{Target: "good", Counted: true, Met: true}
	require.Equal(t, []report.Check{wrong}, report.Failed([]report.Check{slow, good, wrong}))
}

func TestReplaceTouchesNothingElse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "README.md")
	require.NoError(t, os.WriteFile(path, []byte("before\n<!-- x:begin -->\nold\n<!-- x:end -->\nafter\n"), 0o600))
	require.NoError(t, report.Replace(path, "x", "new\n"))
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "before\n<!-- x:begin -->\n\nnew\n<!-- x:end -->\nafter\n", string(content))
	require.Error(t, report.Replace(path, "y", "new\n"))
}
