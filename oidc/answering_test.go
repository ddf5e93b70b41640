package oidc_test

import (
	"errors"
	"net/http"
	"strings"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// answering answers in place of one endpoint.
func answering(next http.RoundTripper, e oidctest.Endpoint, answer func() *http.Response) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if !strings.HasSuffix(r.URL.Path, string(e)) {
			return next.RoundTrip(r)
		}
		resp := answer()
		resp.Request = r
		return resp, nil
	})
}

func isRefusal(err error) bool { return errors.Is(err, oidckit.ErrInvalidToken) }
