package bench

import (
	"context"
	"errors"
	"net/http"
)

// An idleWriter is a response that nobody reads, for middleware that costs less than
// a httptest recorder does.
type idleWriter struct {
	header http.Header
	status int
}

func (w *idleWriter) Header() http.Header         { return w.header }
func (w *idleWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *idleWriter) WriteHeader(status int)      { w.status = status }

var errNotReached = errors.New("bench: the request did not get through")

// aloneOps is our verification, which our middleware does first of all.
func (r *Rig) aloneOps(size string) func() (func() error, error) {
	return func() (func() error, error) {
		v, err := r.Verifier(own()[0])
		if err != nil {
			return nil, err
		}
		newOp, err := r.verifyOps(size, v, 1)
		if err != nil {
			return nil, err
		}
		return newOp()
	}
}

// wrapOps sends a request to a handler that does nothing but to be reached.
func (r *Rig) wrapOps(size string, v Verifier) func() (func() error, error) {
	return func() (func() error, error) {
		tokens, err := r.Tokens(size, 1)
		if err != nil {
			return nil, err
		}
		return Through(v, tokens[0])
	}
}

// Through returns what sends a request with the token through the middleware, and
// fails if that does not let it.
func Through(v Verifier, token string) (func() error, error) {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://api.example.com/reports", nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	reached := false
	api := Wrapped(v, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	response := &idleWriter{header: http.Header{}}
	return func() error {
		reached = false
		api.ServeHTTP(response, request)
		if !reached {
			return errNotReached
		}
		return nil
	}, nil
}
