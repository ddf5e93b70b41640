package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/internal/strictjson"
	"golang.org/x/oauth2"
)

// A tokenResponse is a successful answer of the token endpoint (RFC 6749 section
// 5.1).
type tokenResponse struct {
	AccessToken  string   `json:"access_token"`
	TokenType    string   `json:"token_type"`
	ExpiresIn    *seconds `json:"expires_in"`
	RefreshToken string   `json:"refresh_token"`
	Scope        string   `json:"scope"`
	IDToken      string   `json:"id_token"`
	IssuedType   string   `json:"issued_token_type"` // of RFC 8693

	members strictjson.Object
	bytes   int // of the answer
}

// seconds are a number; some providers write it as a string.
type seconds float64

func (s *seconds) UnmarshalJSON(data []byte) error {
	if string(data) == "null" { // as for any other type
		return nil
	}
	n, err := strconv.ParseFloat(strings.Trim(string(data), `"`), 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return errors.New("no number of seconds")
	}
	*s = seconds(n)
	return nil
}

// requestToken asks the token endpoint with a form that has its options. The type of the token must be Bearer, or DPoP if
// the client proves its key: a Bearer token in its place could be used by anybody.
func (c *Client) requestToken(ctx context.Context, form url.Values) (*tokenResponse, error) {
	t, err := c.requestAnyToken(ctx, form)
	if err != nil {
		return nil, err
	}
	return t, t.checkType(c.tokenType())
}

// requestAnyToken is requestToken for a token of any type.
func (c *Client) requestAnyToken(ctx context.Context, form url.Values) (*tokenResponse, error) {
	resp, err := c.post(ctx, call{to: tokenEndpoint, form: form})
	if err != nil {
		return nil, err
	}
	if resp.Status != http.StatusOK {
		return nil, responseError(resp)
	}
	return parseTokenResponse(resp)
}

func (c *Client) tokenType() string {
	if c.dpop != nil {
		return "DPoP"
	}
	return "Bearer"
}

func parseTokenResponse(resp *fetch.Response) (*tokenResponse, error) {
	var t tokenResponse
	var err error
	t.members, err = object(resp, "token response", &t)
	t.bytes = len(resp.Body)
	switch {
	case t.refuses(): // some do so with status 200
		return nil, responseError(resp)
	case errors.Is(err, errMemberType):
		return nil, t.unusable(err.Error())
	case err != nil:
		return nil, err
	case t.AccessToken == "" || !isTokenText(t.AccessToken) || !isTokenText(t.RefreshToken):
		return nil, t.unusable("has no usable access_token")
	}
	return &t, nil
}

func (t *tokenResponse) refuses() bool {
	return printableMember(&t.members, "access_token") == "" && printableMember(&t.members, "error") != ""
}

// checkType: another type must be used in another way (RFC 6749 section 7.1).
func (t *tokenResponse) checkType(want string) error {
	if !strings.EqualFold(t.TokenType, want) {
		return t.unusable("has a token_type other than " + want)
	}
	return nil
}

func (t *tokenResponse) unusable(what string) error {
	u := &unusableResponseError{what: what}
	value, _ := t.members.Get("refresh_token")
	if s, ok := strictjson.String(value); ok && isTokenText(s) {
		u.refreshToken = strings.Clone(s) // not a part of a whole answer
	}
	return &Error{Reason: ReasonMalformed, Err: u}
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

// longestLife bounds expires_in and MaxAge: beyond it a time would overflow.
const longestLife = 10 * 365 * 24 * time.Hour

func (t *tokenResponse) oauth2(now time.Time, rawIDToken string) *oauth2.Token {
	token := &oauth2.Token{AccessToken: t.AccessToken, TokenType: canonicalType(t.TokenType), RefreshToken: t.RefreshToken}
	if t.ExpiresIn != nil {
		life := min(max(float64(*t.ExpiresIn), 0), longestLife.Seconds())
		token.Expiry = now.Add(time.Duration(life * float64(time.Second)))
		token.ExpiresIn = int64(life)
	}
	return token.WithExtra(t.extra(rawIDToken))
}

// canonicalType spells a type as Authorization headers do.
func canonicalType(t string) string {
	for _, known := range [...]string{"Bearer", "DPoP"} {
		if strings.EqualFold(t, known) {
			return known
		}
	}
	return t
}

// extra are the members that oauth2.Token has no field for, as encoding/json decodes them.
// The ID token is the one that was verified.
func (t *tokenResponse) extra(rawIDToken string) map[string]any {
	extra := map[string]any{}
	for name, value := range t.members.All() {
		var v any
		if !slices.Contains(tokenFields, name) && json.Unmarshal([]byte(value), &v) == nil {
			extra[name] = v
		}
	}
	extra["id_token"], extra["scope"] = rawIDToken, t.Scope
	return extra
}

var tokenFields = []string{"access_token", "token_type", "refresh_token", "expires_in"}
