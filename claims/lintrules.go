package claims

import (
	"slices"
	"strings"
)

// lintRules look at one condition on a claim. A Finding without a rule is none; the
// place is filled in.
var lintRules = []func(*ciIssuer, *Condition) Finding{
	lintStar, lintOpenName, lintTrailingStar, lintPrefix, lintSubjectForm, lintSubjectPattern, lintTypes, lintShortRef, lintASCII, lintAudience,
}

func lintStar(_ *ciIssuer, c *Condition) Finding {
	if c.op == OpGlob && strings.Trim(c.text, "*") == "" {
		return Finding{
			Rule: AnyValue, Severity: Danger, Problem: `"*" is any value`,
			Instead: "name the values that are meant, or write present: true if any will do",
		}
	}
	return Finding{}
}

// lintOpenName: "repo:org*/x" is also "repo:org-evil/x" (T02).
func lintOpenName(i *ciIssuer, c *Condition) Finding {
	if c.op != OpGlob || !slices.Contains(i.patterned, c.path.single()) {
		return Finding{}
	}
	if segments(c.head()) < i.ownerDepth(c.path) {
		return Finding{
			Rule: OpenName, Severity: Danger, Problem: `the "*" stands in the name of the owner: whoever registers a name that fits is let in`,
			Instead: "write the name out, and add " + i.advice,
		}
	}
	return Finding{}
}

func lintTrailingStar(_ *ciIssuer, c *Condition) Finding {
	if c.op != OpGlob || !strings.HasSuffix(c.text, "*") || c.text == "*" || c.glob.parts[len(c.glob.parts)-1] != "" {
		return Finding{}
	}
	return Finding{
		Rule: TrailingStar, Severity: Warning, Problem: "everything that begins like this matches, up to the next separator",
		Instead: "name the values that are meant with one_of, or end the pattern with something",
	}
}

func lintPrefix(i *ciIssuer, c *Condition) Finding {
	if c.op != OpPrefix {
		return Finding{}
	}
	f := Finding{Rule: WidePrefix, Severity: Warning, Problem: "the prefix is only one segment", Instead: "add the next segments, up to what is yours"}
	switch named := slices.Contains(i.patterned, c.path.single()); {
	case named && segments(c.text) < i.ownerDepth(c.path):
		f.Severity, f.Problem = Danger, "the prefix ends before the name of the owner does"
	case named || segments(c.text) > 1:
		return Finding{}
	}
	return f
}

// lintSubjectForm: T04.
func lintSubjectForm(i *ciIssuer, c *Condition) Finding {
	if i.name != gitHub || c.path.single() != "sub" {
		return Finding{}
	}
	for _, text := range c.writings() {
		if s := parseGitHubSubject(text); s.owner != "" && !isNumber(s.ownerID) {
			return Finding{
				Rule: OldSubject, Severity: Warning,
				Problem: "this form of sub has no ids: repositories made, renamed or moved since 15 July 2026 have repo:OWNER@ID/NAME@ID:…, and do not match",
				Instead: "compare repository_id, ref and environment instead, or add the form with ids",
			}
		}
	}
	return Finding{}
}

// lintSubjectPattern: T08. A branch or an environment may be called like the end of
// another sub, and projects can choose what their sub is made of.
func lintSubjectPattern(i *ciIssuer, c *Condition) Finding {
	if i.name == "" || c.path.single() != "sub" || c.op != OpGlob && c.op != OpPrefix {
		return Finding{}
	}
	return Finding{
		Rule: SubjectParsed, Severity: Warning, Problem: "what sub is made of can be configured, and its parts hold names that others choose",
		Instead: "compare the single claims: " + i.advice + ", and " + i.refAdvice,
	}
}

// lintTypes: T07. CI issuers write ids and booleans as strings.
func lintTypes(i *ciIssuer, c *Condition) Finding {
	if !slices.Contains(i.strings, c.path.single()) {
		return Finding{}
	}
	isText := func(l literal) bool { return l.kind == '"' }
	if c.op != OpMin && c.op != OpMax && (len(c.literal) == 0 || slices.ContainsFunc(c.literal, isText)) {
		return Finding{}
	}
	return Finding{
		Rule: NeverHolds, Severity: Warning, Problem: i.name + " writes this claim as a string",
		Instead: `put the value into quotes: "123456", "true"`,
	}
}

// lintShortRef: "main" is a branch to GitLab, or a tag, and nothing to GitHub (T05).
func lintShortRef(i *ciIssuer, c *Condition) Finding {
	if !slices.Contains(i.fullRefs, c.path.single()) {
		return Finding{}
	}
	for _, text := range c.writings() {
		if !strings.HasPrefix(text, "refs/") {
			return Finding{
				Rule: NeverHolds, Severity: Warning, Problem: "this claim is a full ref: refs/heads/… or refs/tags/…",
				Instead: "write refs/heads/" + text,
			}
		}
	}
	return Finding{}
}

// lintASCII: T25.
func lintASCII(_ *ciIssuer, c *Condition) Finding {
	for _, text := range append(c.writings(), c.path.segments...) {
		if strings.ContainsFunc(text, func(r rune) bool { return r > '~' }) {
			return Finding{
				Rule: NotASCII, Severity: Warning, Problem: "there is a character other than ASCII, which may look like another one",
				Instead: "compare an id, or make sure that this is what the issuer writes",
			}
		}
	}
	return Finding{}
}

// lintAudience: T09.
func lintAudience(i *ciIssuer, c *Condition) Finding {
	if i.name == "" || c.path.single() != "aud" {
		return Finding{}
	}
	return Finding{
		Rule: AudienceOnly, Severity: Warning, Problem: "the job chooses its audience: it says for whom a token is, not whose it is",
		Instead: "give the verifier an audience of your own, and let the policy compare " + i.advice,
	}
}

// writings are the texts that a condition compares with.
func (c *Condition) writings() []string {
	if c.text != "" {
		return []string{c.text}
	}
	var texts []string
	for _, l := range c.literal {
		if l.kind == '"' {
			texts = append(texts, l.text)
		}
	}
	return texts
}

// writes reports whether all texts that a condition compares with have this part.
func (c *Condition) writes(part string) bool {
	texts := c.writings()
	lacks := func(text string) bool { return !strings.Contains(text, part) }
	return len(texts) > 0 && !slices.ContainsFunc(texts, lacks)
}

// segments counts the segments of a text that are whole: those that a separator ends.
func segments(text string) int { return strings.Count(text, "/") + strings.Count(text, ":") }
