package middleware

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/oidckit/oidckit/oidc"
)

// A TokenVerifier judges access tokens; *oidc.AccessTokenVerifier is one. It must
// be safe for concurrent use. Its errors answer errors.Is for
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
	// Realm names the protected space in challenges. Optional.
	Realm string
	// Logger is told why requests are refused, which clients are not. Nil is
	// silent.
	Logger *slog.Logger
}

// Credentials are what a request brings to prove who sends it.
type Credentials struct {
	// Authorization are the values of the Authorization header. There should be
	// one.
	Authorization []string
}

// A Principal is who sends a request, as its access token says.
type Principal struct {
	*oidc.AccessToken
}

// What can be wrong with credentials before there is a token to judge.
var (
	// ErrNoCredentials: the request does not use the Bearer scheme.
	ErrNoCredentials = errors.New("middleware: no bearer token")
	// ErrMalformed: there are several credentials, or one that is none.
	ErrMalformed = errors.New("middleware: malformed Authorization header")
)

// errNotConfigured is a mistake of the program, hence 500.
var errNotConfigured = errors.New("middleware: Bearer.Verifier is not set")

// maxToken is the longest token that is looked at, in bytes.
const maxToken = 16 << 10

// Authenticate finds out who sends c. It knows no HTTP but the header's grammar.
// Errors are [ErrNoCredentials], [ErrMalformed] or those of the Verifier.
func (b *Bearer) Authenticate(ctx context.Context, c Credentials) (*Principal, error) {
	raw, err := bearerToken(c.Authorization)
	if err != nil {
		return nil, err
	}
	if b == nil || b.Verifier == nil {
		return nil, errNotConfigured
	}
	token, err := b.Verifier.Verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	if token == nil {
		return nil, errNotConfigured
	}
	return &Principal{AccessToken: token}, nil
}

// bearerToken reads "Bearer", one space and a token, with the scheme in any case (RFC
// 9110 section 11.1). Two headers, or a header with two credentials, are refused: a
// proxy may have judged the other one.
func bearerToken(values []string) (string, error) {
	switch len(values) {
	case 0:
		return "", ErrNoCredentials
	case 1:
	default:
		return "", ErrMalformed
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", ErrNoCredentials
	}
	switch {
	case token == "" || len(token) > maxToken:
		return "", ErrMalformed
	case isToken68(token):
		return token, nil
	case strings.ContainsAny(token, " \t\r\n"):
		return "", ErrMalformed
	}
	return "", &oidc.Error{Reason: oidc.ReasonMalformed}
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

// Handler wraps next: it gets the requests whose token is good and fulfils every
// requirement, and finds their principal with [PrincipalFrom]. The others are
// answered: 400 for a header that is none, 401 without a good token, 403 if the
// token lacks a right, 503 with Retry-After if the token could not be judged, 500
// for mistakes of this program.
func (b *Bearer) Handler(next http.Handler, require ...Requirement) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		credentials := Credentials{Authorization: r.Header.Values("Authorization")}
		if len(credentials.Authorization) > 0 && hasTokenInQuery(r.URL.RawQuery) {
			// Two credentials (RFC 6750 section 2); the one in the query is in every log by now.
			b.refuse(w, r, ErrMalformed)
			return
		}
		p, err := b.Authenticate(r.Context(), credentials)
		if err == nil {
			err = checkAll(require, p)
		}
		if err != nil {
			b.refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), principalKey{}, p)))
	})
}

// hasTokenInQuery reads a query as generously as anybody might who reads it later.
func hasTokenInQuery(query string) bool {
	for query != "" {
		end := strings.IndexAny(query, "&;")
		if end < 0 {
			end = len(query)
		}
		name, _, _ := strings.Cut(query[:end], "=")
		if plain, err := url.QueryUnescape(name); err == nil && plain == "access_token" {
			return true
		}
		query = query[min(end+1, len(query)):]
	}
	return false
}

type principalKey struct{}

// PrincipalFrom returns who sent the request that ctx belongs to. There is nobody
// unless a [Bearer] stands in front.
func PrincipalFrom(ctx context.Context) (p *Principal, ok bool) {
	p, ok = ctx.Value(principalKey{}).(*Principal)
	return p, ok
}
