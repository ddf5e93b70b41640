package middleware

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/oidckit/oidckit/oidc"
)

// A TokenVerifier judges access tokens; *oidc.AccessTokenVerifier and *oidc.Issuers are
// some. It must be safe for concurrent use. Its errors answer errors.Is for
// oidckit.ErrInvalidToken if the token is at fault and for oidckit.ErrUnavailable
// if it could not be judged; any other error is taken for a bug.
type TokenVerifier interface {
	Verify(ctx context.Context, raw string) (*oidc.AccessToken, error)
}

// Bearer lets requests through that carry a good access token in their
// Authorization header (RFC 6750 section 2.1), and answers all others. It must
// not be changed once it is in use, and may be shared then.
type Bearer struct {
	// Verifier judges the tokens. Without one, nobody gets through.
	Verifier TokenVerifier
	// Proof checks that tokens are used by whom they were issued to. Without it, tokens
	// that are bound to a key are refused, and so is the scheme DPoP.
	Proof ProofVerifier
	// PublicURL is what clients see before the path that [Bearer.Handler] sees, such as
	// "https://api.example.com", for proofs that name the URL. Empty is the origin of
	// Resource.
	PublicURL string
	// Resource is the API as its metadata describe it (RFC 9728). Challenges then lead to
	// the metadata, and tokens must name the resource in "aud", whatever Verifier says.
	// Optional.
	Resource *ProtectedResource

	// Sources are further places where a token may be. Without any, only the
	// Authorization header is looked at. Two tokens in one request are refused.
	Sources []Source
	// Optional lets requests without credentials through, for handlers that ask
	// [PrincipalFrom] whether there is somebody. Whoever sends an Authorization header
	// must send a good one, and nobody fulfils no requirement.
	Optional bool
	// PassPreflight lets CORS preflights through, which browsers send without token: the
	// handler must answer OPTIONS without telling or doing anything else.
	PassPreflight bool

	// KeepToken lets handlers have the token itself, by [Principal.Token] and in the
	// Authorization header or the cookie. Otherwise those are taken away: a token that is
	// handed on to another API lets that API act for the user here (RFC 9700 section 4.10).
	// Forms and queries stay as they came.
	KeepToken bool
	// EndAtExpiry ends the request's context when the token expires, with a minute of
	// leeway for the clocks, for answers that take long: streams, WebSockets. The cause is
	// [ErrExpired].
	EndAtExpiry bool
	// Kind tells users from machines. Nil is [KindOf].
	Kind func(*oidc.AccessToken) Kind

	// Realm names the protected space in challenges. Optional.
	Realm string
	// Body writes the body of an answer to a request that is refused; [ProblemBody] is
	// one. Nil is the text of the status.
	Body func(*Refusal) (mediaType string, body []byte)
	// OnError is told of each request that is refused, and why, before it is answered.
	// The reason is not for the client. Optional.
	OnError func(*http.Request, *Refusal)
	// Trace is told of every decision. Optional.
	Trace *BearerTrace
	// Logger is told why requests are refused, which clients are not. Nil is
	// silent.
	Logger *slog.Logger
	// Now is the clock. Nil is time.Now.
	Now func() time.Time
}

// What can be wrong with credentials before there is a token to judge.
var (
	// ErrNoCredentials: the request does not use the Bearer scheme.
	ErrNoCredentials = errors.New("middleware: no bearer token")
	// ErrMalformed: there are several credentials, or one that is none.
	ErrMalformed = errors.New("middleware: malformed Authorization header")
)

// ErrExpired is why the context of a request ended ([Bearer.EndAtExpiry]).
var ErrExpired = errors.New("middleware: the access token expired during the request")

// errNotConfigured is a mistake of the program, hence 500.
var errNotConfigured = errors.New("middleware: Bearer.Verifier is not set")

// Authenticate finds out who sends c. It knows no HTTP but the header's grammar.
// Errors are [ErrNoCredentials], [ErrMalformed] or those of Verifier and Proof. What the
// principal may do is asked with [Authorize].
func (b *Bearer) Authenticate(ctx context.Context, c Credentials) (*Principal, error) {
	p, _, err := b.authenticate(ctx, &c)
	return p, err
}

func (b *Bearer) authenticate(ctx context.Context, c *Credentials) (p *Principal, scheme string, err error) {
	scheme, raw, err := b.parse(c.Authorization)
	if err == nil {
		p, err = b.judge(ctx, c, scheme, raw)
	}
	return p, scheme, err
}

// judge makes a principal of a token.
func (b *Bearer) judge(ctx context.Context, c *Credentials, scheme, raw string) (*Principal, error) {
	if len(raw) > maxToken || !b.refusesGrammar() {
		if err := checkToken(raw); err != nil {
			return nil, err
		}
	}
	if b == nil || b.Verifier == nil {
		return nil, errNotConfigured
	}
	token, err := b.verify(ctx, c, scheme, raw)
	if err != nil {
		return nil, cmp.Or(checkToken(raw), err)
	}
	if token == nil {
		return nil, errNotConfigured
	}
	if b.Resource != nil && !b.Resource.isNamedBy(token) {
		return nil, &oidc.Error{Reason: oidc.ReasonAudience, Claim: "aud"}
	}
	p := &Principal{AccessToken: token, by: b, scheme: scheme}
	if b.KeepToken {
		p.raw = raw
	}
	return p, nil
}

// Handler wraps next: it gets the requests whose token is good and fulfils every
// requirement, and finds their principal with [PrincipalFrom]. The others are
// answered: 400 for a header that is none, 401 without a good token, or if the user must
// log in otherwise, 403 if the token lacks a right, 503 with Retry-After if the token
// could not be judged, 500 for mistakes of this program.
//
// Behind another Handler of the same Bearer only the requirements are checked. Behind one of
// another Bearer, what that one found out does not count.
func (b *Bearer) Handler(next http.Handler, require ...Requirement) http.Handler {
	require = slices.Clone(require)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b.isPreflight(r) {
			next.ServeHTTP(w, r)
			return
		}
		start := b.traceStart()
		known, _ := PrincipalFrom(r.Context())
		p, scheme, err := b.admit(w, r, known, require)
		if err != nil {
			f := b.newRefusal(err, scheme)
			b.traceEnd(r.Context(), start, Decision{Refusal: f})
			b.refuse(w, r, f, require)
			return
		}
		b.traceEnd(r.Context(), start, Decision{Principal: p})
		switch p {
		case known: // nobody new, or nobody at all
			next.ServeHTTP(w, r)
		case nil: // whom another Bearer let through is nobody here
			next.ServeHTTP(w, r.WithContext(withPrincipal(r.Context(), p)))
		default:
			b.letThrough(w, r, next, p)
		}
	})
}

// Middleware is [Bearer.Handler] in the form that routers take.
func (b *Bearer) Middleware(require ...Requirement) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler { return b.Handler(next, require...) }
}

// admit finds out who sends r, and whether that is enough. Nobody is enough if
// authentication is optional and there is no requirement.
func (b *Bearer) admit(w http.ResponseWriter, r *http.Request, known *Principal, require []Requirement) (*Principal, string, error) {
	if known != nil && known.by == b {
		return known, known.scheme, Authorize(known, require...)
	}
	p, scheme, err := b.identify(w, r)
	if err == nil {
		return p, scheme, Authorize(p, require...)
	}
	if errors.Is(err, ErrNoCredentials) && b != nil && b.Optional && len(r.Header["Authorization"]) == 0 && len(require) == 0 {
		return nil, scheme, nil
	}
	return nil, scheme, err
}

// letThrough hands the request to next, with its principal.
func (b *Bearer) letThrough(w http.ResponseWriter, r *http.Request, next http.Handler, p *Principal) {
	if b.Proof != nil {
		b.answerProof(nil).setNonce(w.Header())
	}
	ctx, cancel := b.WithPrincipal(r.Context(), p)
	defer cancel()
	r = r.WithContext(ctx)
	if !b.KeepToken {
		r.Header = b.withoutToken(r.Header)
	}
	next.ServeHTTP(w, r)
}

// WithPrincipal returns the context in which a handler finds p ([PrincipalFrom]), and which
// ends as EndAtExpiry says. It is for other transports than HTTP. The caller must call
// cancel.
func (b *Bearer) WithPrincipal(ctx context.Context, p *Principal) (_ context.Context, cancel context.CancelFunc) {
	ctx = withPrincipal(ctx, p)
	if b == nil || !b.EndAtExpiry || p == nil || p.AccessToken == nil || p.Expiry.IsZero() { // an opaque token may not say
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, p.Expiry.Add(expiryLeeway).Sub(b.now()), ErrExpired)
}

// expiryLeeway is the default one of the verifiers.
const expiryLeeway = time.Minute

func (b *Bearer) now() time.Time {
	if b == nil || b.Now == nil {
		return time.Now()
	}
	return b.Now()
}

func (b *Bearer) isPreflight(r *http.Request) bool {
	return b != nil && b.PassPreflight && isPreflight(r)
}

// isPreflight tells a CORS preflight from other OPTIONS requests (Fetch standard, section
// "CORS-preflight fetch"). It has no credentials, so one that has some is no preflight.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && len(r.Header["Origin"]) == 1 && len(r.Header["Access-Control-Request-Method"]) == 1 &&
		len(r.Header["Authorization"]) == 0
}

// parse reads "Bearer", one space and a token, with the scheme in any case (RFC
// 9110 section 11.1). Two headers, or a header with two credentials, are refused: a
// proxy may have judged the other one.
func (b *Bearer) parse(values []string) (scheme, token string, err error) {
	switch len(values) {
	case 0:
		return "", "", ErrNoCredentials
	case 1:
	default:
		return "", "", ErrMalformed
	}
	word, token, _ := strings.Cut(values[0], " ")
	switch {
	case strings.EqualFold(word, bearerScheme):
		scheme = bearerScheme
	case strings.EqualFold(word, dpopScheme) && b.answerProof(nil).Scheme == dpopScheme:
		scheme = dpopScheme
	default:
		return "", "", ErrNoCredentials
	}
	return scheme, token, nil
}

// refusesGrammar reports whether Verifier lets no other characters pass than those of a
// token, nor hands them to anybody, so that they are looked at only once it has refused: a
// token that it knows already is longer read than looked up.
func (b *Bearer) refusesGrammar() bool {
	if b == nil {
		return false
	}
	switch b.Verifier.(type) {
	case *oidc.AccessTokenVerifier, *oidc.Issuers:
		return true
	}
	return false
}

// maxToken is the longest token that is looked at, in bytes.
const maxToken = 16 << 10

// checkToken checks the grammar of a token (RFC 6750 section 2.1).
func checkToken(token string) error {
	switch {
	case token == "" || len(token) > maxToken:
		return ErrMalformed
	case isToken68(token):
		return nil
	case strings.ContainsAny(token, " \t\r\n"):
		return ErrMalformed
	}
	return &oidc.Error{Reason: oidc.ReasonMalformed}
}

// token68 has a 0 for the characters of a token (RFC 6750 section 2.1), else a 1.
var token68 = func() (table [256]byte) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/="
	for c := range table {
		if strings.IndexByte(alphabet, byte(c)) < 0 {
			table[c] = 1
		}
	}
	return table
}()

// isToken68 reports whether s has the characters of a token. It looks at all of them,
// for that is faster than to stop.
func isToken68(s string) bool {
	var other byte
	for len(s) >= 4 {
		other |= token68[s[0]] | token68[s[1]] | token68[s[2]] | token68[s[3]]
		s = s[4:]
	}
	for i := range len(s) {
		other |= token68[s[i]]
	}
	return other == 0
}
