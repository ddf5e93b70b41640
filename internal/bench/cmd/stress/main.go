// Command stress puts key sets under stress: stampedes, floods, outages, rotations.
//
//	go run ./cmd/stress                    # all peers, some ten minutes
//	go run ./cmd/stress -quick             # this library alone, shorter, in half a minute
//	go run ./cmd/stress -only b1,f         # some scenarios
//	go run ./cmd/stress -write README.md   # puts the tables there
//
// It fails if this library misses a target that is counted, such as a number of
// fetches, and never because something is slow.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/oidckit/oidckit/internal/bench"
	"github.com/oidckit/oidckit/internal/bench/report"
)

type flags struct {
	quick bool
	only  string
	peers string
	write string
}

// A scenario is put to one peer after the other.
type scenario struct {
	name, title string
	head        []string
	long        bool // too long for -quick
	run         func(ctx context.Context, p bench.Peer, sc scale) (result, error)
}

// A result is a line of the scenario's table. The checks are made of this library's.
type result struct {
	cells  []string
	checks []report.Check
}

var scenarios = slices.Concat(stampedes, floods, outages, hangs, cancellations, rotations, memory)

func main() {
	var f flags
	flag.BoolVar(&f.quick, "quick", false, "this library alone, everything shorter")
	flag.StringVar(&f.only, "only", "", "names of the `scenarios` to run, with commas")
	flag.StringVar(&f.peers, "peers", "", "`names` of the peers to run, with commas")
	flag.StringVar(&f.write, "write", "", "a `file` to put the tables into, between the lines of stress")
	flag.Parse()
	if err := run(os.Stdout, os.Stderr, f); err != nil { //nolint:forbidigo // a program writes to its terminal
		fmt.Fprintln(os.Stderr, err) //nolint:forbidigo // as above
		os.Exit(1)                   //nolint:forbidigo // and fails
	}
}

var (
	errMissed  = errors.New("stress: a counted target was missed")
	errNothing = errors.New("stress: no such scenario")
)

func run(w, progress io.Writer, f flags) error {
	sc := full
	if f.quick {
		sc = quick
		f.peers = bench.Ours + "," + bench.OursRemote().Name
	}
	var out strings.Builder // the machine is described before it is busy
	fmt.Fprintf(&out, "%s; %s.\n\n", report.Machine(), time.Now().UTC().Format("2 Jan 2006"))
	var checks []report.Check
	todo := slices.DeleteFunc(slices.Clone(scenarios), func(s scenario) bool { return !chosen(f.only, s.name) || s.long && f.quick })
	if len(todo) == 0 {
		return errNothing
	}
	for _, s := range todo {
		_, _ = fmt.Fprintln(progress, "stress:", s.name)
		table, found := s.put(selected(f.peers, s), sc)
		fmt.Fprintf(&out, "**%s: %s**\n\n", s.name, s.describe(sc))
		out.WriteString(table.String())
		checks = append(checks, found...)
	}
	out.WriteString(report.Checks(checks).String())
	if err := publish(w, f.write, out.String()); err != nil {
		return err
	}
	if failed := report.Failed(checks); len(failed) > 0 {
		return fmt.Errorf("%w: %s", errMissed, failed[0].Target)
	}
	return nil
}

func publish(w io.Writer, file, text string) error {
	if file != "" {
		return report.Replace(file, "stress", text)
	}
	_, err := io.WriteString(w, text)
	return err
}

func chosen(list, name string) bool {
	return list == "" || slices.Contains(strings.Split(list, ","), name)
}

func selected(names string, s scenario) []bench.Peer {
	peers := bench.Peers()
	if s.name == "memory" {
		peers = append(peers, memoryOnly...)
	}
	return slices.DeleteFunc(peers, func(p bench.Peer) bool {
		// A token is seen once here: there is nothing for a cache of them to do.
		return p.Name == bench.Cached || !chosen(names, p.Name)
	})
}

// put runs the scenario for each peer. A peer that cannot even be set up has that
// in its line; it is a missed target if it is us.
func (s scenario) put(peers []bench.Peer, sc scale) (*report.Table, []report.Check) {
	table := &report.Table{Head: append([]string{"peer"}, s.head...)}
	var checks []report.Check
	for _, p := range peers {
		ctx, cancel := context.WithCancel(context.Background())
		r, err := s.run(ctx, p, sc)
		cancel()
		if err != nil {
			r = result{cells: []string{err.Error()}, checks: []report.Check{{Target: "runs", Measured: err.Error(), Counted: true}}}
		}
		for len(r.cells) < len(s.head) {
			r.cells = append(r.cells, "–")
		}
		table.Add(append([]string{p.Name}, r.cells...)...)
		if !strings.HasPrefix(p.Name, bench.Ours) {
			continue
		}
		for _, c := range r.checks {
			c.Target = s.name + ": " + c.Target
			checks = append(checks, c)
		}
	}
	return table, checks
}
