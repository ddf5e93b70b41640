package fetch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"time"

	"github.com/oidckit/oidckit"
)

// Error is a request without a usable answer. It answers errors.Is for
// oidckit.ErrUnavailable.
type Error struct {
	Host   string // of the URL
	Status int    // 0 if there was no answer
	// RetryAfter is what an answer with status 429 or 503 asks for, at most an
	// hour; 0 if it does not.
	RetryAfter time.Duration
	Err        error // may be nil if Status says it all
}

// A problem is an error whose text is ours.
type problem string

func (p problem) Error() string { return string(p) }

// What can be wrong with an answer, or with where it would come from.
const (
	ErrTooLarge  = problem("body is too large")
	ErrMediaType = problem("unexpected media type")
	ErrEncoding  = problem("body is encoded in a way that nobody asked for")
	ErrRedirect  = problem("redirects are not followed")
	ErrOldTLS    = problem("TLS older than 1.2")
	ErrNotPublic = problem("the address is not on the public Internet")
)

func (e *Error) Error() string {
	switch {
	case e.Err == nil:
		return fmt.Sprintf("fetch: %s answered %d", e.Host, e.Status)
	case e.Status != 0:
		return fmt.Sprintf("fetch: %s answered %d: %s", e.Host, e.Status, describe(e.Err))
	}
	return fmt.Sprintf("fetch: %s: %s", e.Host, describe(e.Err))
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is oidckit.ErrUnavailable.
func (e *Error) Is(target error) bool { return target == oidckit.ErrUnavailable }

// describe says what happened without repeating the other side: net/http quotes
// what it could not parse, and that may be our own request, secret and all.
func describe(err error) string {
	var own problem
	var op *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &own):
		return own.Error()
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &certificate):
		return "the certificate is not trusted"
	case errors.As(err, &op):
		return describeOp(op)
	}
	return "the connection failed, or what came was no HTTP"
}

// describeOp: the texts of the kernel, of DNS and of TLS alerts are from this
// side.
func describeOp(op *net.OpError) string {
	switch op.Op {
	case "dial", "remote error": // the latter is a TLS alert
		return op.Error()
	case "proxyconnect":
		return "the proxy cannot be reached"
	}
	return "the connection failed"
}

// withoutURL drops the URL that net/http puts into its errors: a query can hold
// a secret.
func withoutURL(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}
