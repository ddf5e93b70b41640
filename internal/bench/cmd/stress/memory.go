package main

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"time"

	"github.com/oidckit/oidckit/internal/bench"
	"github.com/oidckit/oidckit/internal/bench/report"
)

// maxPerIssuer is what an issuer at rest may cost, in bytes.
const maxPerIssuer = 2.5 * 1024

var memory = []scenario{{
	name: "memory", title: "{issuers} issuers, each with its own key set (3 RSA keys with x5c), one token of each verified",
	head: []string{"heap per issuer", "goroutines per issuer", "set-up of all", "size of a key set"},
	run:  manyIssuers,
}}

// memoryOnly are further ways to have many issuers.
var memoryOnly = []bench.Peer{bench.OursRemote(), bench.SharedJWX()}

// theIssuers serve every peer: making them takes seconds.
var theIssuers *bench.Many

func issuers(n int) (*bench.Many, error) {
	var err error
	if theIssuers == nil {
		theIssuers, err = bench.NewMany(n)
	}
	return theIssuers, err
}

func manyIssuers(ctx context.Context, p bench.Peer, sc scale) (result, error) {
	many, err := issuers(sc.issuers)
	if err != nil {
		return result{}, err
	}
	client := &http.Client{Transport: &http.Transport{}, Timeout: deadline}

	heap, goroutines := atRest(client)
	began := time.Now()
	verifiers := make([]bench.Verifier, sc.issuers)
	for i := range verifiers {
		if verifiers[i], err = p.New(ctx, many.Options(i, client)); err != nil {
			return result{}, err
		}
		if _, err := verifiers[i].Verify(ctx, many.Token(i)); err != nil {
			return result{}, err
		}
	}
	took := time.Since(began)
	heapAfter, goroutinesAfter := atRest(client)
	runtime.KeepAlive(verifiers)

	perIssuer := (heapAfter - heap) / float64(sc.issuers)
	running := float64(goroutinesAfter-goroutines) / float64(sc.issuers)
	return result{
		cells: []string{
			kib(perIssuer), fmt.Sprintf("%.2f", running), report.Nanoseconds(float64(took)), kib(float64(many.Size)),
		},
		checks: []report.Check{{
			Target:   fmt.Sprintf("heap per issuer at rest, %s: at most %s", p.Name, kib(maxPerIssuer)),
			Measured: kib(perIssuer), Met: perIssuer <= maxPerIssuer,
		}, {
			Target: "goroutines per issuer at rest, " + p.Name + ": none", Measured: fmt.Sprintf("%.2f", running),
			Met: running < 0.01, Counted: true,
		}},
	}, nil
}

func kib(bytes float64) string { return fmt.Sprintf("%.1f KiB", bytes/1024) }

// atRest closes what connections there are and returns bytes and goroutines when
// both have come to rest.
func atRest(client *http.Client) (heap float64, goroutines int) {
	client.CloseIdleConnections()
	last := -1
	for range 50 {
		if goroutines = runtime.NumGoroutine(); goroutines == last {
			break
		}
		last = goroutines
		time.Sleep(100 * time.Millisecond)
	}
	var m runtime.MemStats
	for range 3 { // what a pool holds survives a collection
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc), goroutines
}
