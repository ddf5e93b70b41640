package exchange

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc"
)

// A Rule says whose tokens are exchanged, and for what. All of its conditions must hold; the
// first of several rules whose conditions hold decides, and is named in the log.
type Rule struct {
	// Name is for the log; required.
	Name string
	// Issuer is whose tokens the rule is for; required. It is compared before anything
	// else: a "sub" means nothing without it.
	Issuer string
	// Policy is what the token must say besides; required, unless InsecureAnyone is set. An
	// issuer that signs for strangers too needs one that says whose tokens are meant:
	// [NewExchanger] refuses what [claims.Lint] calls a danger.
	Policy claims.Policy
	// InsecureAnyone takes every token of the issuer, and keeps claims.Lint silent.
	InsecureAnyone bool

	// Audience is whom the new token is for. Nil is the audience of the old one, and safe
	// only if the verifier knows which those may be.
	Audience []string
	// Subject is whom the new token is about, in place of the "sub" of the old one. Empty
	// is none, unless Clone has "sub".
	Subject string
	// Clone are the members of the old token that go into the new one, as they were
	// signed, each once. A member that is not there is left out. Those that say who issued a token,
	// for whom, until when, what it is bound to or what it permits cannot be cloned.
	Clone []string
	// Claims are members with fixed values.
	Claims map[string]any
	// Lifetime is how long the new token lives at most; 0, and what is longer than
	// Keys.Lifetime, is as long as that. It never outlives the old one, unless
	// InsecureOutlive is set.
	Lifetime time.Duration
	// InsecureOutlive lets the new token live for Lifetime, although the old one ends
	// before: a credential of a minute is then good for one of hours.
	InsecureOutlive bool
	// Type is the "typ" of the new token; see [Token].
	Type string
}

// A RuleFunc finds the rules for a token that was verified, where they are in a database,
// for example. No rule refuses it.
type RuleFunc func(ctx context.Context, token *oidc.AccessToken) ([]Rule, error)

// notCloned are members that mean something about the token that they stand in: who copied
// them would say more than he knows (RFC 7519, RFC 7800, RFC 8693, RFC 9068, OpenID Connect).
var notCloned = []string{
	"iss", "aud", "exp", "nbf", "iat", "jti",
	"cnf", "act", "may_act", "scope", "scp", "client_id", "azp", "nonce", "at_hash", "c_hash", "s_hash", "events", "sid", "typ", "token_use",
	"authorization_details", "_claim_names", "_claim_sources",
}

// Check reports what is wrong with a rule: as [NewExchanger] does, for rules that come from
// elsewhere. It does not ask [claims.Lint].
func (r *Rule) Check() error {
	switch {
	case r.Name == "":
		return errors.New("exchange: Rule.Name is required, for the log")
	case r.Issuer == "":
		return r.problem("Issuer is required")
	case r.Policy.IsZero() && !r.InsecureAnyone:
		return r.problem("Policy is required: without one, everybody whom the issuer knows would be let in")
	case r.Lifetime < 0:
		return r.problem("Lifetime must not be negative")
	case r.Audience != nil && (len(r.Audience) == 0 || slices.Contains(r.Audience, "")):
		return r.problem("Audience: leave it nil, or write names")
	case r.Subject != "" && slices.Contains(r.Clone, "sub"):
		return r.problem("Subject and a clone of sub exclude each other")
	case strings.ContainsFunc(r.Type, notInType) || len(r.Type) > maxType:
		return r.problem("Type is no media type (RFC 7515 section 4.1.9): write one like " + TypeAccessToken + ", or leave it empty")
	}
	return r.checkNames()
}

// Lint asks [claims.Lint] whether the rule lets in strangers, as [NewExchanger] does unless
// InsecureAnyone is set. A rule without a policy is judged as one that takes every token of the
// issuer. The error answers errors.As for a *[claims.LintError].
func (r *Rule) Lint() error {
	policy := r.Policy
	if policy.IsZero() {
		policy, _ = claims.NewPolicy(claims.Present(claims.P("iss"), true))
	}
	if err := claims.Lint(policy, r.Issuer).Err(); err != nil {
		return fmt.Errorf("exchange: Rule %q: Policy: %w", r.Name, err)
	}
	return nil
}

// checkNames: readers that ignore case must not find two of a member.
func (r *Rule) checkNames() error {
	fixed := slices.Collect(maps.Keys(r.Claims))
	for i, name := range r.Clone {
		switch {
		case name == "":
			return r.problem("Clone has an empty name")
		case containsFold(notCloned, name) || name != "sub" && isOwn(name):
			return r.problem(fmt.Sprintf("Clone: %q cannot be copied from another token: leave it out", name))
		case containsFold(r.Clone[:i], name):
			return r.problem(fmt.Sprintf("Clone has %q twice, in whatever case: leave one", name))
		case containsFold(fixed, name):
			return r.problem(fmt.Sprintf("Clone and Claims both have %q, in whatever case: leave one", name))
		}
	}
	if name, ok := notOnce(r.Claims); !ok {
		return r.problem(fmt.Sprintf("Claims: %q is written by Mint, or there twice, in whatever case: leave it out", name))
	}
	return nil
}

// maxType is in bytes.
const maxType = 256

// notInType: RFC 6838 section 4.2, and the slash.
func notInType(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("/+-.!#$&^_", c)
}

func (r *Rule) problem(text string) error { return fmt.Errorf("exchange: Rule %q: %s", r.Name, text) }
