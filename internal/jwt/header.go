package jwt

import (
	"hash/maphash"
	"strings"
	"sync/atomic"

	"github.com/oidckit/oidckit/internal/strictjson"
)

// Parameters are what is read of the header of a token.
type Parameters struct {
	Algorithm string // "alg"
	KeyID     string // "kid", or empty
	Type      string // "typ", or empty
}

// refusedHeaders change what a signature means or where its key comes from.
// None of them has a place in a token for us: "crit" because no extension is
// understood here (RFC 7515 section 4.1.11), "b64" (RFC 7797), "zip" (JWE
// only), "cty" because tokens do not nest (RFC 7519 section 5.2), "jwk" because
// a token cannot vouch for its own key (CVE-2018-0114). "jku", "x5u", "x5c" and
// "x5t" are never looked at; good tokens carry them.
var refusedHeaders = []string{"crit", "b64", "zip", "cty", "jwk"}

var headerNames = []string{"alg", "kid", "typ"}

func (t *Token) readHeader(head string) (err error) {
	t.head = head
	if h := memorized(head); h != nil {
		t.Parameters = h.Parameters
		return nil
	}
	if t.buffer, err = decodeSegment(t.buffer, head); err != nil {
		return err
	}
	if len(t.buffer) > maxHeaderSize {
		return &Error{Reason: TooLarge, Detail: "header"}
	}
	t.Parameters, err = parseHeader(string(t.buffer))
	return err
}

func parseHeader(text string) (h Parameters, err error) {
	header, err := strictjson.ParseString(text)
	if err != nil {
		return h, &Error{Reason: Header, Err: err}
	}
	return readParameters(header, refusedHeaders)
}

func readParameters(header strictjson.Object, refused []string) (h Parameters, err error) {
	for _, name := range refused {
		if _, ok := header.Get(name); ok {
			return h, &Error{Reason: Header, Detail: name + " is not supported"}
		}
	}
	if header.HasFolded(headerNames) {
		return h, &Error{Reason: Header, Detail: "a registered parameter in another case"}
	}
	for _, p := range []struct {
		name  string
		field *string
	}{{"alg", &h.Algorithm}, {"kid", &h.KeyID}, {"typ", &h.Type}} {
		if *p.field, err = StringParameter(header, p.name); err != nil {
			return h, err
		}
	}
	if h.Algorithm == "" {
		return h, &Error{Reason: Header, Detail: "alg is missing"}
	}
	return h, nil
}

// StringParameter returns a header parameter that is a short printable string, or
// nothing if it is not there. Errors are of type *Error.
func StringParameter(header strictjson.Object, name string) (string, error) {
	value, ok := header.Get(name)
	if !ok {
		return "", nil
	}
	s, ok := strictjson.String(value)
	if !ok || !isPrintable(s) || len(s) > maxKeyID {
		return "", &Error{Reason: Header, Detail: name + " is not a short printable string"}
	}
	return s, nil
}

func isPrintable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// All tokens of one key have the same header, byte for byte. Headers of tokens
// whose signature was good are kept as they were read, a fixed number of them:
// reading is a function of the text alone, so whom they belong to does not matter.
var (
	memory     [256]atomic.Pointer[memorizedHeader]
	memorySeed = maphash.MakeSeed()
)

type memorizedHeader struct {
	Parameters
	head string
}

func slot(head string) *atomic.Pointer[memorizedHeader] {
	return &memory[maphash.String(memorySeed, head)%uint64(len(memory))]
}

func memorized(head string) *memorizedHeader {
	if m := slot(head).Load(); m != nil && m.head == head {
		return m
	}
	return nil
}

// memorize keeps copies, not parts of a token.
func (t *Token) memorize() {
	if memorized(t.head) == nil {
		slot(t.head).Store(&memorizedHeader{Parameters: t.Parameters.clone(), head: strings.Clone(t.head)})
	}
}

func (h Parameters) clone() Parameters {
	return Parameters{strings.Clone(h.Algorithm), strings.Clone(h.KeyID), strings.Clone(h.Type)}
}
