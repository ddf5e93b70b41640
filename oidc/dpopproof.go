package oidc

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/jwks"
)

// ProofVerifierConfig says which DPoP proofs an API takes.
type ProofVerifierConfig struct {
	// Algorithms are the allowed ones; default ES and PS 256, 384 and 512, and EdDSA. RS256,
	// which FAPI 2.0 does not allow, has to be named.
	Algorithms []string

	// MaxAge is how long after "iat" a proof is good; default 60 s, at most 5 min.
	MaxAge time.Duration
	// Leeway is how far in the future "iat" may be, for clocks that differ; default 15 s, at
	// most 1 min.
	Leeway time.Duration

	// RequireNonce asks for nonces of ours in proofs (RFC 9449 section 9), so that none can
	// be made in advance. They are made of the time, and nothing is remembered.
	RequireNonce bool
	// NonceKeys authenticate the nonces: the first one makes them, all of them check. Each has
	// 32 bytes at least. Servers that stand for each other share them; to rotate, put the new
	// one first and keep the old one for NonceLifetime. Empty is a random key of this
	// ProofVerifier.
	NonceKeys []clientauth.Secret
	// NonceLifetime is how long a nonce is good; default 2 min, 10 s to 1 h.
	NonceLifetime time.Duration

	// Replay remembers which proofs came before, for all servers that stand for each other.
	// Nil is a memory of this ProofVerifier alone. Whoever has one bounds it, and sees to it
	// that one client does not fill it for all.
	Replay ReplayStore
	// MaxProofs bounds that memory; default 262,144 proofs, which is some 50 MiB. One key gets
	// an eighth of it. Whose share is full is told to come again later (oidckit.ErrUnavailable):
	// to forget a proof that is still good would be to take it twice.
	MaxProofs int

	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// A ProofVerifier verifies DPoP proofs at an API (RFC 9449 section 4.3). It is safe for
// concurrent use.
type ProofVerifier struct {
	algorithms     []string
	maxAge, leeway time.Duration
	nonces         *proofNonces // nil if none are asked for
	once           func(ctx context.Context, jkt, jti string, until time.Time) (first bool, err error)
	now            func() time.Time
}

// A ProofRequest is a request with a proof.
type ProofRequest struct {
	// Proofs are the values of the header DPoP: there must be one, of 8 KiB at most.
	Proofs []string
	// Method of the request. Headers that pretend another one count for nothing.
	Method string
	// URL of the request as the client sees it, behind all proxies: scheme, host and port of
	// the configuration, never those of the Host header. Query and fragment are ignored.
	URL string
	// AccessToken is the one that came along.
	AccessToken string
	// JWKThumbprint is the key that the access token is bound to.
	JWKThumbprint string
}

// Format prints the method with every verb: a proof or token is for nobody's log.
func (r ProofRequest) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "oidc.ProofRequest(%s)", r.Method)
}

// MarshalText redacts, as Format does.
func (r ProofRequest) MarshalText() ([]byte, error) { return []byte(fmt.Sprint(r)), nil }

const (
	maxProof      = 8 << 10
	defaultProofs = 1 << 18
)

// defaultProofAlgorithms are jwt.Asymmetric without RSASSA-PKCS1-v1_5.
var defaultProofAlgorithms = []string{"ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA"}

// NewProofVerifier returns a verifier of proofs. Errors name the field.
func NewProofVerifier(cfg ProofVerifierConfig) (*ProofVerifier, error) {
	v := &ProofVerifier{algorithms: slices.Clone(cfg.Algorithms), maxAge: cfg.MaxAge, leeway: cfg.Leeway, now: cfg.Now}
	if len(v.algorithms) == 0 {
		v.algorithms = slices.Clone(defaultProofAlgorithms)
	}
	for _, alg := range v.algorithms {
		// "alg [...] MUST NOT be none or an identifier for a symmetric algorithm" (section 4.2)
		if !slices.Contains(jwt.Asymmetric, alg) {
			return nil, fmt.Errorf("oidc: ProofVerifierConfig.Algorithms: %q is no algorithm of public keys", alg)
		}
	}
	for _, d := range []struct {
		name              string
		field             *time.Duration
		zero, least, most time.Duration
	}{
		{"MaxAge", &v.maxAge, time.Minute, time.Second, 5 * time.Minute},
		{"Leeway", &v.leeway, 15 * time.Second, time.Second, time.Minute},
		{"NonceLifetime", &cfg.NonceLifetime, 2 * time.Minute, 10 * time.Second, time.Hour},
	} {
		if *d.field == 0 {
			*d.field = d.zero
		}
		if *d.field < d.least || *d.field > d.most {
			return nil, fmt.Errorf("oidc: ProofVerifierConfig.%s must be %v to %v", d.name, d.least, d.most)
		}
	}
	if v.now == nil {
		v.now = time.Now
	}
	if err := v.setReplay(cfg); err != nil {
		return nil, err
	}
	return v, v.setNonces(cfg)
}

func (v *ProofVerifier) setReplay(cfg ProofVerifierConfig) error {
	if cfg.MaxProofs < 0 || cfg.MaxProofs != 0 && cfg.Replay != nil {
		return errors.New("oidc: ProofVerifierConfig.MaxProofs must not be negative, and is for the memory that there is without Replay")
	}
	if cfg.Replay != nil {
		v.once = func(ctx context.Context, jkt, jti string, until time.Time) (bool, error) {
			return cfg.Replay.Once(ctx, replayKey("dpop", jkt, jti), until)
		}
		return nil
	}
	if cfg.MaxProofs == 0 {
		cfg.MaxProofs = defaultProofs
	}
	memory := newProofMemory(cfg.MaxProofs, v.maxAge+v.leeway+time.Second)
	v.once = func(_ context.Context, jkt, jti string, _ time.Time) (bool, error) {
		return memory.add(jkt, jti, v.now())
	}
	return nil
}

// Algorithms returns the allowed algorithms, for "algs" of challenges (RFC 9449 section
// 7.1).
func (v *ProofVerifier) Algorithms() []string { return slices.Clone(v.algorithms) }

// Verify verifies the proof of a request, and that it did not come before: the second time
// it is refused with [ReasonReplayed]. So the access token has to be verified first, and
// nobody fills the memory who has none. It returns the thumbprint of the key, which is
// the one that the access token is bound to.
//
// An error is an *[Error] if the proof is at fault: [ReasonBinding] if it is of another key,
// [ReasonProofNonce] if it needs the nonce that Nonce returns, [ReasonProof] for all else.
// It answers errors.Is for oidckit.ErrUnavailable if Replay does not answer or the memory
// is full. A nil or zero verifier refuses everything.
func (v *ProofVerifier) Verify(ctx context.Context, r ProofRequest) (jkt string, err error) {
	if v == nil || v.now == nil {
		return "", errors.New("oidc: ProofVerifier was not made by NewProofVerifier")
	}
	want, ok := normalTarget(r.URL)
	switch {
	case !strings.Contains(r.URL, "://") || r.Method == "" || r.AccessToken == "" || r.JWKThumbprint == "":
		return "", errors.New("oidc: ProofRequest needs an absolute URL, a Method, an AccessToken and its JWKThumbprint")
	case !ok: // whoever sends the request chose its path
		return "", proofRefused("htu", "no proof can be for the URL of the request, which must be an absolute http or https URL of ASCII, not too long")
	}
	if len(r.Proofs) != 1 || len(r.Proofs[0]) > maxProof {
		return "", proofRefused("", "there must be one header DPoP, of 8 KiB at most")
	}
	parsed, err := jwt.ParseProof(r.Proofs[0])
	if err != nil {
		return "", &Error{Reason: ReasonProof, Err: err}
	}
	defer parsed.Release()
	p := payloadOf(parsed)
	now := v.now()
	proof, err := v.judge(parsed, p, &r, want, now)
	if err != nil {
		return "", err
	}
	key, err := proofKey(parsed, r.JWKThumbprint)
	if err != nil {
		return "", err
	}
	if err := jwks.VerifyParsed(ctx, key, v.algorithms, parsed); err != nil {
		return "", &Error{Reason: ReasonProof, Err: err}
	}
	if err := v.checkReplay(ctx, r.JWKThumbprint, proof); err != nil {
		return "", err
	}
	return r.JWKThumbprint, nil
}

// proofKey reads the key of a proof, which is only good for it if the token names it. "jwk
// [...] MUST NOT contain a private key" (section 4.2); which other keys are none is the
// rule of all keys. A "kid" beside it would choose among keys, and there is one.
func proofKey(parsed *jwt.Token, jkt string) (jwks.Static, error) {
	key, err := jwks.ParseKey([]byte(parsed.JWK))
	if err != nil {
		return nil, &Error{Reason: ReasonProof, Claim: "jwk", Err: err}
	}
	if key.Thumbprint() != jkt {
		return nil, bound("the proof is of another key")
	}
	parsed.KeyID = ""
	return jwks.Static{key}, nil
}

// judged is what is left to do with a proof.
type judged struct {
	id    string
	until time.Time // good no longer
}

// judge makes every check but those of the key (section 4.3).
func (v *ProofVerifier) judge(parsed *jwt.Token, p payload, r *ProofRequest, target string, now time.Time) (j judged, err error) {
	if parsed.Type != "dpop+jwt" {
		return j, proofRefused("typ", "not dpop+jwt")
	}
	if !jwt.Allows(v.algorithms, parsed.Algorithm) {
		return j, proofRefused("alg", "not among the allowed algorithms")
	}
	if j.id, err = identifier(p, "jti", ReasonProof); err != nil {
		return j, err
	}
	if method, err := p.text("htm"); err != nil || method != r.Method {
		return j, proofRefused("htm", "missing, or another method")
	}
	htu, err := p.text("htu")
	if got, ok := normalTarget(htu); err != nil || !ok || got != target {
		return j, proofRefused("htu", "missing, or another URL than the one that is configured and asked for")
	}
	if ath, err := p.text("ath"); err != nil || subtle.ConstantTimeCompare([]byte(ath), []byte(digest(r.AccessToken))) != 1 {
		return j, proofRefused("ath", "missing, or of another access token")
	}
	if j.until, err = v.checkTime(p, now); err != nil {
		return j, err
	}
	return j, v.checkNonce(p, now)
}

func proofRefused(claim, why string) error {
	return &Error{Reason: ReasonProof, Claim: claim, Err: errors.New(why)}
}

// checkTime returns when the proof is good no longer. "exp" and "nbf" are no members of
// proofs; where they are, they mean what they always mean.
func (v *ProofVerifier) checkTime(p payload, now time.Time) (until time.Time, err error) {
	iat, err := p.time("iat")
	until = iat.Add(v.maxAge)
	switch {
	case err != nil:
		return until, proofRefused("iat", "missing, or no time")
	case iat.After(now.Add(v.leeway)):
		return until, proofRefused("iat", "in the future")
	case now.After(until):
		return until, proofRefused("iat", "too long ago")
	}
	if p.has("nbf") {
		if nbf, err := p.time("nbf"); err != nil || nbf.After(now.Add(v.leeway)) {
			return until, proofRefused("nbf", "in the future, or no time")
		}
	}
	if p.has("exp") {
		if exp, err := p.time("exp"); err != nil || !now.Before(exp.Add(v.leeway)) {
			return until, proofRefused("exp", "it has passed, or is no time")
		}
	}
	return until, nil
}

// checkReplay comes last: what is refused uses nothing up. A second more is for stores that
// know no fractions.
func (v *ProofVerifier) checkReplay(ctx context.Context, jkt string, j judged) error {
	first, err := v.once(ctx, jkt, j.id, j.until.Add(time.Second))
	switch {
	case err != nil:
		return unavailable("memory of DPoP proofs", err)
	case !first:
		return &Error{Reason: ReasonReplayed, Claim: "jti"}
	}
	return nil
}
