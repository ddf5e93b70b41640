package claims

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/oidckit/oidckit/internal/strictjson"
)

// ParsePolicy reads a policy from JSON, in the form that [PolicyOf] describes. Errors
// are of type *[PolicySyntaxError]; a member that is there twice is one.
func ParsePolicy(data []byte) (Policy, error) {
	r := policyReader{json.NewDecoder(bytes.NewReader(data))}
	r.UseNumber()
	v, err := r.value(policyRoot, 0)
	if err != nil {
		return Policy{}, err
	}
	// What this decoder forgives: text behind the object, broken UTF-8, two spellings
	// of one name.
	if _, err := strictjson.Parse(data); err != nil {
		return Policy{}, &PolicySyntaxError{policyRoot, err.Error()}
	}
	return PolicyOf(v)
}

// A policyReader decodes JSON and knows where it is.
type policyReader struct{ *json.Decoder }

func (r policyReader) value(at string, depth int) (any, error) {
	token, err := r.Token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, &PolicySyntaxError{at, fmt.Sprintf("is no JSON at byte %d: %v", r.InputOffset(), err)}
	}
	switch {
	case depth > 4*maxPolicyDepth:
		return nil, &PolicySyntaxError{at, "is nested too deeply"}
	case token == json.Delim('{'):
		return r.object(at, depth)
	case token == json.Delim('['):
		return r.list(at, depth)
	}
	return token, nil
}

func (r policyReader) object(at string, depth int) (any, error) {
	m := map[string]any{}
	for r.More() {
		key, err := r.value(at, depth)
		if err != nil {
			return nil, err
		}
		name, ok := key.(string)
		if _, twice := m[name]; twice || !ok {
			return nil, &PolicySyntaxError{below(at, name), "is there twice"}
		}
		if m[name], err = r.value(below(at, name), depth+1); err != nil {
			return nil, err
		}
	}
	return m, r.end(at)
}

func (r policyReader) list(at string, depth int) (any, error) {
	list := []any{}
	for r.More() {
		v, err := r.value(fmt.Sprintf("%s[%d]", at, len(list)), depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, r.end(at)
}

// end reads the closing bracket.
func (r policyReader) end(at string) error {
	_, err := r.value(at, 0)
	return err
}

// UnmarshalJSON reads what [ParsePolicy] reads, so that a Policy can be a field of a
// configuration. null is an error: leave the field out, or use a *Policy.
func (p *Policy) UnmarshalJSON(data []byte) error {
	parsed, err := ParsePolicy(data)
	if err == nil {
		*p = parsed
	}
	return err
}

// UnmarshalYAML reads what [PolicyOf] reads. It is what YAML libraries of Go look for:
// unmarshal fills what it is given from the document.
func (p *Policy) UnmarshalYAML(unmarshal func(any) error) error {
	var v any
	if err := unmarshal(&v); err != nil {
		return err
	}
	parsed, err := PolicyOf(v)
	if err == nil {
		*p = parsed
	}
	return err
}

// MarshalJSON writes the policy as data, without short forms. The zero Policy is an
// error: it has no data that would be read again.
func (p Policy) MarshalJSON() ([]byte, error) {
	v, err := p.MarshalYAML()
	if err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

// MarshalYAML returns the policy as maps, lists and scalars, for YAML libraries.
func (p Policy) MarshalYAML() (any, error) {
	if p.IsZero() {
		return nil, &PolicySyntaxError{policyRoot, "has no conditions"}
	}
	data := p.root.data()
	if p.name != "" {
		data["name"] = p.name
	}
	return data, nil
}

// String is the policy as JSON.
func (p Policy) String() string {
	text, err := p.MarshalJSON()
	if err != nil {
		return "{}"
	}
	return string(text)
}

func (c *Condition) data() map[string]any {
	switch c.op {
	case OpNot:
		return map[string]any{"not": c.inner[0].data()}
	case OpAll, OpAny:
		list := make([]any, len(c.inner))
		for i := range c.inner {
			list[i] = c.inner[i].data()
		}
		return map[string]any{string(c.op): list}
	}
	return map[string]any{"claim": c.path.String(), string(c.op): c.operand()}
}

// operand is what the claim is compared with, as data.
func (c *Condition) operand() any {
	switch c.op {
	case OpEquals:
		return c.literal[0].data()
	case OpOneOf:
		list := make([]any, len(c.literal))
		for i, l := range c.literal {
			list[i] = l.data()
		}
		return list
	case OpPresent:
		return c.flag
	case OpMin, OpMax:
		return c.number
	case OpAfter, OpBefore:
		return c.time.UTC().Format(time.RFC3339Nano)
	case OpMaxAge:
		return c.age.String()
	}
	return c.text
}
