// Package report writes what was measured: medians, Markdown tables, and the place
// in a file that a table belongs to.
package report

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// Median returns the middle value, the mean of two if they are even, 0 of none.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Percentile returns the least value that p percent do not exceed (nearest rank),
// the zero value of none.
func Percentile[T cmp.Ordered](values []T, p int) T {
	if len(values) == 0 {
		var zero T
		return zero
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := (len(sorted)*p + 99) / 100
	return sorted[max(rank, 1)-1]
}

// Nanoseconds writes a time with two or three digits.
func Nanoseconds(ns float64) string {
	d := time.Duration(ns)
	switch {
	case d >= 10*time.Second:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d >= time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case ns >= 1e6:
		return withUnit(ns/1e6, "ms")
	case ns >= 1e3:
		return withUnit(ns/1e3, "µs")
	}
	return withUnit(ns, "ns")
}

func withUnit(value float64, unit string) string {
	switch {
	case value >= 99.5:
		return fmt.Sprintf("%.0f %s", value, unit)
	case value >= 9.95:
		return fmt.Sprintf("%.1f %s", value, unit)
	}
	return fmt.Sprintf("%.2f %s", value, unit)
}

// Ratio writes a ratio with three digits.
func Ratio(r float64) string {
	switch {
	case r >= 10:
		return fmt.Sprintf("×%.1f", r)
	case r >= 0.1:
		return fmt.Sprintf("×%.2f", r)
	}
	return fmt.Sprintf("×%.4f", r)
}

// A Table is one of Markdown.
type Table struct {
	Head []string
	Rows [][]string
}

// Add adds a row.
func (t *Table) Add(cells ...string) { t.Rows = append(t.Rows, cells) }

// String writes the table. Nothing of a cell ends it.
func (t *Table) String() string {
	var out strings.Builder
	writeRow(&out, t.Head)
	out.WriteString("|" + strings.Repeat("---|", len(t.Head)) + "\n")
	for _, row := range t.Rows {
		writeRow(&out, row)
	}
	return out.String() + "\n"
}

func writeRow(out *strings.Builder, cells []string) {
	escape := strings.NewReplacer("|", `\|`, "\n", " ")
	for _, c := range cells {
		out.WriteString("| " + escape.Replace(c) + " ")
	}
	out.WriteString("|\n")
}

// A Check is a target, and what was found.
type Check struct {
	Target   string
	Measured string
	Met      bool
	// Counted says that no clock is in it: it must hold on a busy machine too.
	Counted bool
}

// Checks is a table of targets.
func Checks(checks []Check) *Table {
	t := &Table{Head: []string{"target", "measured", ""}}
	for _, c := range checks {
		t.Add(c.Target, c.Measured, verdict(c))
	}
	return t
}

func verdict(c Check) string {
	if c.Met {
		return "met"
	}
	return "**missed**"
}

// Failed returns the counted checks that were missed.
func Failed(checks []Check) []Check {
	return slices.DeleteFunc(slices.Clone(checks), func(c Check) bool { return c.Met || !c.Counted })
}

// Replace puts text between the two lines "<!-- name:begin -->" and
// "<!-- name:end -->" of a file.
func Replace(path, name, text string) error {
	content, err := os.ReadFile(path) //nolint:gosec // the path is the command line's
	if err != nil {
		return err
	}
	begin, end := "<!-- "+name+":begin -->\n", "<!-- "+name+":end -->"
	before, rest, ok1 := strings.Cut(string(content), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		return fmt.Errorf("report: %s has no lines %q and %q", path, strings.TrimSpace(begin), end)
	}
	return os.WriteFile(path, []byte(before+begin+"\n"+text+end+after), 0o644) //nolint:gosec // a file that everybody reads
}
