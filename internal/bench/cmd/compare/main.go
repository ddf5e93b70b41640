// Command compare measures oidckit beside its peers and says which targets are met.
//
//	go run ./cmd/compare                    # 7 passes, some minutes
//	go run ./cmd/compare -quick             # a summary in well under a minute
//	go run ./cmd/compare -write README.md   # puts the tables there
//
// It fails if something cannot be measured, and never because something is slow.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/oidckit/oidckit/internal/bench"
	"github.com/oidckit/oidckit/internal/bench/compare"
	"github.com/oidckit/oidckit/internal/bench/report"
)

// peers are the modules whose versions belong to the numbers.
var peers = []string{
	"github.com/coreos/go-oidc/v3", "github.com/golang-jwt/jwt/v5", "github.com/MicahParks/keyfunc/v3",
	"github.com/lestrrat-go/jwx/v3", "github.com/hashicorp/cap", "github.com/auth0/go-jwt-middleware/v2",
}

type flags struct {
	quick     bool
	passes    int
	benchtime time.Duration
	write     string
}

func main() {
	testing.Init() // defines test.benchtime
	var f flags
	flag.BoolVar(&f.quick, "quick", false, "verify large and small tokens only, 3 short passes")
	flag.IntVar(&f.passes, "passes", 7, "how often everything is measured")
	flag.DurationVar(&f.benchtime, "time", 100*time.Millisecond, "how long one measurement takes")
	flag.StringVar(&f.write, "write", "", "a `file` to put the tables into, between the lines of compare")
	flag.Parse()
	if err := run(os.Stdout, os.Stderr, f); err != nil { //nolint:forbidigo // a program writes to its terminal
		fmt.Fprintln(os.Stderr, err) //nolint:forbidigo // as above
		os.Exit(1)                   //nolint:forbidigo // and fails
	}
}

func run(w, progress io.Writer, f flags) error {
	what := []string{
		bench.Verify, bench.VerifyParallel, bench.Bearer, bench.BearerParallel, bench.Wrap, bench.Hot, bench.HotParallel,
		bench.RequireLogin,
	}
	if f.quick {
		f.passes, f.benchtime = 3, 15*time.Millisecond
		what = []string{bench.Verify, bench.Wrap, bench.Hot, bench.HotParallel, bench.RequireLogin}
	}
	if err := flag.Set("test.benchtime", f.benchtime.String()); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	rigs, err := bench.NewRigs(ctx)
	if err != nil {
		return err
	}
	defer rigs.Close()
	machine, began := report.Machine(peers...), time.Now()
	passes, groups, err := compare.Measure(rigs, what, f.passes, func(pass int) {
		_, _ = fmt.Fprintf(progress, "compare: pass %d of %d\n", pass+1, f.passes)
	})
	if err != nil {
		return err
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s; %d passes of %v for each number; %s in all; %s.\n\n", machine, f.passes,
		f.benchtime, time.Since(began).Round(time.Second), time.Now().UTC().Format("2 Jan 2006"))
	out.WriteString(passes.Table(groups).String())
	out.WriteString(passes.SessionTable(groups).String())
	out.WriteString(report.Checks(passes.Checks()).String())
	if f.write != "" {
		return report.Replace(f.write, "compare", out.String())
	}
	_, err = io.WriteString(w, out.String())
	return err
}
