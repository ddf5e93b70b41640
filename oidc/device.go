package oidc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/oidckit/oidckit/internal/fetch"
)

// A DeviceAuthorization is what a device without a browser shows, so that a person lets it
// in with another (RFC 8628 section 3.2). Show VerificationURI, host and all, and UserCode;
// tell people to enter a code only if the device before them shows it: somebody may send
// them a link with a code of his own (section 5.4).
type DeviceAuthorization struct {
	UserCode        string
	VerificationURI string // https
	// VerificationURIComplete has the code in it, for a QR code; empty if the provider has
	// none. UserCode is to be shown beside it, for the person to compare.
	VerificationURIComplete string
	Expires                 time.Time
	Interval                time.Duration // the shortest pause between requests for tokens

	pending func() *pendingRequest // a function, for package fmt cannot look into it
}

const redactedDevice = "oidc.DeviceAuthorization[redacted]"

// Format redacts, whatever the verb: whoever reads the user code can approve it in
// another's place.
func (d DeviceAuthorization) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redactedDevice)) }

// MarshalText redacts, in JSON too: send a page what it is to show.
func (d DeviceAuthorization) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// LogValue redacts, as Format does.
func (d DeviceAuthorization) LogValue() slog.Value { return slog.StringValue(redactedDevice) }

// DeviceAuthorization starts a login of a device (RFC 8628 section 3.1). The scope is
// ClientConfig.Scopes, unless an option says otherwise. The client needs no RedirectURL.
//
// A provider that refuses the client is a *[ResponseError]; an outage, and an answer that
// cannot be used, answers errors.Is for oidckit.ErrUnavailable.
func (c *Client) DeviceAuthorization(ctx context.Context, options ...Option) (*DeviceAuthorization, error) {
	var answer struct {
		UserCode    string `json:"user_code"`
		URI         string `json:"verification_uri"`
		URIComplete string `json:"verification_uri_complete"`
		Google      string `json:"verification_url"` // as in the drafts of RFC 8628
	}
	pending, err := c.ask(ctx, deviceAuthorizationEndpoint, url.Values{}, options, "device_code", &answer)
	if err != nil {
		return nil, err
	}
	if answer.URI == "" {
		answer.URI = answer.Google
	}
	d := &DeviceAuthorization{
		UserCode: answer.UserCode, VerificationURI: answer.URI, VerificationURIComplete: answer.URIComplete,
		Expires: pending.expires, Interval: pending.interval, pending: func() *pendingRequest { return pending },
	}
	if err := d.check(); err != nil {
		return nil, err
	}
	return d, nil
}

// check: people will read the code and open the URI.
func (d *DeviceAuthorization) check() error {
	switch {
	case !isIdentifier(d.UserCode):
		return malformedAnswer(deviceAuthorizationEndpoint, "has no usable user_code")
	case !isForPeople(d.VerificationURI):
		return malformedAnswer(deviceAuthorizationEndpoint, "has no usable verification_uri")
	case d.VerificationURIComplete != "" && !isForPeople(d.VerificationURIComplete):
		return malformedAnswer(deviceAuthorizationEndpoint, "has no usable verification_uri_complete")
	}
	return nil
}

func isForPeople(uri string) bool { return isIdentifier(uri) && fetch.CheckURL(uri, false) == nil }

// DeviceTokens waits until the person has let the device in, and returns the tokens (RFC
// 8628 section 3.4). It asks as often as the provider allows, goes on through outages at a
// slower pace, and ends when d expires or ctx ends. The ID token is verified; it is there
// if the scope has "openid".
//
// Errors: errors.Is for oidckit.ErrForbidden if the person said no, for
// [ErrRequestExpired] if nobody said anything in time, for the error of ctx if that ended;
// *[Error] if the tokens are refused; *[ResponseError] for another refusal.
func (c *Client) DeviceTokens(ctx context.Context, d *DeviceAuthorization, options ...Option) (*Tokens, error) {
	if d == nil || d.pending == nil {
		return nil, errors.New("oidc: DeviceTokens needs what DeviceAuthorization returned")
	}
	pending := d.pending()
	return c.poll(ctx, pending, url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {pending.code},
	}, options)
}

func scopeText(scopes []string) string { return strings.Join(scopes, " ") }

func hasScope(text, scope string) bool { return slices.Contains(strings.Fields(text), scope) }
