package oidc

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/oidckit/oidckit"
)

// StepUpError says that an API takes the access token for good, but wants its person to
// have logged in another way or more recently (RFC 9470 section 3). Begin a login with
// what it asks for. It answers errors.Is for [oidckit.ErrForbidden]. The fields are what
// the API wrote.
type StepUpError struct {
	// ACRValues are those that the API takes, best first; empty if it does not say. Each is
	// printable ASCII, and there are 16 at most.
	ACRValues []string
	// MaxAge is how long ago the login may be; zero is a login for this alone. Nil if the
	// API does not say.
	MaxAge *time.Duration
}

func (e *StepUpError) Error() string {
	return "oidc: the API wants a stronger or more recent login (insufficient_user_authentication)"
}

// Is reports whether target is [oidckit.ErrForbidden].
func (e *StepUpError) Is(target error) bool { return target == oidckit.ErrForbidden }

// Options are those of [Client.Begin] that ask the provider for such a login;
// [Client.Finish] checks that it was one. An API that does not say which login it wants
// gets one for this alone, for another like the last would not please it either.
func (e *StepUpError) Options() (options []Option) {
	if len(e.ACRValues) > 0 {
		options = append(options, WithACRValues(e.ACRValues...))
	}
	switch {
	case e.MaxAge != nil:
		options = append(options, WithMaxAge(*e.MaxAge))
	case len(options) == 0:
		options = append(options, WithMaxAge(0))
	}
	return options
}

// stepUp returns what an answer asks for, or nil.
func stepUp(status int, h http.Header) *StepUpError {
	if status != http.StatusUnauthorized {
		return nil
	}
	for _, c := range challenges(h) {
		if (c.scheme == "bearer" || c.scheme == "dpop") && c.parameters["error"] == "insufficient_user_authentication" {
			return &StepUpError{ACRValues: acrValues(c.parameters["acr_values"]), MaxAge: maxAge(c.parameters["max_age"])}
		}
	}
	return nil
}

// acrValues reads a list "in order of preference", separated by spaces. One that nobody
// could ask a provider for is left out.
func acrValues(list string) (values []string) {
	for v := range strings.FieldsSeq(list) {
		if len(values) < 16 && printable(v) == v {
			values = append(values, v)
		}
	}
	return values
}

// maxAge reads a "non-negative integer" of seconds.
func maxAge(seconds string) *time.Duration {
	n, err := strconv.ParseUint(seconds, 10, 31)
	if err != nil {
		return nil
	}
	d := min(time.Duration(n)*time.Second, longestLife)
	return &d
}
