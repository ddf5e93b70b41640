package middleware

import (
	"maps"
	"slices"
	"time"
)

// What answers with a page, and tells the log, for tests of each page and step by itself.
var (
	ShowError         = (*Login).showError
	ShowChoice        = (*Login).showChoice
	ShowLogoutConfirm = (*Login).showLogoutConfirm
	ShowSessionEnded  = (*Login).showSessionEnded
	ShowLoop          = (*Login).showLoop
	ShowCookiesOff    = (*Login).showCookiesOff
	Step              = (*Login).step
	CheckPages        = LoginPages.check

	ErrCrossSite = errCrossSite
)

// PageKinds are all that there are.
func PageKinds() []PageKind { return slices.Sorted(maps.Keys(english)) }

// StoreDown is the error of a store that fails with err.
func StoreDown(err error) error {
	return (&sharedStore{now: time.Now}).judge(err)
}

// ReturningTo is a step of a login that was to end there.
func ReturningTo(s LoginStep, returnTo string) LoginStep {
	s.returnTo = returnTo
	return s
}
