package middleware

import (
	"io"
	"mime"
	"net/http"
	"net/url"

	"github.com/oidckit/oidckit/oidc"
)

// maxParameters is how many bytes the parameters of a request to one of our routes may have,
// in its query or as a form.
const maxParameters = 64 << 10

func queryOf(r *http.Request) (url.Values, error) {
	if len(r.URL.RawQuery) > maxParameters {
		return nil, &oidc.CallbackError{Parameter: "query", Problem: "is too long"}
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, &oidc.CallbackError{Parameter: "query", Problem: "is malformed"}
	}
	return query, nil
}

// formOf reads a form from the body alone: what is in the query may be somebody else's, and
// is in logs.
func formOf(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return nil, &oidc.CallbackError{Parameter: "body", Problem: "is no form"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxParameters))
	if err != nil {
		return nil, &oidc.CallbackError{Parameter: "body", Problem: "is too long"}
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, &oidc.CallbackError{Parameter: "body", Problem: "is malformed"}
	}
	return form, nil
}

// onceEach refuses parameters that are there twice. RFC 6749 section 3.1: "Request and response
// parameters MUST NOT be included more than once."
func onceEach(params url.Values, names ...string) error {
	for _, name := range names {
		if len(params[name]) > 1 {
			return &oidc.CallbackError{Parameter: name, Problem: "is there twice"}
		}
	}
	return nil
}

// only is the value of a parameter that is there once.
func only(params url.Values, name string) string {
	if onceEach(params, name) != nil {
		return ""
	}
	return params.Get(name)
}
