package bench

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Audience is the API that every token is for and every verifier stands in.
const Audience = "https://api.example.com"

// Names that are no peer's.
const (
	Limit  = "limit"         // the bare primitive, or the API without protection
	Ours   = "oidckit"       // without a cache of tokens
	Cached = "oidckit+cache" // with it
)

// An Identity is what an application wants of a token.
type Identity struct {
	Subject string
	Scopes  []string
}

// A Verifier checks a token as every peer here does: strict about signature, key
// by "kid", an allow list of one algorithm, iss, aud, exp (required) and nbf. It
// is safe for concurrent use.
type Verifier interface {
	Verify(ctx context.Context, token string) (Identity, error)
}

// Options say what a Verifier trusts. Issuer and Algorithm are always set.
type Options struct {
	Issuer    string
	KeysURL   string // empty for HS256
	Algorithm string
	Secret    []byte // for HS256
	KeyID     string // of Secret

	// HTTPClient is for the peers that take one.
	HTTPClient *http.Client
	// Refresh is how long a key set is fresh, where a library has such a notion;
	// zero means the library's default, or what its documentation shows.
	Refresh time.Duration
	// Cooldown is oidckit's distance between two fetches that tokens can cause;
	// zero means its default.
	Cooldown time.Duration
	// Now is oidckit's clock, where one is turned; nil means time.Now.
	Now func() time.Time
}

// A Peer is a way to verify tokens.
type Peer struct {
	Name string
	// New sets a Verifier up as the documentation of the library shows. Objects
	// that may be shared between tokens are made here, once. What runs in the
	// background ends with ctx.
	New func(ctx context.Context, o Options) (Verifier, error)
}

// ErrNoSymmetric is the answer of New for HS256 if the library does not have it.
var ErrNoSymmetric = errors.New("bench: the library has no HS algorithms")

// Why an adapter refuses what its library lets pass.
var (
	errNoExpiry  = errors.New("bench: the token has no exp")
	errNoScope   = errors.New("bench: the token has no scope")
	errAlgorithm = errors.New("bench: the algorithm is not allowed")
)

// Others returns the peers, without ours.
func Others() []Peer {
	return []Peer{
		{Name: "go-oidc", New: newGoOIDC},
		{Name: "golang-jwt+keyfunc", New: newGolangJWT},
		{Name: "jwx", New: newJWX},
		{Name: "cap-jwt", New: newCap},
		{Name: "auth0-v2", New: newAuth0},
	}
}

// Peers returns all, ours first.
func Peers() []Peer {
	return append(own(), Others()...)
}

// own are the ways to use this library.
func own() []Peer {
	return []Peer{{Name: Ours, New: newOurs}, {Name: Cached, New: newCached}}
}
