package oidc

import (
	"fmt"
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
	// printable ASCII; they are 16 at most, and 1 KiB together.
	ACRValues []string
	// MaxAge is how long ago the login may be; zero is a login for this alone. Nil if the
	// API does not say.
	MaxAge *time.Duration
}

func (e *StepUpError) Error() string {
	return "oidc: the API wants a stronger or more recent login (insufficient_user_authentication)"
}

// Format prints the text alone, with every verb: the fields may hold what was sent.
func (e StepUpError) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(e.Error())) }

// MarshalText is the text alone, as Format has it.
func (e StepUpError) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

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
// could ask a provider for is left out. All go into a URL, and with the flow into a cookie.
func acrValues(list string) (values []string) {
	left := 1024
	for v := range strings.FieldsSeq(list) {
		if len(values) < 16 && len(v) <= left && printable(v) == v {
			values, left = append(values, v), left-len(v)
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
