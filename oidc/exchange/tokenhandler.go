package exchange

import (
	"net/http"
	"regexp"

	"github.com/oidckit/oidckit/internal/strictjson"
)

// TokenHandler is a shorter endpoint for jobs that have curl and no library. It takes "token"
// and "alg", as JSON or as a form, and answers the new token alone, as application/jwt:
//
//	curl https://tokens.example.com/token -H 'Content-Type: application/json' -d "{\"token\": \"$TOKEN\"}"
//
// A form with a grant_type is served as by [Exchanger.Handler], so that one URL can do for
// both. Errors are those of a token endpoint. Put it behind a [Guard].
func (x *Exchanger) TokenHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = identify(w, r, Address(r))
		mediaType, body, err := readBody(w, r)
		if err != nil {
			x.reject(w, r, err)
			return
		}
		x.serveToken(w, r, mediaType, body)
	})
}

func (x *Exchanger) serveToken(w http.ResponseWriter, r *http.Request, mediaType, body string) {
	var req Request
	var err error
	switch mediaType {
	case "application/json":
		req, err = readTokenJSON(body)
	case formType:
		form, formErr := parseForm(body)
		if formErr == nil && form.Has("grant_type") {
			x.serveGrant(w, r, form)
			return
		}
		if err = formErr; err == nil {
			req, err = readToken(form)
		}
	default:
		err = malformed("the Content-Type must be application/json or " + formType)
	}
	if err != nil {
		x.reject(w, r, err)
		return
	}
	issued, err := x.Exchange(r.Context(), req)
	if err != nil {
		Fail(w, r, err)
		return
	}
	answer(w, http.StatusOK, "application/jwt", issued.Compact)
}

// readToken reads the two parameters, each of which is there once.
func readToken(parameters map[string][]string) (Request, error) {
	var req Request
	for name, values := range parameters {
		switch {
		case len(values) != 1:
			return req, malformed("a parameter is there more than once")
		case name == "token":
			req.SubjectToken = values[0]
		case name == "alg":
			req.Algorithm = values[0]
		default:
			return req, malformed("there is a parameter that is not known here: write token and alg")
		}
	}
	if req.SubjectToken == "" {
		return req, malformed("token is missing")
	}
	return req, nil
}

// unquoted is what a shell makes of {"token": $TOKEN}. No JSON looks like it.
var unquoted = regexp.MustCompile(`\A\s*\{\s*"token"\s*:\s*([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)\s*\}\s*\z`)

func readTokenJSON(body string) (Request, error) {
	if m := unquoted.FindStringSubmatch(body); m != nil {
		return Request{SubjectToken: m[1]}, nil
	}
	object, err := strictjson.ParseString(body)
	if err != nil {
		return Request{}, malformed("the body is no JSON object: is the token in quotes?")
	}
	parameters := map[string][]string{}
	for name, value := range object.All() {
		text, ok := strictjson.String(value)
		if !ok {
			return Request{}, malformed("a parameter is no string")
		}
		parameters[name] = []string{text}
	}
	return readToken(parameters)
}
