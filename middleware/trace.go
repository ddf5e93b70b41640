package middleware

import (
	"context"
	"time"
)

// BearerTrace is told what a [Bearer] does. Its functions may be nil, are called while the
// request waits, and from many goroutines.
type BearerTrace struct {
	// Decided is called for each Handler that a request comes to, but for preflights that
	// pass.
	Decided func(context.Context, Decision)
}

// A Decision is what a [Bearer] made of a request. Exactly one of Principal and Refusal is
// there, and neither if nobody was let through ([Bearer.Optional]).
type Decision struct {
	Principal *Principal
	Refusal   *Refusal
	Took      time.Duration // by the Bearer's clock
}

func (b *Bearer) tracing() bool { return b != nil && b.Trace != nil && b.Trace.Decided != nil }

// traceStart does not ask for the time if nobody wants to know it.
func (b *Bearer) traceStart() (start time.Time) {
	if b.tracing() {
		start = b.now()
	}
	return start
}

func (b *Bearer) traceEnd(ctx context.Context, start time.Time, d Decision) {
	if b.tracing() {
		d.Took = b.now().Sub(start)
		b.Trace.Decided(ctx, d)
	}
}
