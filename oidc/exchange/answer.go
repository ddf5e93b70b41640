package exchange

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/oidckit/oidckit"
)

// readBody checks how a request came, and reads it.
func readBody(w http.ResponseWriter, r *http.Request) (mediaType, body string, err error) {
	switch {
	case r.Method != http.MethodPost:
		return "", "", errMethod
	case r.URL.RawQuery != "" || r.URL.ForceQuery: // tokens would stand in logs
		return "", "", malformed("parameters belong into the body: leave the query out")
	case len(r.Header.Values("Authorization")) > 0:
		return "", "", malformed("there is no client authentication here: leave the Authorization header out")
	case len(r.Header.Values("Content-Type")) != 1:
		return "", "", malformed("there must be one Content-Type")
	}
	mediaType, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset := parameters["charset"]
	if err != nil || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return "", "", malformed("the Content-Type cannot be read")
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return "", "", malformed("the body is too large")
	case err != nil:
		return "", "", malformed("the body ends too early")
	}
	return mediaType, string(data), nil
}

var errMethod = malformed("the method is not POST")

const formType = "application/x-www-form-urlencoded"

func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	mediaType, body, err := readBody(w, r)
	switch {
	case err != nil:
		return nil, err
	case mediaType != formType: // RFC 8693 section 2.1
		return nil, malformed("the Content-Type must be " + formType)
	}
	return parseForm(body)
}

// parseForm: what url.ParseQuery understood of a broken form is not what was meant.
func parseForm(body string) (url.Values, error) {
	form, err := url.ParseQuery(body)
	if err != nil {
		return nil, malformed("the form cannot be read")
	}
	return form, nil
}

func answerJSON(w http.ResponseWriter, status int, body any) {
	text, _ := json.Marshal(body) // strings and numbers
	answer(w, status, "application/json", string(text))
}

// answer is kept by nobody (RFC 6749 section 5.1).
func answer(w http.ResponseWriter, status int, mediaType, body string) {
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // who has gone does not read it
}

// refusedText is all that is said about a token.
const refusedText = "the token is not accepted"

// Fail answers an error of [Exchanger.Exchange] as a token endpoint does (RFC 6749 section
// 5.2): with one text for each token that is refused, whatever the reason, and the number by
// which the log has more about it.
func Fail(w http.ResponseWriter, r *http.Request, err error) {
	var e *Error
	switch {
	case errors.Is(err, oidckit.ErrUnavailable):
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter(err)))
		answerError(w, r, http.StatusServiceUnavailable, "temporarily_unavailable", "tokens cannot be exchanged at the moment")
	case !errors.As(err, &e):
		answerError(w, r, http.StatusInternalServerError, "server_error", "something is wrong here")
	case errors.Is(err, errMethod):
		w.Header().Set("Allow", "POST")
		answerError(w, r, http.StatusMethodNotAllowed, "invalid_request", e.Detail)
	default:
		code, text := e.code()
		answerError(w, r, http.StatusBadRequest, code, text)
	}
}

// retryAfter is in seconds.
func retryAfter(err error) int {
	var u *oidckit.UnavailableError
	if errors.As(err, &u) && u.RetryAfter > time.Second {
		return int(u.RetryAfter.Seconds())
	}
	return 1
}

// code tells what is the matter with a request, and nothing about a token.
func (e *Error) code() (code, text string) {
	switch {
	case e.Detail == detailScope:
		return "invalid_scope", e.Detail
	case e.Detail == detailGrant:
		return "unsupported_grant_type", e.Detail
	case e.Reason == ReasonRequest:
		return "invalid_request", e.Detail
	case e.Reason == ReasonAlgorithm:
		return "invalid_request", "nothing is signed with this algorithm here"
	case e.Reason == ReasonAudience: // RFC 8693 section 2.2.2
		return "invalid_target", "not for this audience"
	}
	return "invalid_grant", refusedText
}

func answerError(w http.ResponseWriter, r *http.Request, status int, code, text string) {
	answerJSON(w, status, struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
		Correlation string `json:"correlation_id,omitempty"`
	}{code, text, CorrelationID(r.Context())})
}
