package claims

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/oidckit/oidckit/internal/strictjson"
)

// An Explanation is how a policy judged claims, condition by condition, for the log. It
// holds no value of a claim, unless [InsecureShowValues] was asked for, but the whole
// policy: it is not for the client.
type Explanation struct {
	Policy  string  `json:"policy,omitempty"` // its name
	Verdict Verdict `json:"verdict"`
	Checks  []Check `json:"checks"` // in the order of the policy, the outer one before its inner ones
}

// A Check is one condition of an [Explanation].
type Check struct {
	Place    string   `json:"place"` // "policy.all[2].glob"
	Operator Operator `json:"operator"`
	Claim    string   `json:"claim,omitempty"` // the path, as [Path.String] writes it
	Want     string   `json:"want,omitempty"`  // what the policy asks for, as JSON
	Found    string   `json:"found,omitempty"` // "string of 12", "array of 3", "boolean", "missing"
	Verdict  Verdict  `json:"verdict"`
	Reason   Reason   `json:"reason,omitempty"` // of all but [Holds]
}

// An ExplainOption changes what an [Explanation] shows.
type ExplainOption struct{ showValues bool }

// InsecureShowValues puts the JSON of claims into the explanation, up to 200 bytes of
// each. Claims are personal data, and what is logged is read by many.
func InsecureShowValues() ExplainOption { return ExplainOption{showValues: true} }

// Explain judges as [Policy.Check] does, and tells all conditions, also those that no
// longer mattered.
func (p Policy) Explain(set Set, opts ...ExplainOption) Explanation {
	e := explainer{set: &set, now: p.frozen()}
	for _, o := range opts {
		e.showValues = e.showValues || o.showValues
	}
	result := Explanation{Policy: p.name, Verdict: Fails}
	if p.root != nil {
		e.explain(p.root, policyRoot)
		result.Verdict, result.Checks = e.checks[0].Verdict, e.checks
	}
	return result
}

// frozen is a clock that stands, so that all conditions are judged at one time.
func (p Policy) frozen() func() time.Time {
	now := time.Now()
	if p.now != nil {
		now = p.now()
	}
	return func() time.Time { return now }
}

type explainer struct {
	set        *Set
	now        func() time.Time
	showValues bool
	checks     []Check
}

func (e *explainer) explain(c *Condition, at string) {
	o := c.judge(e.set, e.now)
	check := Check{Place: c.at(at), Operator: c.op, Verdict: o.verdict, Reason: o.reason}
	if c.inner == nil {
		want, _ := json.Marshal(c.operand())
		check.Claim, check.Want, check.Found = c.path.String(), string(want), e.found(c.path)
	}
	e.checks = append(e.checks, check)
	for i := range c.inner {
		e.explain(&c.inner[i], c.place(at, i))
	}
}

// maxShown is how much of a value is shown, in bytes.
const maxShown = 200

func (e *explainer) found(p Path) string {
	value, ok := e.set.find(p)
	switch {
	case !ok:
		return "missing"
	case e.showValues && len(value) > maxShown:
		return strings.ToValidUTF8(value[:maxShown], "") + "…"
	case e.showValues:
		return value
	}
	return outline(value)
}

// outline is the type of a value, and its size where it has one.
func outline(value string) string {
	size := 0
	switch name := typeName(value); name {
	case "string":
		text, _ := strictjson.String(value)
		return fmt.Sprintf("string of %d", utf8.RuneCountInString(text))
	case "array", "object":
		for range children(value) {
			size++
		}
		return fmt.Sprintf("%s of %d", name, size)
	default:
		return name
	}
}

// String has a line for each check.
func (e Explanation) String() string {
	var b strings.Builder
	b.WriteString("policy ")
	if e.Policy != "" {
		fmt.Fprintf(&b, "%q ", e.Policy)
	}
	b.WriteString(string(e.Verdict))
	for _, c := range e.Checks {
		fmt.Fprintf(&b, "\n%-7s %s", c.Verdict, c.Place)
		if c.Claim != "" {
			fmt.Fprintf(&b, ": %s is %s, want %s", c.Claim, c.Found, c.Want)
		}
	}
	return b.String()
}

// LogValue is a group with a member for each check on a claim.
func (e Explanation) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("policy", e.Policy), slog.String("verdict", string(e.Verdict))}
	for _, c := range e.Checks {
		if c.Claim != "" {
			attrs = append(attrs, slog.String(c.Place, fmt.Sprintf("%s: %s is %s, want %s", c.Verdict, c.Claim, c.Found, c.Want)))
		}
	}
	return slog.GroupValue(attrs...)
}

// InsecureDryRun is a policy on trial: it reports how it would judge, and refuses
// nobody. Put it beside the policy that decides, not in its place. Without Report, and
// with the zero Policy, it refuses everybody: nobody would learn anything from it.
type InsecureDryRun struct {
	Policy Policy
	Report func(Explanation)
}

// Check reports, and returns nil.
func (d InsecureDryRun) Check(set Set) error {
	if d.Report == nil || d.Policy.IsZero() {
		return &PolicyError{Policy: d.Policy.name, Place: "dry run", Reason: Missing}
	}
	d.Report(d.Policy.Explain(set))
	return nil
}
