package oidc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/internal/refresh"
)

// IssuersConfig lists verifiers, each with the policy of its own issuer.
type IssuersConfig struct {
	// Verifiers are those that are known from the start, one for each issuer.
	Verifiers []*AccessTokenVerifier

	// Resolve finds the verifier of an issuer that is not among them: that of a tenant,
	// for example. What it is asked for stands in a token that nobody has verified, so
	// it must look the issuer up in a list of its own and never ask the issuer. No
	// verifier and no error means that the issuer is not trusted. Answers are kept,
	// and asked for anew after RefreshAfter; while that fails the old one counts, for as
	// long again, so a tenant is put out by an answer without verifier, not by an error.
	// A call gets 10 s and a context of its own. At most 64 run at the same time, beyond
	// which tokens are told to come again (oidckit.ErrUnavailable). Nil trusts nobody else.
	Resolve func(ctx context.Context, issuer string) (*AccessTokenVerifier, error)
	// MaxResolved is how many answers with a verifier are kept; default 10,000.
	MaxResolved int
	// RefreshAfter is how long an answer with a verifier counts; default 10 min. One
	// without counts a tenth of that. An answer that is due is asked for in the
	// background, and counts for up to a minute meanwhile.
	RefreshAfter time.Duration
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// Issuers verifies the access tokens of several issuers. A token's "iss" chooses the
// verifier, and does nothing more: the verifier then judges the token as a whole, its
// issuer included. A token of an unknown issuer causes no request. It is safe for
// concurrent use.
type Issuers struct {
	cfg       IssuersConfig
	known     map[string]*AccessTokenVerifier
	templates []*AccessTokenVerifier
	asking    chan struct{} // room for those who ask Resolve at the same time
	resolved  *otter.Cache[string, *resolution]
	unknown   *otter.Cache[string, *resolution] // strangers invent issuers without end: they have a place of their own
}

type resolution = refresh.Value[*AccessTokenVerifier]

const (
	maxUnknown = 1000 // issuers that Resolve does not know, or none of whose tokens was good yet
	maxAsking  = 64   // calls of Resolve at the same time: strangers can cause as many
)

// NewIssuers returns a verifier for several issuers. It does no I/O; errors are about
// cfg alone.
func NewIssuers(cfg IssuersConfig) (*Issuers, error) {
	if len(cfg.Verifiers) == 0 && cfg.Resolve == nil {
		return nil, errors.New("oidc: IssuersConfig needs Verifiers or Resolve")
	}
	if cfg.MaxResolved < 0 || cfg.RefreshAfter < 0 {
		return nil, errors.New("oidc: IssuersConfig: MaxResolved and RefreshAfter must not be negative")
	}
	if cfg.MaxResolved == 0 {
		cfg.MaxResolved = 10_000
	}
	if cfg.RefreshAfter == 0 {
		cfg.RefreshAfter = 10 * time.Minute
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	i := &Issuers{cfg: cfg, known: make(map[string]*AccessTokenVerifier), asking: make(chan struct{}, maxAsking)}
	for _, v := range cfg.Verifiers {
		if err := i.add(v); err != nil {
			return nil, err
		}
	}
	var err, err2 error
	i.resolved, err = otter.New(&otter.Options[string, *resolution]{MaximumSize: cfg.MaxResolved})
	i.unknown, err2 = otter.New(&otter.Options[string, *resolution]{MaximumSize: maxUnknown})
	return i, errors.Join(err, err2)
}

func (i *Issuers) add(v *AccessTokenVerifier) error {
	if v == nil || v.provider == nil {
		return errors.New("oidc: IssuersConfig.Verifiers has one that was not made by NewAccessTokenVerifier")
	}
	if v.checkPlain() != nil {
		return fmt.Errorf("oidc: IssuersConfig.Verifiers: the tokens of %q are encrypted, and do not show their issuer", v.provider.issuer)
	}
	if policy := &v.provider.issuers; policy.isTemplate() {
		for _, t := range i.templates {
			if policy.overlaps(&t.provider.issuers) {
				return fmt.Errorf("oidc: IssuersConfig.Verifiers has two for a tenant of %q", v.provider.issuer)
			}
		}
		i.templates = append(i.templates, v)
		return nil
	}
	for _, issuer := range v.provider.issuers.exact {
		if i.known[issuer] != nil {
			return fmt.Errorf("oidc: IssuersConfig.Verifiers has two for %q", issuer)
		}
		i.known[issuer] = v
	}
	return nil
}

// Verify verifies a JWT access token of one of the issuers, as
// [AccessTokenVerifier.Verify] does. Encrypted tokens do not show their issuer, and are
// refused.
func (i *Issuers) Verify(ctx context.Context, raw string) (*AccessToken, error) {
	return i.VerifyBound(ctx, raw, nil)
}

// VerifyBound is Verify for tokens that may be bound to keys, as
// [AccessTokenVerifier.VerifyBound] is.
func (i *Issuers) VerifyBound(ctx context.Context, raw string, prove Prover) (*AccessToken, error) {
	if i == nil || i.known == nil {
		return nil, errors.New("oidc: Issuers was not made by NewIssuers")
	}
	parsed, err := jwt.Parse(raw)
	if err != nil {
		return nil, refused(err)
	}
	defer parsed.Release()
	iss, err := identifier(payloadOf(parsed), "iss", ReasonIssuer)
	if err != nil {
		return nil, err
	}
	v, err := i.find(ctx, iss)
	switch {
	case err != nil:
		return nil, err
	case v == nil:
		return nil, &Error{Reason: ReasonIssuer, Claim: "iss", Err: errors.New("no verifier is configured for it")}
	}
	if err := v.checkPlain(); err != nil {
		return nil, err
	}
	now := v.provider.now()
	token, r := v.recall(ctx, raw, now)
	if token == nil {
		token, err = v.verifyAndKeep(ctx, parsed, now, request{raw, r, prove})
	} else {
		token, err = confirm(ctx, token, prove)
	}
	if err == nil {
		i.settle(iss)
	}
	return token, err
}

func (i *Issuers) find(ctx context.Context, iss string) (*AccessTokenVerifier, error) {
	if v := i.known[iss]; v != nil {
		return v, nil
	}
	for _, v := range i.templates {
		if v.provider.issuers.mayBe(iss) {
			return v, nil
		}
	}
	if i.cfg.Resolve == nil {
		return nil, nil //nolint:nilnil // nobody is an answer
	}
	return i.resolve(ctx, iss)
}

// resolve asks for a verifier once, however many tokens of an issuer come at a time.
func (i *Issuers) resolve(ctx context.Context, iss string) (*AccessTokenVerifier, error) {
	r, ok := i.resolved.GetIfPresent(iss)
	if !ok {
		r, _ = i.unknown.SetIfAbsent(strings.Clone(iss), i.resolution(iss))
	}
	return r.Get(ctx)
}

// settle keeps an answer among those of tenants, once a token of theirs was good. What
// strangers make up cannot get there.
func (i *Issuers) settle(iss string) {
	if r, ok := i.unknown.GetIfPresent(iss); ok {
		i.resolved.Set(strings.Clone(iss), r)
		i.unknown.Invalidate(iss)
	}
}

// ask asks Resolve, unless too many do.
func (i *Issuers) ask(ctx context.Context, iss string) (*AccessTokenVerifier, error) {
	select {
	case i.asking <- struct{}{}:
		defer func() { <-i.asking }()
		return i.cfg.Resolve(ctx, iss)
	default:
		return nil, errAsking
	}
}

var errAsking = errors.New("oidc: IssuersConfig.Resolve is busy with other issuers")

func (i *Issuers) resolution(iss string) *resolution {
	iss = strings.Clone(iss)
	return refresh.New(refresh.Config[*AccessTokenVerifier]{
		What:    "the verifier of an issuer",
		Timeout: resolveTimeout, Cooldown: time.Minute, MaxStale: i.cfg.RefreshAfter, Now: i.cfg.Now,
		Fetch: func(ctx context.Context) (*AccessTokenVerifier, time.Duration, error) {
			v, err := i.ask(ctx, iss)
			switch {
			case err != nil:
				return nil, 0, err
			case v == nil:
				return nil, i.cfg.RefreshAfter / 10, nil
			case v.provider == nil || !v.provider.issuers.mayBe(iss):
				return nil, 0, errors.New("IssuersConfig.Resolve gave a verifier of another issuer")
			}
			return v, i.cfg.RefreshAfter, nil
		},
	})
}

// resolveTimeout is how long Resolve may take.
const resolveTimeout = 10 * time.Second
