package claims

import (
	"time"

	"github.com/oidckit/oidckit"
)

// A Policy decides whether the bearer of a good token may do something, by what the
// token says. It is made of a [Condition] in code, or read from configuration as JSON
// or YAML:
//
//	{"all": [
//	  {"claim": "repository_owner_id", "equals": "123456"},
//	  {"claim": "ref", "glob": "refs/tags/v*"},
//	  {"not": {"claim": "event_name", "one_of": ["pull_request_target", "workflow_run"]}}
//	]}
//
// A claim that is missing, null or of another JSON type satisfies no condition, and its
// negation neither. The zero Policy is satisfied by no token. A policy says nothing
// about the issuer: keep one per issuer, and see [Lint] for what it should ask of that
// issuer's tokens. Policies are values and may be shared.
type Policy struct {
	name string
	root *Condition
	now  func() time.Time
}

// NewPolicy makes a policy of conditions that must all hold. Errors are of type
// *[PolicySyntaxError], and name the place as if the conditions were written as data.
func NewPolicy(conditions ...Condition) (Policy, error) {
	root := All(conditions...)
	if len(conditions) == 1 {
		root = conditions[0]
	}
	if err := root.check(policyRoot, 0); err != nil {
		return Policy{}, err
	}
	return Policy{root: &root}, nil
}

// policyRoot is how places in a policy begin.
const policyRoot = "policy"

// Named returns the policy under a name, which errors and explanations show. It is the
// member "name" of the data.
func (p Policy) Named(name string) Policy {
	p.name = name
	return p
}

// Name returns the name, or an empty one.
func (p Policy) Name() string { return p.name }

// WithNow returns the policy with another clock than time.Now, for [MaxAge].
func (p Policy) WithNow(now func() time.Time) Policy {
	p.now = now
	return p
}

// IsZero reports whether p has no conditions, and so is satisfied by nothing.
func (p Policy) IsZero() bool { return p.root == nil }

// Check returns nil if the claims satisfy the policy, and a *[PolicyError] if not.
func (p Policy) Check(set Set) error {
	if p.root != nil && p.root.judge(&set, p.now).verdict == Holds {
		return nil
	}
	return p.refusal(&set)
}

// A PolicyError says which condition of a policy a token does not satisfy. It answers
// errors.Is for [oidckit.ErrForbidden]: the token is good, and does not permit this. It
// holds no value of a claim, but names parts of the policy: it is for the log, not for
// the client.
type PolicyError struct {
	Policy   string   // the name of the policy
	Place    string   // "policy.all[2].glob"
	Claim    string   // the path, as [Path.String] writes it; empty if no single claim decides
	Operator Operator // empty for the zero Policy
	Reason   Reason   // [Mismatch] if the claim could be judged; otherwise why not
}

func (e *PolicyError) Error() string {
	text := "claims: "
	if e.Policy != "" {
		text += e.Policy + ": "
	}
	text += e.Place + " does not hold"
	if e.Claim != "" {
		text += ": " + e.Claim + " is " + string(e.Reason)
	}
	return text
}

// Is reports whether target is [oidckit.ErrForbidden].
func (e *PolicyError) Is(target error) bool { return target == oidckit.ErrForbidden }

// refusal finds the condition that decided.
func (p Policy) refusal(set *Set) error {
	if p.root == nil {
		return &PolicyError{Policy: p.name, Place: policyRoot, Reason: Missing}
	}
	c, at := p.root, policyRoot
	for c.op == OpAll {
		i := c.firstFailing(set, p.now)
		at = c.place(at, i)
		c = &c.inner[i]
	}
	return &PolicyError{Policy: p.name, Place: c.at(at), Claim: c.path.String(), Operator: c.op, Reason: c.judge(set, p.now).reason}
}

// firstFailing is the condition of an "all" that has decided against it.
func (c *Condition) firstFailing(set *Set, now func() time.Time) int {
	for i := range c.inner {
		if c.inner[i].judge(set, now).verdict != Holds {
			return i
		}
	}
	return 0 // a clock ran on since: whatever, the answer was no
}

// Policies are alternatives: a token needs to satisfy one of them.
type Policies []Policy

// Match returns the first policy that the claims satisfy. If none is satisfied the
// error is the one of the policy that is alone, or a *[PolicyError] without a claim.
func (ps Policies) Match(set Set) (Policy, error) {
	var err error
	for _, p := range ps {
		if err = p.Check(set); err == nil {
			return p, nil
		}
	}
	if len(ps) == 1 {
		return Policy{}, err
	}
	return Policy{}, &PolicyError{Place: "policies", Operator: OpAny, Reason: Mismatch}
}
