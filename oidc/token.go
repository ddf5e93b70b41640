package oidc

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/internal/strictjson"
	"golang.org/x/oauth2"
)

// An authenticator chooses how the client proves itself at this provider.
type authenticator func(*discovery.Metadata) (clientauth.Method, error)

func newAuthenticator(cfg ClientConfig) authenticator {
	return func(m *discovery.Metadata) (clientauth.Method, error) {
		if cfg.ClientAuth != nil {
			return cfg.ClientAuth, nil
		}
		return clientauth.ForSecret(cfg.ClientSecret, m.TokenEndpointAuthMethodsSupported)
	}
}

// A tokenResponse is a successful answer of the token endpoint (RFC 6749 section
// 5.1).
type tokenResponse struct {
	AccessToken  string   `json:"access_token"`
	TokenType    string   `json:"token_type"`
	ExpiresIn    *seconds `json:"expires_in"`
	RefreshToken string   `json:"refresh_token"`
	Scope        string   `json:"scope"`
	IDToken      string   `json:"id_token"`
}

// seconds are a number; some providers write it as a string.
type seconds float64

func (s *seconds) UnmarshalJSON(data []byte) error {
	n, err := strconv.ParseFloat(strings.Trim(string(data), `"`), 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return errors.New("no number of seconds")
	}
	*s = seconds(n)
	return nil
}

// requestToken sends one request to the token endpoint, and never a second one:
// a code or a refresh token is spent by the first.
func (c *Client) requestToken(ctx context.Context, form url.Values) (*tokenResponse, error) {
	m, err := c.provider.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	if m.TokenEndpoint == "" {
		return nil, fmt.Errorf("%w: token_endpoint", ErrNoEndpoint)
	}
	method, err := c.auth(m)
	if err != nil {
		return nil, err
	}
	proof := &clientauth.Request{ClientID: c.cfg.ClientID, Header: http.Header{}, Form: form}
	if err := method.Authenticate(ctx, proof); err != nil {
		return nil, fmt.Errorf("oidc: %s: %w", method.Name(), err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.TokenEndpoint, strings.NewReader(proof.Form.Encode()))
	if err != nil {
		return nil, errors.New("oidc: token_endpoint is not a URL")
	}
	req.Header = proof.Header
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	resp, err := c.provider.fetch.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.Status != http.StatusOK {
		return nil, responseError(resp)
	}
	return parseTokenResponse(resp)
}

func parseTokenResponse(resp *fetch.Response) (*tokenResponse, error) {
	// What is no JSON is of something in front of the endpoint: a page that says
	// "maintenance" with status 200 refuses no token.
	if !resp.Is("application/json") {
		return nil, &oidckit.UnavailableError{What: "token response", Err: fetch.ErrMediaType}
	}
	text := string(resp.Body)
	object, err := strictjson.ParseString(text)
	if err != nil {
		return nil, &oidckit.UnavailableError{What: "token response", Err: err}
	}
	unusable := func(what string) error {
		u := &unusableResponseError{what: what}
		value, _ := object.Get("refresh_token")
		if s, ok := strictjson.String(value); ok && isTokenText(s) {
			u.refreshToken = s
		}
		return &Error{Reason: ReasonMalformed, Err: u}
	}
	var t tokenResponse
	err = strictjson.Decode(text, &t)
	switch {
	case err != nil:
		return nil, unusable("has a member of another type")
	case t.AccessToken == "" || !isTokenText(t.AccessToken) || !isTokenText(t.RefreshToken):
		return nil, unusable("has no usable access_token")
	case !strings.EqualFold(t.TokenType, "Bearer"):
		// Another type must be used in another way (RFC 6749 section 7.1).
		return nil, unusable("has a token_type other than Bearer")
	}
	return &t, nil
}

// An unusableResponseError is of a response that was given all the same: the code or
// refresh token that was sent is spent, and this is the refresh token to go on with,
// if there is one.
type unusableResponseError struct {
	what         string
	refreshToken string
}

func (u *unusableResponseError) Error() string { return "the token response " + u.what }

// Format prints the text alone, with every verb.
func (u unusableResponseError) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(u.Error())) }

// isTokenText reports whether a token can stand in a header: VSCHAR of RFC 6749
// appendix A, without the space.
func isTokenText(s string) bool {
	for i := range len(s) {
		if s[i] <= 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// responseError reads the error answer of an endpoint. A body of another form
// leaves only the status.
func responseError(resp *fetch.Response) *ResponseError {
	e := &ResponseError{Status: resp.Status}
	var body struct {
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}
	if resp.Is("application/json") && strictjson.Unmarshal(resp.Body, &body) == nil {
		e.Code, e.Description = printable(body.Code), printable(body.Description)
	}
	return e
}

// longestLife bounds expires_in and MaxAge: beyond it a time would overflow.
const longestLife = 10 * 365 * 24 * time.Hour

func (t *tokenResponse) oauth2(now time.Time, rawIDToken string) *oauth2.Token {
	token := &oauth2.Token{AccessToken: t.AccessToken, TokenType: "Bearer", RefreshToken: t.RefreshToken}
	if t.ExpiresIn != nil {
		life := min(max(float64(*t.ExpiresIn), 0), longestLife.Seconds())
		token.Expiry = now.Add(time.Duration(life * float64(time.Second)))
		token.ExpiresIn = int64(life)
	}
	return token.WithExtra(map[string]any{"id_token": rawIDToken, "scope": t.Scope})
}
