package ci

import (
	"errors"
	"fmt"
	"strings"

	"github.com/oidckit/oidckit/claims"
)

// A FieldError says which field of a preset is wrong, and what to write.
type FieldError struct {
	Preset  string // "GitHubActions"
	Field   string // "RepositoryID"
	Problem string
}

func (e *FieldError) Error() string { return e.Preset + "." + e.Field + ": " + e.Problem }

// A build collects the conditions of a preset, and the first thing that is wrong.
type build struct {
	preset     string
	conditions []claims.Condition
	err        error
}

func (b *build) fail(field, problem string) {
	if b.err == nil {
		b.err = &FieldError{b.preset, field, problem}
	}
}

func (b *build) policy() (claims.Policy, error) {
	if b.err != nil {
		return claims.Policy{}, b.err
	}
	return claims.NewPolicy(b.conditions...)
}

// check fails if a condition is none.
func (b *build) check(field string, c claims.Condition) {
	var e *claims.PolicySyntaxError
	if _, err := claims.NewPolicy(c); errors.As(err, &e) {
		b.fail(field, e.Problem)
	}
}

func (b *build) add(c claims.Condition) { b.conditions = append(b.conditions, c) }

func (b *build) equals(claim string, value any) { b.add(claims.Equals(claims.P(claim), value)) }

// equalsID adds an id that is written in the field, if one is.
func (b *build) equalsID(field, claim, id string, valid func(string) string) {
	if id == "" {
		return
	}
	if problem := valid(id); problem != "" {
		b.fail(field, problem)
	}
	b.equals(claim, id)
}

// number is what GitHub and GitLab have for ids.
func number(id string) string {
	if strings.Trim(id, "0123456789") != "" {
		return "must be the number that the service shows as the id, not a name"
	}
	return ""
}

func uuid(id string) string {
	var groups []string
	for group := range strings.SplitSeq(id, "-") {
		if strings.Trim(group, "0123456789abcdef") != "" {
			break
		}
		groups = append(groups, fmt.Sprint(len(group)))
	}
	if strings.Join(groups, " ") != "8 4 4 4 12" {
		return "must be the UUID that the service shows as the id, in small letters, not a slug"
	}
	return ""
}

// matches adds a text in which "*" is a glob, if there is one.
func (b *build) matches(field, claim, text string) {
	if text == "" {
		return
	}
	c := claims.Equals(claims.P(claim), text)
	if strings.Contains(text, "*") {
		c = claims.Glob(claims.P(claim), text)
	}
	if strings.Trim(text, "*") == "" {
		b.fail(field, `"*" is any value: leave the field out, or say which`)
	}
	b.check(field, c)
	b.add(c)
}

// matchesRef is matches for a full ref.
func (b *build) matchesRef(field, claim, ref string) {
	if ref != "" && !strings.HasPrefix(ref, "refs/") {
		b.fail(field, "must be a full ref, refs/heads/main or refs/tags/v*: a tag can be called like a branch")
	}
	b.matches(field, claim, ref)
}

func (b *build) oneOf(field, claim string, texts, standard []string) {
	if len(texts) == 0 {
		texts = standard
	}
	values := make([]any, len(texts))
	for i, text := range texts {
		if values[i] = text; text == "" {
			b.fail(field, "has an empty value")
		}
	}
	c := claims.OneOf(claims.P(claim), values...)
	b.check(field, c)
	b.add(c)
}

// ifPresent adds that a claim that newer versions of a service write has this value.
func (b *build) ifPresent(claim, value string) {
	p := claims.P(claim)
	b.add(claims.Any(claims.Present(p, false), claims.Equals(p, value)))
}
