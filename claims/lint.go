package claims

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// A Severity is how much a [Finding] matters.
type Severity string

// The severities.
const (
	Danger  Severity = "danger"  // strangers can satisfy the policy: do not use it
	Warning Severity = "warning" // the policy is wider, or less lasting, than it looks
)

// A LintRule is what a [Finding] is about.
type LintRule string

// The rules of [Lint].
const (
	NoConditions  LintRule = "no conditions"       // the zero Policy
	NoIdentity    LintRule = "no identity"         // every customer of the issuer, or everybody's fork, satisfies it
	NameIdentity  LintRule = "identity by name"    // names can be given up, and taken by others
	OnlyNegative  LintRule = "only negative"       // says only what must not be
	AnyValue      LintRule = "any value"           // a glob that is only "*"
	OpenName      LintRule = "open name"           // a "*" for a part of a name of an owner or repository
	WholeOwner    LintRule = "whole owner"         // all repositories of an owner known by name
	TrailingStar  LintRule = "trailing star"       // a glob that ends with "*"
	WidePrefix    LintRule = "wide prefix"         // a prefix of one segment or less
	OldSubject    LintRule = "old subject"         // GitHub's sub without ids
	SubjectParsed LintRule = "subject taken apart" // a pattern on a sub that others can shape
	NeverHolds    LintRule = "never holds"         // the issuer writes that claim otherwise
	AnyRef        LintRule = "any ref"             // any branch, and pull requests
	AnyEvent      LintRule = "any event"           // also events that run for strangers on a branch of one's own
	NotASCII      LintRule = "not ASCII"           // may look like something else
	AudienceOnly  LintRule = "audience"            // the job chooses its audience
)

// A Finding is what is doubtful about a policy.
type Finding struct {
	Rule     LintRule
	Severity Severity
	Place    string // "policy.all[2].glob"
	Claim    string // the path, as [Path.String] writes it; empty if it is about the whole policy
	Problem  string
	Instead  string // what to write
}

// String is the finding as one line.
func (f Finding) String() string {
	return fmt.Sprintf("%s: %s: %s; %s", f.Severity, f.Place, f.Problem, f.Instead)
}

// Findings are the results of [Lint].
type Findings []Finding

// Err returns an error that joins the findings of severity [Danger], each a
// *[LintError], and nil if there are none: for the place where a program reads its
// policies.
func (fs Findings) Err() error {
	var errs []error
	for _, f := range fs {
		if f.Severity == Danger {
			errs = append(errs, &LintError{f})
		}
	}
	return errors.Join(errs...)
}

// A LintError is a [Finding] as an error.
type LintError struct{ Finding }

func (e *LintError) Error() string { return e.Place + ": " + e.Problem + "; " + e.Instead }

// Lint finds what is doubtful about a policy for the tokens of an issuer (its iss). The
// issuers of GitHub Actions, GitLab.com, CircleCI, Buildkite and HCP Terraform are known:
// they sign the tokens of all customers, or of all projects of one, with the same keys.
// For other issuers only the rules about patterns apply. Findings come in the order of
// the policy, those about the whole of it first.
func Lint(p Policy, issuer string) Findings {
	if p.IsZero() {
		return Findings{{NoConditions, Danger, policyRoot, "", "the policy has no conditions", "write at least one"}}
	}
	l := linter{issuer: issuerOf(issuer), root: p.root}
	l.identity()
	l.polarity()
	l.refs()
	l.events()
	l.walk(p.root, policyRoot, true)
	return l.findings
}

type linter struct {
	issuer   ciIssuer
	root     *Condition
	findings Findings
}

func (l *linter) add(rule LintRule, severity Severity, problem, instead string) {
	l.findings = append(l.findings, Finding{rule, severity, policyRoot, "", problem, instead})
}

// demands reports whether nobody satisfies c without satisfying a condition for which
// is says yes. A "not" is asked about as a whole.
func (c *Condition) demands(is func(*Condition) bool) bool {
	demanded := func(inner Condition) bool { return inner.demands(is) }
	switch c.op {
	case OpAll:
		return slices.ContainsFunc(c.inner, demanded)
	case OpAny:
		return !slices.ContainsFunc(c.inner, func(inner Condition) bool { return !demanded(inner) })
	}
	return is(c)
}

// identity: T01 and T04 of the attack sheet.
func (l *linter) identity() {
	i := &l.issuer
	switch {
	case i.name == "" || l.root.demands(i.byID):
	case l.root.demands(i.byName):
		l.add(NameIdentity, Warning, "the policy knows its owner by a name, which can be given up and taken by somebody else", "add "+i.advice)
	case i.shared:
		l.add(NoIdentity, Danger, "every customer of "+i.name+" satisfies the policy: nothing in it says whose tokens are meant", "add "+i.advice)
	default:
		l.add(NoIdentity, Warning, "every project of the organization satisfies the policy", "add "+i.advice)
	}
}

func (l *linter) polarity() {
	positive := func(c *Condition) bool { return c.op != OpNot && (c.op != OpPresent || c.flag) }
	if !l.root.demands(positive) {
		l.add(OnlyNegative, Danger, "the policy can be satisfied by what a token does not say", "say what it must say")
	}
}

// refs: T05.
func (l *linter) refs() {
	i := &l.issuer
	if len(i.refs) == 0 {
		return
	}
	narrows := func(c *Condition) bool {
		return slices.Contains(i.refs, c.path.single()) && c.op != OpPresent && !i.ofPullRequest(c)
	}
	on := func(names ...string) bool {
		return l.root.demands(func(c *Condition) bool { return slices.Contains(names, c.path.single()) })
	}
	switch {
	case i.name == gitLab && on("ref") && !on("ref_path", "ref_type", "ref_protected"):
		l.add(AnyRef, Warning, "a tag can have the name of the branch", "compare ref_path, which is refs/heads/… or refs/tags/…")
	case !l.root.demands(narrows):
		l.add(AnyRef, Warning, "any branch satisfies the policy, and the code of pull requests may", "add a condition on "+i.refAdvice)
	}
}

// strangersEvents run with the ref of a branch of one's own, whoever causes them.
var strangersEvents = []string{"pull_request_target", "workflow_run", "issue_comment"}

// events: T05. pull_request_target runs with the ref of the branch that the pull request
// is for; an environment has rules of its own. Who names an event is taken to mean it.
func (l *linter) events() {
	admits := func(event string) bool {
		return !l.root.demands(func(c *Condition) bool {
			return c.inEnvironment() || c.namesEvents() || c.op == OpNot && c.inner[0].takes(event)
		})
	}
	if l.issuer.name == gitHub && slices.ContainsFunc(strangersEvents, admits) {
		l.add(AnyEvent, Warning, "events that can run for strangers, on the protected branch, satisfy the policy: pull_request_target, workflow_run or issue_comment",
			"name the events that are meant, with one_of on event_name, or the environment")
	}
}

func (c *Condition) inEnvironment() bool {
	return c.op != OpPresent && (c.path.single() == "environment" || c.path.single() == "sub" && c.writes(":environment:"))
}

func (c *Condition) namesEvents() bool {
	return c.path.single() == "event_name" && (c.op == OpEquals || c.op == OpOneOf)
}

// takes reports whether every token of this event satisfies c.
func (c *Condition) takes(event string) bool {
	if c.op == OpAny {
		return slices.ContainsFunc(c.inner, func(inner Condition) bool { return inner.takes(event) })
	}
	return c.namesEvents() && slices.Contains(c.writings(), event)
}

// walk looks at the conditions one by one. A pattern under a "not" is no danger by
// being wide.
func (l *linter) walk(c *Condition, at string, positive bool) {
	for i := range c.inner {
		l.walk(&c.inner[i], c.place(at, i), positive == (c.op != OpNot))
	}
	if c.inner != nil {
		return
	}
	for _, rule := range lintRules {
		if f := rule(&l.issuer, c); f.Rule != "" && (positive || f.Severity == Warning) {
			f.Place, f.Claim = c.at(at), c.path.String()
			l.findings = append(l.findings, f)
		}
	}
	if l.ownerByName(c) && positive {
		l.findings = append(l.findings, Finding{
			WholeOwner, Danger, c.at(at), c.path.String(),
			"all repositories of the owner match, also of whoever has that name next", "add " + l.issuer.advice,
		})
	}
}

// ownerByName: "repo:org/*" without the id of the owner (T02, T04).
func (l *linter) ownerByName(c *Condition) bool {
	i := &l.issuer
	if i.name == "" || !slices.Contains(i.patterned, c.path.single()) || l.root.demands(i.byID) {
		return false
	}
	head := c.head()
	return (c.op == OpPrefix || c.op == OpGlob) && ends(lastRune(head)) && segments(head) == i.ownerDepth(c.path)
}

func lastRune(text string) rune {
	r, _ := utf8.DecodeLastRuneInString(text)
	return r
}

// head is what a text must begin with to satisfy a prefix or a glob.
func (c *Condition) head() string {
	if c.op == OpGlob {
		return c.glob.parts[0]
	}
	return c.text
}

// single is the name of a path of one segment.
func (p Path) single() string {
	if len(p.segments) != 1 {
		return ""
	}
	return p.segments[0]
}
