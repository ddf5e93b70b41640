package claims

import (
	"errors"
	"strings"
	"time"
)

// A Verdict is what a condition says about claims. Only [Holds] lets anybody in.
type Verdict string

// The verdicts.
const (
	Holds   Verdict = "holds"
	Fails   Verdict = "fails"
	Unknown Verdict = "unknown" // the claim is missing, null, of another type, or left out by the provider
)

// LeftOut is why no condition can be judged on a claim that the provider did not write
// into the token, or not whole: see [OverageError].
const LeftOut Reason = "left out by the provider"

// An outcome is a verdict, with the reason of all but Holds.
type outcome struct {
	verdict Verdict
	reason  Reason
}

func unknown(reason Reason) outcome { return outcome{Unknown, reason} }

func holdsIf(yes bool) outcome {
	if yes {
		return outcome{verdict: Holds}
	}
	return outcome{Fails, Mismatch}
}

// unreadable is the outcome of a claim that could not be read.
func unreadable(err error) outcome {
	var e *Error
	if errors.As(err, &e) {
		return unknown(e.Reason)
	}
	return unknown(LeftOut)
}

// judge has three answers, so that "not" does not make a yes of a claim that nobody
// could read: all is the least of its conditions, any the greatest, and not turns
// around, with Fails < Unknown < Holds.
func (c *Condition) judge(set *Set, now func() time.Time) outcome {
	switch c.op {
	case OpAll:
		return c.join(set, now, outcome{verdict: Holds}, Fails)
	case OpAny:
		return c.join(set, now, outcome{Fails, Mismatch}, Holds)
	case OpNot:
		return c.inner[0].judge(set, now).turned()
	}
	return c.test(set, now)
}

// join begins with the answer for no conditions, and stops at the one that decides.
func (c *Condition) join(set *Set, now func() time.Time, result outcome, decides Verdict) outcome {
	for i := range c.inner {
		switch o := c.inner[i].judge(set, now); o.verdict {
		case decides:
			return o
		case Unknown:
			result = o
		}
	}
	return result
}

func (o outcome) turned() outcome {
	if o.verdict == Unknown {
		return o
	}
	return holdsIf(o.verdict == Fails)
}

// test judges a condition on one claim. What stands in for a claim that is elsewhere is
// not the claim: no operator may say that it differs, for "not" would let that in.
func (c *Condition) test(set *Set, now func() time.Time) outcome {
	if err := set.leftOut(c.path); err != nil {
		return unreadable(err)
	}
	switch c.op {
	case OpEquals, OpOneOf:
		return c.compare(set)
	case OpContains:
		has, err := set.Contains(c.path, c.text)
		return judged(has, err)
	case OpPrefix, OpGlob:
		text, err := set.String(c.path)
		return judged(err == nil && c.fits(text), err)
	case OpMin, OpMax:
		n, err := set.Int64(c.path)
		return judged(n == c.number || (n > c.number) == (c.op == OpMin), err)
	case OpAfter, OpBefore, OpMaxAge:
		t, err := set.Time(c.path)
		return judged(err == nil && c.timely(t, now), err)
	case OpPresent:
		return holdsIf(set.Has(c.path) == c.flag)
	}
	return unknown(Malformed) // no such operator: check lets none through
}

func judged(yes bool, err error) outcome {
	if err != nil {
		return unreadable(err)
	}
	return holdsIf(yes)
}

// compare tells "another value" from "of another type": with both kinds in the list,
// the claim was judged if one of them has its type.
func (c *Condition) compare(set *Set) outcome {
	value, err := set.lookup(c.path)
	if err != nil {
		return unreadable(err)
	}
	result := unknown(WrongType)
	for i := range c.literal {
		switch o := c.literal[i].compare(value); {
		case o.verdict == Holds:
			return o
		case o.verdict == Fails, result.verdict == Unknown:
			result = o
		}
	}
	return result
}

func (c *Condition) fits(text string) bool {
	if c.op == OpGlob {
		return c.glob.match(text)
	}
	return len(text) > len(c.text) && strings.HasPrefix(text, c.text)
}

// ahead is how far the clock of an issuer may be in front of ours.
const ahead = time.Minute

func (c *Condition) timely(t time.Time, now func() time.Time) bool {
	switch c.op {
	case OpAfter:
		return t.After(c.time)
	case OpBefore:
		return t.Before(c.time)
	}
	if now == nil {
		now = time.Now
	}
	age := now().Sub(t)
	return age >= -ahead && age <= c.age
}
