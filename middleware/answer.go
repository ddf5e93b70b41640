package middleware

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/oidc"
)

// A Refusal is why a request did not get through, and what its sender is told of it. Only
// Status and Code are for the sender.
type Refusal struct {
	Status int    // of HTTP: 400, 401, 403, 500 or 503
	Code   string // the "error" of RFC 6750, 9449 or 9470; empty if there is none
	Err    error  // the reason: for the log
	scheme string // that the request used, if it is known
	proof  ProofAnswer
}

func (b *Bearer) newRefusal(err error, scheme string) *Refusal {
	f := &Refusal{Err: err, scheme: scheme, proof: b.answerProof(err)}
	f.Status, f.Code = classOf(err)
	if f.Status == http.StatusUnauthorized && f.proof.Error != "" {
		f.Code = f.proof.Error
	}
	return f
}

// Reason is one of a few words for counting: that of an *[oidc.Error], or of what else is
// wrong.
func (f *Refusal) Reason() string {
	var e *oidc.Error
	switch {
	case f.Status == http.StatusServiceUnavailable:
		return "unavailable"
	case f.Status == http.StatusInternalServerError:
		return "internal"
	case errors.Is(f.Err, ErrNoCredentials):
		return "no credentials"
	case errors.As(f.Err, &e):
		return string(e.Reason)
	}
	return f.Code
}

// LogValue is a group of status, code and [Refusal.Reason]. Err is not in it, for a verifier or
// policy of the program's own may write anything into it. A nil Refusal is an empty group.
func (f *Refusal) LogValue() slog.Value { return slog.GroupValue(f.attrs()...) }

// Format prints what LogValue has with every verb.
func (f Refusal) Format(s fmt.State, _ rune) {
	_, _ = fmt.Fprint(s, "middleware.Refusal", f.LogValue())
}

func (f *Refusal) attrs() []slog.Attr {
	if f == nil {
		return nil
	}
	return []slog.Attr{slog.Int("status", f.Status), slog.String("code", f.Code), slog.String("reason", f.Reason())}
}

// classOf maps an error to what a client should make of it.
func classOf(err error) (status int, code string) {
	var stepUp *StepUpError
	switch {
	case errors.Is(err, ErrMalformed):
		return http.StatusBadRequest, "invalid_request"
	case errors.Is(err, oidckit.ErrUnavailable): // before its cause, which may be another
		return http.StatusServiceUnavailable, ""
	case errors.Is(err, ErrNoCredentials):
		// "the resource server SHOULD NOT include an error code" (RFC 6750 section 3.1)
		return http.StatusUnauthorized, ""
	case errors.As(err, &stepUp): // RFC 9470 section 3
		return http.StatusUnauthorized, "insufficient_user_authentication"
	case errors.Is(err, oidckit.ErrInvalidToken):
		return http.StatusUnauthorized, "invalid_token"
	case errors.Is(err, oidckit.ErrForbidden):
		return http.StatusForbidden, "insufficient_scope"
	}
	return http.StatusInternalServerError, ""
}

// refuse answers a request that does not get through. What the client learns is
// the class of the error and nothing else (RFC 6750 section 3.1); the reason goes
// to the log.
func (b *Bearer) refuse(w http.ResponseWriter, r *http.Request, f *Refusal, require []Requirement) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	f.proof.setNonce(h)
	switch f.Status {
	case http.StatusServiceUnavailable:
		setRetryAfter(h, f.Err)
	case http.StatusInternalServerError:
	default:
		h["Www-Authenticate"] = b.challenges(f, require)
	}
	if b != nil && b.OnError != nil {
		b.OnError(r, f)
	}
	b.logRefusal(r, f)
	b.writeBody(w, f)
}

func (b *Bearer) logRefusal(r *http.Request, f *Refusal) {
	if b != nil && b.Logger != nil {
		b.Logger.LogAttrs(r.Context(), levelOf(f.Status), "request refused",
			slog.Int("status", f.Status), slog.String("code", f.Code), slog.Any("reason", f.Err))
	}
}

// levelOf makes outages and mistakes of the program stand out from what clients
// do wrong every day.
func levelOf(status int) slog.Level {
	switch status {
	case http.StatusInternalServerError:
		return slog.LevelError
	case http.StatusServiceUnavailable:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// setRetryAfter says when to come back, in whole seconds, and 1 at least.
func setRetryAfter(h http.Header, err error) {
	seconds := 1.0
	var u *oidckit.UnavailableError
	if errors.As(err, &u) {
		seconds = max(seconds, math.Ceil(u.RetryAfter.Seconds()))
	}
	h.Set("Retry-After", strconv.Itoa(int(seconds)))
}

func (b *Bearer) writeBody(w http.ResponseWriter, f *Refusal) {
	if b == nil || b.Body == nil {
		http.Error(w, http.StatusText(f.Status), f.Status)
		return
	}
	mediaType, body := b.Body(f)
	h := w.Header()
	h.Del("Content-Length")
	h.Set("Content-Type", mediaType)
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(f.Status)
	_, _ = w.Write(body)
}

// ProblemBody writes a body of application/problem+json (RFC 9457), with the error code
// as the member "error".
func ProblemBody(f *Refusal) (mediaType string, body []byte) {
	body, _ = json.Marshal(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Error  string `json:"error,omitempty"`
	}{"about:blank", http.StatusText(f.Status), f.Status, f.Code})
	return "application/problem+json", append(body, '\n')
}

// challenges writes the WWW-Authenticate headers. The error stands with the scheme that
// was used. Who may come with another scheme is told so, but not in place of a proof, and
// not where no other scheme would help.
func (b *Bearer) challenges(f *Refusal, require []Requirement) []string {
	details, proof := b.details(f, require), f.proof
	algs := func(params []string) []string {
		if len(proof.Algorithms) == 0 {
			return params
		}
		return append(slices.Clone(params), "algs", strings.Join(proof.Algorithms, " "))
	}
	switch {
	case proof.Scheme == "":
		return []string{b.challenge(bearerScheme, details)}
	case proof.Only, proof.Error != "", f.scheme == dpopScheme:
		return []string{b.challenge(proof.Scheme, algs(details))}
	case f.Status != http.StatusUnauthorized:
		return []string{b.challenge(bearerScheme, details)}
	}
	other := b.details(&Refusal{Status: f.Status}, require)
	return []string{b.challenge(bearerScheme, details), b.challenge(proof.Scheme, algs(other))}
}

// details are the names and values of a challenge that come from the refusal. All of the
// values are of the configuration.
func (b *Bearer) details(f *Refusal, require []Requirement) (params []string) {
	if f.Code != "" {
		params = append(params, "error", f.Code)
	}
	var missing *ScopeError
	var stepUp *StepUpError
	switch {
	case errors.As(f.Err, &missing):
		params = append(params, "scope", strings.Join(missing.Scopes, " "))
	case errors.As(f.Err, &stepUp):
		params = append(params, stepUp.params()...)
	case f.Status == http.StatusUnauthorized && b != nil && b.Resource != nil:
		// The scopes are no secret: the metadata have them.
		if scopes := scopesOf(require); len(scopes) > 0 {
			params = append(params, "scope", strings.Join(scopes, " "))
		}
	}
	if b != nil && b.Resource != nil { // RFC 9728 section 5.1
		params = append(params, "resource_metadata", b.Resource.MetadataURL())
	}
	return params
}

// challenge writes a WWW-Authenticate value of names and values.
func (b *Bearer) challenge(scheme string, params []string) string {
	if b != nil && b.Realm != "" {
		params = append([]string{"realm", b.Realm}, params...)
	}
	pairs := make([]string, 0, len(params)/2)
	for i := 0; i+1 < len(params); i += 2 {
		pairs = append(pairs, params[i]+"="+quoted(params[i+1]))
	}
	return strings.TrimSuffix(scheme+" "+strings.Join(pairs, ", "), " ")
}

// quoted writes a quoted-string (RFC 9110 section 5.6.4). What cannot stand in one
// is left out, so that no text ends the header.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c >= 0x20 && c < 0x7f:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
