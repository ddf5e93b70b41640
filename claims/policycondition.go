package claims

import (
	"strconv"
	"time"
)

// An Operator is how a condition judges. The values are the names of the members of a
// policy written as data.
type Operator string

// The operators. The functions of like names say what they do.
const (
	OpAll      Operator = "all"
	OpAny      Operator = "any"
	OpNot      Operator = "not"
	OpEquals   Operator = "equals"
	OpOneOf    Operator = "one_of"
	OpContains Operator = "contains"
	OpPrefix   Operator = "prefix"
	OpGlob     Operator = "glob"
	OpPresent  Operator = "present"
	OpMin      Operator = "min"
	OpMax      Operator = "max"
	OpAfter    Operator = "after"
	OpBefore   Operator = "before"
	OpMaxAge   Operator = "max_age"
)

// A Condition is a part of a [Policy]. What is wrong with one is an error of
// [NewPolicy]. The zero Condition is wrong. Conditions are values and may be shared.
type Condition struct {
	op      Operator
	path    Path
	literal []literal // equals, one_of
	text    string    // contains, prefix, glob: as it was written
	glob    glob
	flag    bool          // present
	number  int64         // min, max
	time    time.Time     // after, before
	age     time.Duration // max_age
	inner   []Condition   // all, any, not
}

// All holds if all of the conditions hold.
func All(conditions ...Condition) Condition {
	return Condition{op: OpAll, inner: append([]Condition(nil), conditions...)}
}

// Any holds if one of the conditions holds.
func Any(conditions ...Condition) Condition {
	return Condition{op: OpAny, inner: append([]Condition(nil), conditions...)}
}

// Not holds if the condition can be judged and does not hold. Not of an [Equals] does
// not hold if the claim is missing: who leaves a claim out has not said that it is
// another one.
func Not(condition Condition) Condition { return Condition{op: OpNot, inner: []Condition{condition}} }

// Equals holds if the claim is this string, boolean or whole number, of the same JSON
// type: neither "true" nor 1 equals true. Strings are compared byte by byte. A list
// equals nothing; see [Contains].
func Equals(p Path, value any) Condition {
	return Condition{op: OpEquals, path: p, literal: literals(value)}
}

// OneOf holds if the claim equals one of the values, as [Equals] compares.
func OneOf(p Path, values ...any) Condition {
	return Condition{op: OpOneOf, path: p, literal: literals(values...)}
}

// Contains holds if the claim is a list of strings that has this one, or the string
// itself, as providers write a list of one. It looks into no string: see
// [Set.Contains].
func Contains(p Path, text string) Condition { return Condition{op: OpContains, path: p, text: text} }

// Prefix holds if the claim is a string that begins with prefix and goes on behind it.
// A prefix ends with "/" or ":", so that "repo:org/" is not the beginning of
// "repo:org-evil/x".
func Prefix(p Path, prefix string) Condition { return Condition{op: OpPrefix, path: p, text: prefix} }

// Glob holds if the claim is a string that fits the pattern, whole. "*" stands for one
// or more characters other than "/", ":" and control characters; "\*" and "\\" are an
// asterisk and a backslash; everything else stands for itself.
func Glob(p Path, pattern string) Condition {
	return Condition{op: OpGlob, path: p, text: pattern, glob: compileGlob(pattern)}
}

// Present holds if the claim is there and not null, whatever it is, or with false if
// it is not. An empty string is there.
func Present(p Path, present bool) Condition {
	return Condition{op: OpPresent, path: p, flag: present}
}

// Min holds if the claim is a whole number of at least n. A string is no number.
func Min(p Path, n int64) Condition { return Condition{op: OpMin, path: p, number: n} }

// Max holds if the claim is a whole number of at most n.
func Max(p Path, n int64) Condition { return Condition{op: OpMax, path: p, number: n} }

// After holds if the claim is a NumericDate (RFC 7519 section 2) later than t.
func After(p Path, t time.Time) Condition { return Condition{op: OpAfter, path: p, time: t} }

// Before holds if the claim is a NumericDate earlier than t.
func Before(p Path, t time.Time) Condition { return Condition{op: OpBefore, path: p, time: t} }

// MaxAge holds if the claim is a NumericDate that lies at most age ago, and not more
// than a minute ahead. The clock is that of [Policy.WithNow].
func MaxAge(p Path, age time.Duration) Condition {
	return Condition{op: OpMaxAge, path: p, age: age}
}

// at is the place of the condition's operator, if the condition is at this one.
func (c *Condition) at(at string) string { return at + "." + string(c.op) }

// place is that of an inner condition.
func (c *Condition) place(at string, i int) string {
	if c.op == OpNot {
		return c.at(at)
	}
	return c.at(at) + "[" + strconv.Itoa(i) + "]"
}
