package clientauth

import (
	"strconv"
	"time"

	"github.com/oidckit/oidckit/internal/jwt"
)

// AssertionFile is a method whose assertion somebody else made, and put into a file: a
// projected token of Kubernetes, or another federated credential (RFC 7523 section 2.2). The
// file is read as [SecretFile] reads it. What stands in it must be a compact JWS with
// "exp" and "aud", and one that has expired is an error. Whom it is made out to is the
// issuer's matter and not checked: the audience must be the provider's and no one else's,
// or the assertion is good elsewhere. Its name is private_key_jwt, which is how
// it is sent.
func AssertionFile(path string) Method {
	source := newSecretFile("AssertionFile", path, func(s Secret) error {
		_, err := parseAssertion(string(s))
		return err
	})
	return newBySecret("private_key_jwt", source, func(r *Request, assertion string) error {
		expires, err := parseAssertion(assertion)
		if err != nil {
			return err
		}
		if !r.now().Before(expires) {
			return problem(ReasonExpired, "the assertion in the file has expired: whoever writes it there does not renew it")
		}
		setAssertion(r, assertion)
		return nil
	})
}

// farFuture bounds "exp", in seconds since 1970: beyond it a time would overflow.
const farFuture = 1 << 40

// parseAssertion looks at the form, and returns when the assertion expires. Only the
// provider can check the signature.
func parseAssertion(assertion string) (expires time.Time, err error) {
	token, err := jwt.Parse(assertion)
	if err != nil {
		return time.Time{}, &Error{Reason: ReasonAssertion, text: "the file holds no JWT", Err: err}
	}
	defer token.Release()
	if _, ok := token.Claims.Get("aud"); !ok {
		return time.Time{}, problem(ReasonAssertion, "the JWT in the file has no aud (RFC 7523 section 3)")
	}
	value, _ := token.Claims.Get("exp")
	seconds, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return time.Time{}, problem(ReasonAssertion, "the JWT in the file has no exp (RFC 7523 section 3)")
	}
	return time.Unix(int64(min(max(seconds, 0), farFuture)), 0), nil
}
