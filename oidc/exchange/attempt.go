package exchange

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/internal/strictjson"
	"github.com/oidckit/oidckit/oidc"
)

// An attempt is one exchange on its way.
type attempt struct {
	x         *Exchanger
	req       Request
	algorithm string            // of the subject token
	token     *oidc.AccessToken // nil until it is verified
	rule      *Rule             // nil until one decided
	minted    *Minted
}

func (a *attempt) run(ctx context.Context) error {
	if err := a.verify(ctx); err != nil {
		return err
	}
	if err := a.decide(ctx); err != nil {
		return err
	}
	t, err := a.newToken(ctx)
	if err != nil {
		return err
	}
	minted, err := a.x.cfg.Issuer.Mint(ctx, t)
	if err != nil {
		return err
	}
	// Last, so that neither strangers fill the memory nor an outage of ours spends a token.
	// Nobody has the new one yet.
	if err := a.spend(ctx); err != nil {
		return err
	}
	a.minted = minted
	return nil
}

// verify refuses tokens of our own before their signature is looked at, which could only
// refuse them for another reason.
func (a *attempt) verify(ctx context.Context) error {
	parsed, err := jwt.Parse(a.req.SubjectToken)
	if err != nil {
		return &Error{Reason: ReasonToken, Err: err}
	}
	a.algorithm = parsed.Algorithm
	value, _ := parsed.Claims.Get("iss")
	issuer, _ := strictjson.String(value)
	parsed.Release()
	if slices.Contains(a.x.cfg.Refused, issuer) {
		return &Error{Reason: ReasonSelf}
	}
	token, err := a.x.cfg.Verifier.Verify(ctx, a.req.SubjectToken)
	switch {
	case errors.Is(err, oidckit.ErrUnavailable):
		return err
	case errors.Is(err, oidckit.ErrInvalidToken):
		return &Error{Reason: ReasonToken, Err: err}
	case err != nil:
		return err
	case slices.Contains(a.x.cfg.Refused, token.Issuer):
		return &Error{Reason: ReasonSelf}
	case token.Claims.Has(claims.P("act", "act")): // RFC 8693 section 4.1: who acted before
		return &Error{Reason: ReasonDelegated}
	}
	a.token = token
	return nil
}

// decide takes the first rule that holds.
func (a *attempt) decide(ctx context.Context) error {
	find := a.req.RulesFor
	if find == nil {
		find = a.x.rules
	}
	rules, err := find(ctx, a.token)
	if err != nil {
		return err
	}
	var unmet error
	for i := range rules {
		r := &rules[i]
		if err := r.Check(); err != nil {
			return err
		}
		if r.Issuer != a.token.Issuer {
			continue
		}
		if !r.InsecureAnyone || !r.Policy.IsZero() {
			if err := r.Policy.Named(r.Name).Check(a.token.Claims); err != nil {
				unmet = errors.Join(unmet, err)
				continue
			}
		}
		a.rule = r
		return nil
	}
	return &Error{Reason: ReasonPolicy, Err: unmet}
}

func (a *attempt) newToken(ctx context.Context) (t Token, err error) {
	t = Token{Subject: a.rule.Subject, Type: a.rule.Type}
	if err := a.checkType(); err != nil {
		return t, err
	}
	if t.Audience, err = a.audience(); err != nil {
		return t, err
	}
	if t.Algorithm, err = a.chooseAlgorithm(ctx); err != nil {
		return t, err
	}
	if err := a.clone(&t); err != nil {
		return t, err
	}
	t.Expiry = a.expiry()
	return t, nil
}

// checkType: what is handed out is called what it is (RFC 8693 section 3).
func (a *attempt) checkType() error {
	switch a.req.RequestedTokenType {
	case "", oidc.TokenTypeJWT:
		return nil
	case oidc.TokenTypeAccessToken:
		if a.rule.Type == TypeAccessToken {
			return nil
		}
	}
	return malformed("requested_token_type is not what is issued here")
}

// audience: a request may narrow what the rule says, and nothing else (RFC 8693 section 2.1).
func (a *attempt) audience() ([]string, error) {
	allowed := a.rule.Audience
	if allowed == nil {
		allowed = a.token.Audience
	}
	if len(a.req.Audience) == 0 {
		return allowed, nil
	}
	for _, name := range a.req.Audience {
		if !slices.Contains(allowed, name) {
			return nil, &Error{Reason: ReasonAudience}
		}
	}
	return a.req.Audience, nil
}

// chooseAlgorithm leaves an algorithm that was asked for to Mint, which refuses what no key is
// for.
func (a *attempt) chooseAlgorithm(ctx context.Context) (string, error) {
	if a.req.Algorithm != "" {
		return a.req.Algorithm, nil
	}
	key, err := a.x.cfg.Issuer.cfg.Keys.SigningKey(ctx, a.algorithm)
	if err != nil || key == nil {
		return "", err
	}
	return a.algorithm, nil
}

// clone copies members as they were signed.
func (a *attempt) clone(t *Token) error {
	t.Claims = make(map[string]any, len(a.rule.Claims)+len(a.rule.Clone))
	maps.Copy(t.Claims, a.rule.Claims)
	if len(a.rule.Clone) == 0 {
		return nil
	}
	object, err := strictjson.Parse(a.token.Claims.Raw())
	if err != nil {
		return &Error{Reason: ReasonClaims, Err: err}
	}
	for _, name := range a.rule.Clone {
		value, ok := object.Get(name)
		switch {
		case name == "sub":
			t.Subject = a.token.Subject
		case ok:
			t.Claims[name] = json.RawMessage(value)
		}
	}
	return nil
}

// expiry: a token must not be a way to prolong another one.
func (a *attempt) expiry() time.Time {
	var latest time.Time
	if a.rule.Lifetime > 0 {
		latest = a.x.cfg.Now().Add(a.rule.Lifetime)
	}
	if !a.rule.InsecureOutlive && (latest.IsZero() || a.token.Expiry.Before(latest)) {
		latest = a.token.Expiry
	}
	return latest
}

// longestLeeway is how long after its "exp" a verifier may take a token.
const longestLeeway = 5 * time.Minute

func (a *attempt) spend(ctx context.Context) error {
	if a.x.cfg.InsecureReuse {
		return nil
	}
	first, err := a.x.cfg.Replay.Once(ctx, a.identity(), a.token.Expiry.Add(longestLeeway))
	switch {
	case err != nil:
		return &oidckit.UnavailableError{What: "memory of exchanged tokens", Err: err}
	case !first:
		return &Error{Reason: ReasonReplayed}
	}
	return nil
}

// identity is what a token is known by: its "jti" (RFC 7519 section 4.1.7), and without one
// what was signed. The signature tells no tokens apart: ECDSA has two for each.
func (a *attempt) identity() string {
	if id, err := a.token.Claims.String(claims.P("jti")); err == nil {
		return hash("jti", a.token.Issuer, id)
	}
	return a.input()
}

// input is the token in the log.
func (a *attempt) input() string {
	signed := a.req.SubjectToken
	return hash("jws", signed[:max(strings.LastIndexByte(signed, '.'), 0)])
}

// hash tells nothing about its parts, none of which can be taken for two.
func hash(parts ...string) string {
	text, _ := json.Marshal(parts) // strings
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
