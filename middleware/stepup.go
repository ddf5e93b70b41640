package middleware

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/claims"
)

// StepUpError says that a token is good, but its user must log in in another way or more
// recently (RFC 9470). It answers errors.Is for [oidckit.ErrForbidden], and is answered with
// 401 and what is wanted. Clients with package oidc get it as an *oidc.StepUpError.
type StepUpError struct {
	ACRValues []string       // one of them is wanted, best first; empty if any will do
	MaxAge    *time.Duration // since the login; nil if it does not matter
	Scopes    []string       // all that are required, if one is missing too
}

func (e *StepUpError) Error() string {
	return "middleware: the user must log in otherwise or again (" + strings.Join(e.params(), " ") + ")"
}

// Is reports whether target is [oidckit.ErrForbidden].
func (e *StepUpError) Is(target error) bool { return target == oidckit.ErrForbidden }

// params are those of the challenge (RFC 9470 section 3).
func (e *StepUpError) params() (params []string) {
	if len(e.ACRValues) > 0 {
		params = append(params, "acr_values", strings.Join(e.ACRValues, " "))
	}
	if e.MaxAge != nil {
		params = append(params, "max_age", strconv.FormatInt(int64(e.MaxAge.Seconds()), 10))
	}
	if len(e.Scopes) > 0 {
		params = append(params, "scope", strings.Join(e.Scopes, " "))
	}
	return params
}

// stepUpOf is what all requirements want of a login: the first list of acr values, and the
// shortest age.
func stepUpOf(require []Requirement) *StepUpError {
	e := &StepUpError{}
	for _, r := range require {
		if len(e.ACRValues) == 0 {
			e.ACRValues = r.acr
		}
		if r.maxAge != nil && (e.MaxAge == nil || *r.maxAge < *e.MaxAge) {
			e.MaxAge = r.maxAge
		}
	}
	return e
}

// RequireACR requires that the user logged in by one of the authentication contexts, best
// first, as the claim "acr" says (RFC 9068 section 2.2.1). Without any it requires what
// nobody has.
func RequireACR(values ...string) Requirement {
	values = slices.Clone(values)
	if len(values) == 0 {
		return Requirement{}
	}
	return Requirement{acr: values, check: func(p *Principal) error {
		acr, err := p.Claims.String(acrClaim)
		if err != nil || acr == "" || !slices.Contains(values, acr) {
			return &StepUpError{ACRValues: values}
		}
		return nil
	}}
}

// RequireMaxAge requires that the user logged in no longer ago, as the claim "auth_time"
// says (RFC 9068 section 2.2.1). A minute more is granted, for clocks differ. Clients are
// told whole seconds. A negative age requires what nobody has.
func RequireMaxAge(age time.Duration) Requirement {
	if age < 0 {
		return Requirement{}
	}
	return Requirement{maxAge: &age, check: func(p *Principal) error {
		at, err := p.Claims.Time(authTimeClaim)
		since := p.now().Sub(at)
		if err != nil || since > age+loginLeeway || since < -loginLeeway {
			return &StepUpError{MaxAge: &age}
		}
		return nil
	}}
}

// loginLeeway is how far the clocks of provider and API may differ.
const loginLeeway = time.Minute

var (
	acrClaim      = claims.P("acr")
	authTimeClaim = claims.P("auth_time")
)
