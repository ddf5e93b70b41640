package middleware

import (
	"context"
	"fmt"
	"log/slog"
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

// LogValue is a group of what may stand in any log: the status, code and reason of a refusal,
// the issuer of a principal, and took. Who it is and what was wrong in words are left out.
func (d Decision) LogValue() slog.Value {
	attrs := append(d.Refusal.attrs(), d.Principal.attrs()...)
	return slog.GroupValue(append(attrs, slog.Duration("took", d.Took))...)
}

// Format prints what LogValue has with every verb.
func (d Decision) Format(s fmt.State, _ rune) {
	_, _ = fmt.Fprint(s, "middleware.Decision", d.LogValue())
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
