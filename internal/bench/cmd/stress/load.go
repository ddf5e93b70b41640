package main

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oidckit/oidckit/internal/bench/report"
)

// A tally is what became of a number of requests. It is safe for concurrent use.
type tally struct {
	mu       sync.Mutex
	took     []time.Duration
	accepted int
	refused  int

	waiting, most atomic.Int64
}

// do makes a request and counts it. The clock began when it was sent.
func (t *tally) do(sent time.Time, request func() error) {
	n := t.waiting.Add(1)
	for most := t.most.Load(); n > most && !t.most.CompareAndSwap(most, n); most = t.most.Load() {
		continue
	}
	err := request()
	took := time.Since(sent)
	t.waiting.Add(-1)

	t.mu.Lock()
	defer t.mu.Unlock()
	t.took = append(t.took, took)
	if err == nil {
		t.accepted++
	} else {
		t.refused++
	}
}

// add takes the requests of a tally that is at rest.
func (t *tally) add(other *tally) {
	t.took = append(t.took, other.took...)
	t.accepted += other.accepted
	t.refused += other.refused
	t.most.Store(max(t.most.Load(), other.most.Load()))
}

func (t *tally) percentile(p int) time.Duration { return report.Percentile(t.took, p) }

func (t *tally) time(p int) string { return report.Nanoseconds(float64(t.percentile(p))) }

func (t *tally) refusals() string { return fmt.Sprintf("%d/%d", t.refused, len(t.took)) }

// A stream is requests at an even rate.
type stream struct {
	perSecond int
	request   func(i int) error
	tally     *tally
}

// send makes requests for a time. Each is a goroutine of its own: one that is slow
// does not keep the next from being sent, as with the clients of a server. It
// returns when all are answered.
func send(d time.Duration, streams ...stream) {
	var all sync.WaitGroup
	for n, s := range streams {
		all.Go(func() {
			s.send(time.Now().Add(time.Duration(n)*time.Millisecond), d, &all)
		})
	}
	all.Wait()
}

func (s stream) send(began time.Time, d time.Duration, all *sync.WaitGroup) {
	for i := range int(d.Seconds() * float64(s.perSecond)) {
		time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(s.perSecond))))
		sent := time.Now()
		all.Go(func() { s.tally.do(sent, func() error { return s.request(i) }) })
	}
}

// stampede makes n requests at once.
func stampede(n int, request func(i int) error) *tally {
	var t tally
	var all sync.WaitGroup
	gate := make(chan struct{})
	var sent time.Time
	for i := range n {
		all.Go(func() {
			<-gate
			t.do(sent, func() error { return request(i) })
		})
	}
	sent = time.Now()
	close(gate)
	all.Wait()
	return &t
}
