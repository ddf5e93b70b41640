package bench

import (
	"context"
	"net/http"
	"slices"
	"strings"
)

// A protector brings a middleware of its own.
type protector interface{ Protect() http.Handler }

// Protect returns an API behind the verifier: this library's with its
// middleware.Bearer, the peers with the least that does the job, which none of
// them brings.
func Protect(v Verifier) http.Handler {
	if p, ok := v.(protector); ok {
		return p.Protect()
	}
	return minimalBearer(v, http.HandlerFunc(peerHandler))
}

// A wrapper brings a middleware of its own, for any handler.
type wrapper interface {
	Wrap(next http.Handler) http.Handler
}

// Wrapped returns next behind the verifier: with the middleware that the library
// brings, as this one and auth0's do, or else with one written by hand.
func Wrapped(v Verifier, next http.Handler) http.Handler {
	if w, ok := v.(wrapper); ok {
		return w.Wrap(next)
	}
	return minimalBearer(v, next)
}

// Unprotected returns the API alone.
func Unprotected() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
}

type identityKey struct{}

func minimalBearer(v Verifier, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		identity, err := v.Verify(r.Context(), token)
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), identityKey{}, &identity)))
	})
}

func peerHandler(w http.ResponseWriter, r *http.Request) {
	identity, _ := r.Context().Value(identityKey{}).(*Identity)
	answer(w, *identity)
}

// answer is the API: it looks at both parts of the identity.
func answer(w http.ResponseWriter, identity Identity) {
	if identity.Subject != Subject || !slices.Contains(identity.Scopes, "reports:read") {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
