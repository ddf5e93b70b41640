package oidc

import (
	"net/http"
	"strings"
)

// A challenge is what a 401 asks for (RFC 9110 section 11.6.1).
type challenge struct {
	scheme     string // in lower case
	parameters map[string]string
}

// maxChallenges bounds the lines, and the challenges in each: no API that we know has more.
const maxChallenges = 16

// challenges reads the WWW-Authenticate headers. What does not keep to the grammar is not
// guessed at: its whole line counts for nothing.
func challenges(h http.Header) (all []challenge) {
	lines := h.Values("WWW-Authenticate")
	for _, line := range lines[:min(len(lines), maxChallenges)] {
		p := challengeParser{line}
		if found, ok := p.list(); ok {
			all = append(all, found...)
		}
	}
	return all
}

// A challengeParser holds what is not read yet.
type challengeParser struct{ rest string }

// list reads the challenges of a line, between commas.
func (p *challengeParser) list() (all []challenge, ok bool) {
	for p.skipCommas(); p.rest != ""; p.skipCommas() {
		c, ok := p.challenge()
		if !ok || len(all) == maxChallenges {
			return nil, false
		}
		all = append(all, c)
	}
	return all, true
}

// challenge = auth-scheme [ 1*SP ( token68 / #auth-param ) ]
func (p *challengeParser) challenge() (c challenge, ok bool) {
	c.scheme = strings.ToLower(p.token())
	spaces := p.skip(" \t")
	switch {
	case c.scheme == "":
		return c, false
	case p.rest == "" || p.rest[0] == ',':
		return c, true
	case !spaces:
		return c, false
	case p.token68():
		return c, true
	}
	c.parameters, ok = p.parameterList()
	return c, ok
}

// token68 skips one, if it is all that the challenge has.
func (p *challengeParser) token68() bool {
	rest := strings.TrimLeftFunc(p.rest, isToken68)
	if len(rest) == len(p.rest) {
		return false
	}
	rest = strings.TrimLeft(strings.TrimLeft(rest, "="), " \t")
	if rest != "" && rest[0] != ',' {
		return false
	}
	p.rest = rest
	return true
}

// parameterList reads parameters until the line ends or the next challenge begins. "The
// authentication parameter's name token [...] MUST only occur once per challenge" (RFC 9110
// section 11.2).
func (p *challengeParser) parameterList() (map[string]string, bool) {
	all := map[string]string{}
	for p.rest != "" {
		before := p.rest
		name := strings.ToLower(p.token())
		p.skip(" \t")
		if !strings.HasPrefix(p.rest, "=") { // it is a scheme
			p.rest = before
			return all, len(all) > 0
		}
		p.rest = p.rest[1:]
		p.skip(" \t")
		value, ok := p.value()
		p.skip(" \t")
		_, twice := all[name]
		if !ok || twice || name == "" || p.rest != "" && p.rest[0] != ',' {
			return nil, false
		}
		all[name] = value
		p.skipCommas()
	}
	return all, true
}

// value = token / quoted-string
func (p *challengeParser) value() (string, bool) {
	if strings.HasPrefix(p.rest, `"`) {
		return p.quoted()
	}
	value := p.token()
	return value, value != ""
}

// quoted reads a quoted-string (RFC 9110 section 5.6.4).
func (p *challengeParser) quoted() (string, bool) {
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		c := p.rest[i]
		switch {
		case c == '"':
			p.rest = p.rest[i+1:]
			return b.String(), true
		case c == '\\' && i+1 < len(p.rest):
			i++
			c = p.rest[i]
		}
		if c < ' ' && c != '\t' || c == 0x7f {
			return "", false
		}
		b.WriteByte(c)
	}
	return "", false
}

func (p *challengeParser) token() string {
	rest := strings.TrimLeftFunc(p.rest, isTokenRune)
	token := p.rest[:len(p.rest)-len(rest)]
	p.rest = rest
	return token
}

func (p *challengeParser) skip(characters string) (skipped bool) {
	rest := strings.TrimLeft(p.rest, characters)
	skipped = len(rest) < len(p.rest)
	p.rest = rest
	return skipped
}

// skipCommas: elements of a list may be empty (RFC 9110 section 5.6.1.2).
func (p *challengeParser) skipCommas() { p.skip(", \t") }

// isTokenRune: tchar of RFC 9110 section 5.6.2.
func isTokenRune(r rune) bool { return isAlphanumeric(r) || strings.ContainsRune("!#$%&'*+-.^_`|~", r) }

func isToken68(r rune) bool { return isAlphanumeric(r) || strings.ContainsRune("-._~+/", r) }

func isAlphanumeric(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}
