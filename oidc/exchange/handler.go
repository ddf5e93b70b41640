package exchange

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/oidckit/oidckit/oidc"
)

const grantType = "urn:ietf:params:oauth:grant-type:token-exchange"

// Handler is a token endpoint for the exchange of RFC 8693:
//
//	curl https://tokens.example.com/token \
//	  -d grant_type=urn:ietf:params:oauth:grant-type:token-exchange \
//	  -d subject_token_type=urn:ietf:params:oauth:token-type:jwt -d subject_token=$TOKEN
//
// Clients need not authenticate: the token says whose request it is. "audience" and
// "resource" may narrow what the rule says. "alg" is taken besides, and no other parameter:
// what would be ignored is refused. So are an actor_token, a scope, parameters that come
// twice and those in the query. Put it behind a [Guard].
func (x *Exchanger) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = identify(w, r, Address(r))
		form, err := readForm(w, r)
		if err != nil {
			x.reject(w, r, err)
			return
		}
		x.serveGrant(w, r, form)
	})
}

func (x *Exchanger) serveGrant(w http.ResponseWriter, r *http.Request, form url.Values) {
	req, err := x.readGrant(form)
	if err != nil {
		x.reject(w, r, err)
		return
	}
	issued, err := x.Exchange(r.Context(), req)
	if err != nil {
		Fail(w, r, err)
		return
	}
	x.answer(w, req, issued)
}

// repeated are the parameters that may come several times (RFC 8693 section 2.1), the others
// must not (RFC 6749 section 3.2).
var repeated = []string{"audience", "resource"}

var grantParameters = []string{
	"grant_type", "subject_token", "subject_token_type", "requested_token_type", "audience", "resource", "alg",
	"client_id", // of public clients (RFC 6749 section 3.2.1), which proves nothing
}

func (x *Exchanger) readGrant(form url.Values) (req Request, err error) {
	for name, values := range form {
		switch {
		case name == "actor_token":
			return req, malformed("actor tokens are not supported")
		case name == "scope":
			return req, &Error{Reason: ReasonRequest, Detail: detailScope}
		case !slices.Contains(grantParameters, name):
			return req, malformed("there is a parameter that is not known here")
		case len(values) > 1 && !slices.Contains(repeated, name):
			return req, malformed("a parameter is there more than once")
		}
	}
	switch {
	case form.Get("grant_type") != grantType:
		return req, &Error{Reason: ReasonRequest, Detail: detailGrant}
	case !slices.Contains(x.subjectTypes(), form.Get("subject_token_type")):
		return req, malformed("subject_token_type is missing or not supported")
	case form.Get("subject_token") == "":
		return req, malformed("subject_token is missing")
	}
	return Request{
		SubjectToken: form.Get("subject_token"), Algorithm: form.Get("alg"), RequestedTokenType: form.Get("requested_token_type"),
		Audience: slices.Concat(form["audience"], form["resource"]),
	}, nil
}

func (x *Exchanger) subjectTypes() []string {
	if x.cfg.SubjectTokenTypes != nil {
		return x.cfg.SubjectTokenTypes
	}
	return []string{oidc.TokenTypeJWT, oidc.TokenTypeIDToken}
}

// Details that are answered with a code of their own.
const (
	detailScope = "scopes are not granted here: leave scope out"
	detailGrant = "grant_type is missing or another one"
)

func malformed(detail string) error { return &Error{Reason: ReasonRequest, Detail: detail} }

// answer is RFC 8693 section 2.2.1.
func (x *Exchanger) answer(w http.ResponseWriter, req Request, issued *Issued) {
	body := struct {
		AccessToken     string `json:"access_token"`
		IssuedTokenType string `json:"issued_token_type"`
		TokenType       string `json:"token_type"`
		ExpiresIn       int64  `json:"expires_in"`
	}{issued.Compact, oidc.TokenTypeJWT, "N_A", int64(issued.Expiry.Sub(x.cfg.Now()).Seconds())}
	if issued.Type == TypeAccessToken && req.RequestedTokenType != oidc.TokenTypeJWT {
		body.IssuedTokenType, body.TokenType = oidc.TokenTypeAccessToken, "Bearer"
	}
	answerJSON(w, http.StatusOK, body)
}

// reject answers what is not even a request for an exchange, and logs it as one that was refused.
func (x *Exchanger) reject(w http.ResponseWriter, r *http.Request, err error) {
	x.tell(r.Context(), (&attempt{x: x}).record(r.Context(), err))
	Fail(w, r, err)
}
