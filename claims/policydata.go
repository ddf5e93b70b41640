package claims

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// PolicyOf reads a policy from what JSON and YAML libraries produce for it: maps, lists
// and scalars. A condition is an object of one of these forms, and of no other members:
//
//	{"all": [...]} {"any": [...]} {"not": {...}}
//	{"claim": "a.path", "equals": "x"}        a string, boolean or whole number
//	{"claim": "a.path", "one_of": ["x", 2]}
//	{"claim": "a.path", "contains": "x"}      a list has it
//	{"claim": "a.path", "prefix": "org/"}     ends with a separator
//	{"claim": "a.path", "glob": "v*"}         "*" crosses neither "/" nor ":"
//	{"claim": "a.path", "present": true}
//	{"claim": "a.path", "min": 1}             and "max"
//	{"claim": "a.path", "after": "2026-01-31T12:00:00Z"}  and "before"
//	{"claim": "a.path", "max_age": "15m"}
//	{"claims": {"a name": "x", "another": ["y", "z*"]}}
//
// The functions of like names say what they mean; a "claim" is the text of a [Path]. The
// last form is short for all of them: members of the token by their whole names, dots
// included, each with a value or a list of alternatives, in which a string with a "*"
// is a glob. The outermost object may have a "name" besides.
//
// Errors are of type *[PolicySyntaxError]. A key that is there twice is found by
// [ParsePolicy], and by the better YAML libraries.
func PolicyOf(v any) (Policy, error) {
	m, err := object(v, policyRoot)
	if err != nil {
		return Policy{}, err
	}
	name, err := takeName(m)
	if err != nil {
		return Policy{}, err
	}
	root, err := readCondition(m, policyRoot, 0)
	if err != nil {
		return Policy{}, err
	}
	p, err := NewPolicy(root)
	return p.Named(name), err
}

func takeName(m map[string]any) (string, error) {
	v, ok := m["name"]
	name, isText := v.(string)
	if ok && (!isText || name == "") {
		return "", &PolicySyntaxError{policyRoot + ".name", "must be a string, and not empty"}
	}
	delete(m, "name")
	return name, nil
}

// RequiredClaims is the short form of a policy by itself: the claims that a token must
// have, each with its value, or a list of alternatives, in which a string with a "*" is
// a glob. Names are those of members of the token, dots included. Places in errors
// begin with "claims".
func RequiredClaims(required map[string]any) (Policy, error) {
	c, err := readShort(required, "claims")
	if err != nil {
		return Policy{}, err
	}
	return NewPolicy(c)
}

// object returns a copy of an object.
func object(v any, at string) (map[string]any, error) {
	switch v := v.(type) {
	case map[string]any:
		return maps.Clone(v), nil
	case map[any]any: // of older YAML libraries
		m := make(map[string]any, len(v))
		for key, value := range v {
			name, ok := key.(string)
			if !ok {
				return nil, &PolicySyntaxError{at, fmt.Sprintf("has a key that is no string: %v", key)}
			}
			m[name] = value
		}
		return m, nil
	}
	return nil, &PolicySyntaxError{at, "must be an object"}
}

func readCondition(v any, at string, depth int) (Condition, error) {
	if depth > maxPolicyDepth {
		return Condition{}, &PolicySyntaxError{at, "is nested too deeply"}
	}
	m, err := object(v, at)
	if err != nil {
		return Condition{}, err
	}
	path, isLeaf := m["claim"]
	delete(m, "claim")
	key, err := onlyKey(m, at, isLeaf)
	if err != nil {
		return Condition{}, err
	}
	if isLeaf {
		return readLeaf(path, Operator(key), m[key], at)
	}
	return readBranch(key, m[key], at, depth)
}

var (
	branchKeys = []string{"all", "any", "not", "claim", "claims"}
	leafKeys   = []string{"equals", "one_of", "contains", "prefix", "glob", "present", "min", "max", "after", "before", "max_age"}
)

// onlyKey returns the key that says what a condition is.
func onlyKey(m map[string]any, at string, isLeaf bool) (string, error) {
	known := branchKeys
	if isLeaf {
		known = leafKeys
	}
	keys := slices.Sorted(maps.Keys(m))
	for _, key := range keys {
		if !slices.Contains(known, key) {
			return "", &PolicySyntaxError{below(at, key), "is unknown here: write one of " + strings.Join(known, ", ")}
		}
	}
	switch {
	case len(keys) == 0:
		return "", &PolicySyntaxError{at, "is empty: write one of " + strings.Join(known, ", ")}
	case len(keys) > 1:
		return "", &PolicySyntaxError{below(at, keys[1]), "stands beside " + keys[0] + ": write two conditions"}
	}
	return keys[0], nil
}

var plainKey = regexp.MustCompile(`\A[A-Za-z_][A-Za-z0-9_]*\z`)

// below is the place of a member.
func below(at, key string) string {
	if plainKey.MatchString(key) {
		return at + "." + key
	}
	return at + "[" + strconv.Quote(key) + "]"
}

func readBranch(key string, v any, at string, depth int) (Condition, error) {
	switch key {
	case "not":
		inner, err := readCondition(v, at+".not", depth+1)
		return Not(inner), err
	case "claims":
		m, err := object(v, at+".claims")
		if err != nil {
			return Condition{}, err
		}
		return readShort(m, at+".claims")
	}
	list, err := readList(v, below(at, key))
	if err != nil {
		return Condition{}, err
	}
	c := Condition{op: Operator(key), inner: make([]Condition, len(list))}
	for i, v := range list {
		if c.inner[i], err = readCondition(v, c.place(at, i), depth+1); err != nil {
			return Condition{}, err
		}
	}
	return c, c.check(at, depth)
}

func readList(v any, at string) ([]any, error) {
	switch v := v.(type) {
	case []any:
		return v, nil
	case []string:
		list := make([]any, len(v))
		for i := range v {
			list[i] = v[i]
		}
		return list, nil
	}
	return nil, &PolicySyntaxError{at, "must be a list"}
}

func readLeaf(claim any, op Operator, v any, at string) (Condition, error) {
	text, ok := claim.(string)
	if !ok {
		return Condition{}, &PolicySyntaxError{at + ".claim", `must be a string, such as "realm_access.roles"`}
	}
	path, err := ParsePath(text)
	if err != nil {
		return Condition{}, &PolicySyntaxError{at + ".claim", err.Error()}
	}
	c, problem := leaf(path, op, v)
	if problem != "" {
		return Condition{}, &PolicySyntaxError{c.at(at), problem}
	}
	return c, c.check(at, 0)
}

// leaf reads the operand of an operator.
func leaf(path Path, op Operator, v any) (c Condition, problem string) {
	c = Condition{op: op, path: path}
	var ok bool
	switch op {
	case OpEquals:
		c.literal, ok = literals(v), true
	case OpOneOf:
		list, err := readList(v, "")
		c.literal, ok = literals(list...), err == nil
	case OpContains, OpPrefix, OpGlob:
		c.text, ok = v.(string)
	case OpPresent:
		c.flag, ok = v.(bool)
	case OpMin, OpMax:
		c.number, ok = wholeNumber(v)
	case OpAfter, OpBefore:
		c.time, ok = readTime(v)
	case OpMaxAge:
		c.age, ok = readDuration(v)
	}
	if !ok {
		return c, operands[op]
	}
	if op == OpGlob {
		c.glob = compileGlob(c.text)
	}
	return c, ""
}

var operands = map[Operator]string{
	OpOneOf:    "must be a list",
	OpContains: "must be a string",
	OpPrefix:   "must be a string",
	OpGlob:     "must be a string; for alternatives, write any",
	OpPresent:  "must be true or false",
	OpMin:      "must be a whole number of 64 bits",
	OpMax:      "must be a whole number of 64 bits",
	OpAfter:    "must be a date as 2026-01-31T12:00:00Z",
	OpBefore:   "must be a date as 2026-01-31T12:00:00Z",
	OpMaxAge:   `must be a duration as "15m"`,
}

func readDuration(v any) (time.Duration, bool) {
	text, ok := v.(string)
	d, err := time.ParseDuration(text)
	return d, ok && err == nil
}

// readShort reads {claim: value, or list of alternatives}.
func readShort(m map[string]any, at string) (Condition, error) {
	if len(m) == 0 {
		return Condition{}, &PolicySyntaxError{at, "is empty, and would let everybody in: name at least one claim"}
	}
	var list []Condition
	for _, name := range slices.Sorted(maps.Keys(m)) {
		c, err := readAlternatives(P(name), m[name], below(at, name))
		if err != nil {
			return Condition{}, err
		}
		list = append(list, c)
	}
	if len(list) == 1 {
		return list[0], nil
	}
	return All(list...), nil
}

func readAlternatives(p Path, v any, at string) (Condition, error) {
	values, err := readList(v, at)
	if err != nil {
		return readValue(p, v, at)
	}
	if len(values) == 0 {
		return Condition{}, &PolicySyntaxError{at, "is empty: write at least one value"}
	}
	var list []Condition
	for i, v := range values {
		c, err := readValue(p, v, fmt.Sprintf("%s[%d]", at, i))
		if err != nil {
			return Condition{}, err
		}
		list = append(list, c)
	}
	return alternatives(p, list, at)
}

// alternatives joins those that are plain values.
func alternatives(p Path, list []Condition, at string) (Condition, error) {
	plain, rest := Condition{op: OpOneOf, path: p}, []Condition{}
	for _, c := range list {
		if c.op == OpEquals {
			plain.literal = append(plain.literal, c.literal...)
			continue
		}
		rest = append(rest, c)
	}
	if len(plain.literal) == 1 {
		plain.op = OpEquals
	}
	if len(plain.literal) > 0 {
		rest = append([]Condition{plain}, rest...)
	}
	c := Any(rest...)
	if len(rest) == 1 {
		c = rest[0]
	}
	if problem := plain.problem(); len(plain.literal) > 0 && problem != "" {
		return Condition{}, &PolicySyntaxError{at, problem}
	}
	return c, nil
}

// readValue reads one value of the short form.
func readValue(p Path, v any, at string) (Condition, error) {
	c := Equals(p, v)
	if text, _ := v.(string); strings.Contains(text, "*") {
		c = Glob(p, text)
		if len(c.glob.parts) == 1 { // all of its stars are escaped
			c = Equals(p, c.glob.parts[0])
		}
	}
	if problem := c.problem(); problem != "" {
		return Condition{}, &PolicySyntaxError{at, problem}
	}
	return c, nil
}
