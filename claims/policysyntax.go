package claims

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A PolicySyntaxError says where a policy is wrong, and what to write. A policy is
// configuration, so the error may show parts of it.
type PolicySyntaxError struct {
	Place   string // "policy.all[2].glob"
	Problem string
}

func (e *PolicySyntaxError) Error() string { return e.Place + ": " + e.Problem }

// A policy is read by people, and judged at every request.
const (
	maxPolicyDepth      = 6    // what strictjson reads has twice that, and lists of values
	maxPolicyText       = 1024 // bytes
	maxPolicyConditions = 1000 // side by side
)

// check finds what is wrong with a condition. at is its place.
func (c *Condition) check(at string, depth int) error {
	if c.op == "" {
		return &PolicySyntaxError{at, "is empty, and would let nobody in or everybody: write at least one condition"}
	}
	if problem := c.problem(); problem != "" {
		return &PolicySyntaxError{c.at(at), problem}
	}
	if depth >= maxPolicyDepth {
		return &PolicySyntaxError{at, "is nested too deeply"}
	}
	for i := range c.inner {
		if err := c.inner[i].check(c.place(at, i), depth+1); err != nil {
			return err
		}
	}
	return nil
}

// problem is what is wrong with the condition itself.
func (c *Condition) problem() string {
	switch c.op {
	case OpAll, OpAny:
		return sizeProblem(len(c.inner), "condition")
	case OpNot:
		return ""
	}
	if c.path.IsZero() {
		return `names no claim: say which, with the member "claim"`
	}
	if problem := writingProblem(c.path.String()); problem != "" {
		return "the name of the claim " + problem
	}
	switch c.op {
	case OpEquals, OpOneOf:
		return c.literalProblem()
	case OpContains, OpPrefix, OpGlob:
		return c.textProblem()
	case OpAfter, OpBefore:
		if seconds := c.time.Unix(); seconds < 0 || seconds > maxDate {
			return "is no date from 1970 to 9999: write one as 2026-01-31T12:00:00Z"
		}
	case OpMaxAge:
		if c.age <= 0 {
			return `must be more than nothing: write a duration as "15m"`
		}
	}
	return ""
}

func sizeProblem(n int, what string) string {
	switch {
	case n == 0:
		return "is empty: write at least one " + what
	case n > maxPolicyConditions:
		return "is too long"
	}
	return ""
}

func (c *Condition) literalProblem() string {
	if problem := sizeProblem(len(c.literal), "value"); problem != "" {
		return problem
	}
	seen := map[literal]bool{}
	for _, l := range c.literal {
		switch {
		case l.kind == 0:
			return "must be a string, a boolean or a whole number of 64 bits; for null, write present: false"
		case seen[l]:
			return "has a value twice"
		}
		if problem := writingProblem(l.text); problem != "" {
			return problem
		}
		seen[l] = true
	}
	return ""
}

func (c *Condition) textProblem() string {
	switch {
	case c.text == "":
		return "is empty: write the text to look for"
	case c.op == OpPrefix && !strings.HasSuffix(c.text, "/") && !strings.HasSuffix(c.text, ":"):
		return `must end with a separator, "/" or ":": "repo:org" is also the beginning of "repo:org-evil"`
	case c.op == OpGlob && c.glob.problem != "":
		return c.glob.problem
	case c.op == OpGlob && len(c.glob.parts) < 2:
		return `has no "*": write equals`
	}
	return writingProblem(c.text)
}

// writingProblem keeps out what no editor shows.
func writingProblem(text string) string {
	switch {
	case len(text) > maxPolicyText:
		return "is too long"
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return "has a control character, or is no UTF-8"
	}
	return ""
}

// readTime reads what people write, and what YAML libraries make of it.
func readTime(v any) (time.Time, bool) {
	switch v := v.(type) {
	case time.Time:
		return v, true
	case string:
		t, err := time.Parse(time.RFC3339, v)
		return t, err == nil
	}
	return time.Time{}, false
}
