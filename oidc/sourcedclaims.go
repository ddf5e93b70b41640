package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/internal/strictjson"
)

// A ClaimSource is somebody other than the client's provider whose claims are believed
// where the provider hands them on (OpenID Connect Core section 5.6.2): a claims provider.
type ClaimSource struct {
	// Provider is who vouches for the claims: its issuer must be the "iss" of the JWT, its
	// keys have signed it, and its HTTPClient fetches distributed claims. Required. It may
	// be the client's own provider.
	Provider *Provider
	// Algorithms are the allowed ones; default RS, PS and ES 256, 384 and 512, and EdDSA.
	Algorithms []string
	// Endpoints are the URLs that distributed claims may be fetched from, and the
	// provider's access token for them be sent to. Scheme, host and path must be equal,
	// the query may be any; one that ends with "/" stands for all paths below. Empty means
	// that this source has aggregated claims only.
	Endpoints []string
	// Audience is what "aud" of the JWT may name beside the client's ID. A JWT without "aud"
	// is for everybody.
	Audience []string
}

// SourcedClaims are claims that the provider handed on, and somebody else made. They say
// nothing about who the person is: that is the ID token's.
type SourcedClaims struct {
	// Source is the provider's name for where they are from: of "_claim_sources".
	Source string
	// Names are the claims that the provider says are there, sorted, but for those that it
	// states itself, and those that ID tokens are judged by ("sub", "acr"): nobody else's
	// count.
	Names []string
	// Issuer is the ClaimSource that vouches for Claims; empty if nobody does.
	Issuer string
	// Claims are verified: Issuer said so. They are some of Names, and no others.
	Claims claims.Set
	// Unverified are aggregated claims whose JWT says that it is of an issuer that no
	// ClaimSource has: anybody could have made it. They too are some of Names.
	Unverified claims.Set
	// Err says why there are no claims: an *[Error] if the JWT of a ClaimSource is at
	// fault, [ErrUntrustedSource], or an error that answers errors.Is for
	// oidckit.ErrUnavailable.
	Err error
}

// Format prints the issuer with every verb: the rest is personal data.
func (s SourcedClaims) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "oidc.SourcedClaims(%s)", s.Issuer)
}

// LogValue redacts, as Format does.
func (s SourcedClaims) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }

// ErrUntrustedSource says that claims are elsewhere, and that no ClaimSource has the
// place among its Endpoints: nothing was sent there.
var ErrUntrustedSource = errors.New("oidc: the claims are at an endpoint that no ClaimSource of the configuration has")

// maxSources is how many sources one set may have, and maxSourceNames how many claims.
const (
	maxSources     = 8
	maxSourceNames = 64
)

// A claimSource is a ClaimSource that was checked.
type claimSource struct {
	trust
	endpoints []sourceEndpoint
	audiences []string // with the client
	subject   bool     // "sub" of its JWTs is that of the ID token
}

func newClaimSources(cfg ClientConfig, own *Provider) ([]claimSource, error) {
	list := make([]claimSource, 0, len(cfg.ClaimSources))
	for i, source := range cfg.ClaimSources {
		s, err := newClaimSource(fmt.Sprintf("ClientConfig.ClaimSources[%d]", i), source, cfg)
		if err != nil {
			return nil, err
		}
		for _, other := range list {
			if other.provider.issuer == s.provider.issuer {
				return nil, fmt.Errorf("oidc: ClientConfig.ClaimSources[%d].Provider is there twice: one issuer has one policy", i)
			}
		}
		s.subject = s.provider.issuer == own.issuer
		list = append(list, s)
	}
	return list, nil
}

func newClaimSource(name string, source ClaimSource, cfg ClientConfig) (claimSource, error) {
	t, err := newTrust(name, trust{provider: source.Provider, algorithms: source.Algorithms, leeway: cfg.Leeway})
	if err != nil {
		return claimSource{}, err
	}
	if err := t.checkAlgorithms(name + ".Algorithms"); err != nil {
		return claimSource{}, err
	}
	if !allIdentifiers(source.Audience) {
		return claimSource{}, fmt.Errorf("oidc: %s.Audience has an empty name, or one with control characters", name)
	}
	s := claimSource{trust: t, audiences: append([]string{cfg.ClientID}, source.Audience...)}
	for _, endpoint := range source.Endpoints {
		e, err := newSourceEndpoint(endpoint, t.provider.transport)
		if err != nil {
			return s, fmt.Errorf("oidc: %s.Endpoints: %w", name, err)
		}
		s.endpoints = append(s.endpoints, e)
	}
	return s, nil
}

// verify verifies a JWT of this source. "sub" is the claims provider's name for the person,
// which nobody here knows, unless that is the provider of the ID token.
func (s *claimSource) verify(ctx context.Context, raw, sub string) (payload, error) {
	return s.verifyClaims(ctx, raw, func(p payload) error {
		if p.has("sub") {
			got, err := subject(p)
			if err != nil {
				return err
			}
			if s.subject && got != sub {
				return &Error{Reason: ReasonSubject, Claim: "sub"}
			}
		}
		return checkAudienceIfAny(p, s.audiences)
	})
}

// AggregatedClaims returns the claims of others that stand in the claims of an ID token or
// of userinfo. A JWT of a ClientConfig.ClaimSources is verified with the keys of that
// source; what others say is handed out as Unverified. Nothing is fetched but keys.
//
// The error is about set: an *[Error] if its "_claim_names" or "_claim_sources" are
// malformed, or name more than 8 sources or 64 claims. What is wrong with one source is in
// its Err.
func (c *Client) AggregatedClaims(ctx context.Context, set claims.Set) ([]SourcedClaims, error) {
	return c.sourced(set, "JWT", func(r reference) SourcedClaims { return c.aggregated(ctx, r) })
}

func (c *Client) aggregated(ctx context.Context, r reference) SourcedClaims {
	raw, ok := strictjson.String(r.value)
	if !ok {
		return r.failed(&Error{Reason: ReasonMalformed, Err: errors.New(`"JWT" of a claim source is no string`)})
	}
	unverified, err := unverifiedClaims(raw)
	if err != nil {
		return r.failed(err)
	}
	iss, _ := unverified.text("iss") // it only ever selects
	i := slices.IndexFunc(c.sources, func(s claimSource) bool { return s.provider.issuers.mayBe(iss) })
	if i < 0 {
		r.result.Unverified, r.result.Err = r.only(unverified)
		return r.result
	}
	return r.verified(ctx, &c.sources[i], raw)
}

// unverifiedClaims reads a JWT that nobody may have signed: "alg":"none" has two dots, and
// nothing after the second.
func unverifiedClaims(raw string) (payload, error) {
	malformed := &Error{Reason: ReasonMalformed, Err: errors.New("the JWT of a claim source is not three parts of at most 16 KiB")}
	if len(raw) > jwt.MaxSize || strings.Count(raw, ".") != 2 {
		return payload{}, malformed
	}
	text, ok := jwt.Decode(strings.Split(raw, ".")[1])
	if !ok {
		return payload{}, malformed
	}
	members, err := strictjson.Parse(text)
	if err != nil {
		return payload{}, &Error{Reason: ReasonMalformed, Err: err}
	}
	return payload{members: members, set: claims.FromVerified(string(text), members)}, nil
}

// A reference is a source as a set of claims names it.
type reference struct {
	result  SourcedClaims // without claims
	value   string        // JSON: of "JWT" or "endpoint"
	source  strictjson.Object
	subject string // of the set
}

func (r reference) failed(err error) SourcedClaims {
	r.result.Err = err
	return r.result
}

// verified fills in what a source vouches for.
func (r reference) verified(ctx context.Context, s *claimSource, raw string) SourcedClaims {
	p, err := s.verify(ctx, raw, r.subject)
	if err != nil {
		return r.failed(err)
	}
	if r.result.Claims, err = r.only(p); err != nil {
		return r.failed(err)
	}
	r.result.Issuer, _ = p.text("iss") // that verify has checked
	return r.result
}

// only returns those of the claims that the provider said are there.
func (r reference) only(p payload) (claims.Set, error) {
	found := map[string]json.RawMessage{}
	for _, name := range r.result.Names {
		if value, ok := p.members.Get(name); ok {
			found[name] = json.RawMessage(value)
		}
	}
	text, err := json.Marshal(found)
	if err != nil {
		return claims.Set{}, &Error{Reason: ReasonMalformed, Err: errors.New("claims of a source cannot be read")}
	}
	return claims.Parse(text)
}

// sourced reads the sources of a set that have a member, and has each of them filled in.
func (c *Client) sourced(set claims.Set, member string, fill func(reference) SourcedClaims) ([]SourcedClaims, error) {
	references, err := readReferences(set)
	if err != nil {
		return nil, err
	}
	var list []SourcedClaims
	for _, r := range references {
		var ok bool
		if r.value, ok = r.source.Get(member); ok {
			list = append(list, fill(r))
		}
	}
	return list, nil
}

// readReferences reads "_claim_names" and "_claim_sources" (OpenID Connect Core section
// 5.6.2), in the order of the names of the sources.
func readReferences(set claims.Set) ([]reference, error) {
	raw := set.Raw()
	if raw == nil {
		return nil, nil // the zero Set
	}
	own, err := strictjson.Parse(raw)
	if err != nil {
		return nil, &Error{Reason: ReasonMalformed, Err: err}
	}
	names, err := namesOfSources(own)
	if err != nil {
		return nil, err
	}
	sources, _ := own.Get("_claim_sources")
	sub, _ := set.String(claims.P("sub"))
	var list []reference
	for _, name := range slices.Sorted(maps.Keys(names)) {
		value, _ := strictjson.Member(sources, name)
		source, err := strictjson.ParseString(value)
		if err != nil {
			return nil, &Error{Reason: ReasonMalformed, Claim: "_claim_sources", Err: errors.New("a source that a claim names is missing, or no object")}
		}
		slices.Sort(names[name])
		list = append(list, reference{
			result: SourcedClaims{Source: name, Names: names[name]}, source: source, subject: sub,
		})
	}
	return list, nil
}

// namesOfSources returns the claims of each source. Those that the provider states itself
// are not replaced.
func namesOfSources(own strictjson.Object) (map[string][]string, error) {
	malformed := &Error{Reason: ReasonMalformed, Claim: "_claim_names", Err: errors.New("not an object of at most 64 claims of 8 sources")}
	value, ok := own.Get("_claim_names")
	if !ok {
		return nil, nil
	}
	members, err := strictjson.ParseString(value)
	if err != nil {
		return nil, malformed
	}
	names, count := map[string][]string{}, 0
	for claim, value := range members.All() {
		source, ok := strictjson.String(value)
		if count++; !ok || count > maxSourceNames {
			return nil, malformed
		}
		list := names[source]
		if _, stated := own.Get(claim); !stated && !slices.Contains(ownClaims, claim) {
			list = append(list, claim)
		}
		if names[source] = list; len(names) > maxSources {
			return nil, malformed
		}
	}
	return names, nil
}

// ownClaims are those by which tokens are judged: nobody but their issuer states them.
var ownClaims = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "azp", "nonce", "auth_time", "acr", "amr", "at_hash", "c_hash", "s_hash",
	"sid", "events", "cnf", "act", "_claim_names", "_claim_sources",
}
