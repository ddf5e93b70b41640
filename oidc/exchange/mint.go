package exchange

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/jwks"
)

// TypeAccessToken is the "typ" of access tokens (RFC 9068 section 2.1), which APIs expect
// that take no others.
const TypeAccessToken = "at+jwt"

const defaultType = "JWT"

// A Token is what is to be minted. "iss", "iat", "nbf" and "jti" are the issuer's own.
type Token struct {
	// Audience is whom the token is for; required. One is written as a string, several as
	// a list.
	Audience []string
	// Subject is whom it is about; empty leaves "sub" out.
	Subject string
	// Expiry is when it ends. Zero, and what is later than Keys.Lifetime allows, is as
	// late as that. An Expiry that is not in the future is an error.
	Expiry time.Time
	// Claims are all others, up to 4 KiB of JSON. Those that Mint writes itself must not be
	// among them, in no spelling, and no name in two spellings.
	Claims map[string]any
	// Algorithm is what it is signed with; empty is the default of the keys.
	Algorithm string
	// Type is the "typ" of the header (RFC 8725 section 3.11); empty is "JWT". See
	// [TypeAccessToken].
	Type string
}

// Format prints that it is a token, with every verb.
func (t Token) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("exchange.Token[redacted]")) }

// A Minted token. It prints without the token itself.
type Minted struct {
	Compact          string // the JWS
	ID               string // "jti"
	IssuedAt, Expiry time.Time
	Algorithm, KeyID string
}

// Format prints the id with every verb.
func (m Minted) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "exchange.Minted(%s)", m.ID) }

// MarshalText redacts, in JSON and in logs.
func (m Minted) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "exchange.Minted(%s)", m.ID), nil
}

// errNoSigner is an outage of our own: the token that is to be exchanged is as good as ever.
var errNoSigner = &oidckit.UnavailableError{What: "signing key", Err: errors.New("there is none for this")}

// Mint signs a token. Errors are about t, of type *[Error] if the algorithm has no key
// ([ReasonAlgorithm]), if the claims are too large ([ReasonClaims]) or if the Expiry has
// passed ([ReasonExpired]); they answer errors.Is for oidckit.ErrUnavailable if the key
// cannot sign.
func (i *Issuer) Mint(ctx context.Context, t Token) (*Minted, error) {
	if i == nil || i.cfg.Keys == nil {
		return nil, errors.New("exchange: Issuer was not made by NewIssuer")
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	key, err := i.signer(ctx, t.Algorithm)
	if err != nil {
		return nil, err
	}
	now := i.cfg.Now().Truncate(time.Second)
	m := &Minted{ID: rand.Text(), IssuedAt: now, Expiry: i.expiry(t, now), Algorithm: key.Algorithm(), KeyID: key.ID()}
	if !m.Expiry.After(now) {
		return nil, &Error{Reason: ReasonExpired}
	}
	payload, err := i.payload(t, m)
	if err != nil {
		return nil, err
	}
	if m.Compact, err = key.SignJWT(ctx, cmp.Or(t.Type, defaultType), payload); err != nil {
		return nil, err
	}
	return m, nil
}

func (t *Token) check() error {
	if len(t.Audience) == 0 || slices.Contains(t.Audience, "") {
		return errors.New("exchange: Token.Audience is required, without empty names")
	}
	if name, ok := notOnce(t.Claims); !ok {
		return fmt.Errorf("exchange: Token.Claims: %q is written by Mint, or there twice, in whatever case: leave it out, or use the field for it", name)
	}
	return nil
}

func (i *Issuer) signer(ctx context.Context, algorithm string) (*jwks.SigningKey, error) {
	key, err := i.cfg.Keys.SigningKey(ctx, algorithm)
	switch {
	case err != nil || key != nil:
		return key, err
	case algorithm != "":
		return nil, &Error{Reason: ReasonAlgorithm}
	}
	return nil, errNoSigner
}

func (i *Issuer) expiry(t Token, now time.Time) time.Time {
	latest := now.Add(i.cfg.Keys.Lifetime())
	if t.Expiry.IsZero() || t.Expiry.After(latest) {
		return latest
	}
	return t.Expiry.Truncate(time.Second)
}

// maxClaims is as much as the claims may have that are not ours, in bytes of JSON.
const maxClaims = 4 << 10

func (i *Issuer) payload(t Token, m *Minted) ([]byte, error) {
	more, err := json.Marshal(t.Claims)
	switch {
	case err != nil:
		return nil, errors.New("exchange: Token.Claims are no JSON")
	case len(more)+len(t.Subject) > maxClaims:
		return nil, &Error{Reason: ReasonClaims}
	}
	var audience any = t.Audience
	if len(t.Audience) == 1 {
		audience = t.Audience[0]
	}
	own, err := json.Marshal(struct {
		Issuer    string `json:"iss"`
		Subject   string `json:"sub,omitempty"`
		Audience  any    `json:"aud"`
		Expiry    int64  `json:"exp"`
		NotBefore int64  `json:"nbf"`
		IssuedAt  int64  `json:"iat"`
		ID        string `json:"jti"`
	}{i.cfg.Issuer, t.Subject, audience, m.Expiry.Unix(), m.IssuedAt.Unix(), m.IssuedAt.Unix(), m.ID})
	if err != nil || len(t.Claims) == 0 {
		return own, err
	}
	own[len(own)-1] = ','
	return append(own, more[1:]...), nil
}

// ownClaims are those that Mint writes.
var ownClaims = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti"}

// isOwn: readers that ignore case must not find two of a claim.
func isOwn(name string) bool { return containsFold(ownClaims, name) }

// notOnce finds a name that would stand in the token twice.
func notOnce(claims map[string]any) (twice string, ok bool) {
	seen := slices.Clone(ownClaims)
	for name := range claims {
		if containsFold(seen, name) {
			return name, false
		}
		seen = append(seen, name)
	}
	return "", true
}

func containsFold(list []string, name string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, name) })
}
