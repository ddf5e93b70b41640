package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/internal/strictjson"
)

// WebFingerConfig says whom [WebFinger] may ask, and whom it may find.
type WebFingerConfig struct {
	// AllowedIssuers are the providers that people may come from; one of them must be
	// found. Required: whoever runs a host decides what WebFinger finds there.
	AllowedIssuers []string
	// InsecureAnyIssuer takes whatever is found. What a provider says of somebody is then
	// worth no more than the provider; give its Config PublicOnly.
	InsecureAnyIssuer bool

	// AllowedHosts, if there are any, are the only ones to be asked: the part of an
	// identifier after the "@", or of a URL, with the port if it has one.
	AllowedHosts []string
	// InsecurePrivateHosts also asks hosts that are not on the public Internet. Who types
	// an identifier then chooses which of our own machines gets a request.
	InsecurePrivateHosts bool

	// HTTPClient makes the request; its transport must leave dialling to us unless
	// InsecurePrivateHosts is set. Nil means one of our own.
	HTTPClient *http.Client
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// Errors of [WebFinger].
var (
	// ErrIdentifier says that what a person typed is nothing to ask a host about.
	ErrIdentifier = errors.New("oidc: no identifier for WebFinger: it must be like joe@example.com or https://example.com/joe")
	// ErrNoIssuer says that the host knows no provider of the person, or none that is
	// allowed.
	ErrNoIssuer = errors.New("oidc: WebFinger finds no allowed issuer")
)

// WebFinger finds the issuer of a person by what he typed: an e-mail address or account
// ("joe@example.com", "acct:joe@example.com"), a host or a URL (OpenID Connect Discovery
// 1.0 section 2, RFC 7033). Other schemes, XRIs, and hosts that are not ASCII are refused
// with [ErrIdentifier]: write the latter as xn--….
//
// One host is asked, the one in the identifier: over https, on the public Internet, without
// following redirects. What it says selects among the allowed issuers and proves nothing;
// the login that follows does. A host that does not answer, or not like WebFinger, answers
// errors.Is for oidckit.ErrUnavailable.
func WebFinger(ctx context.Context, cfg WebFingerConfig, identifier string) (issuer string, err error) {
	client, err := cfg.client()
	if err != nil {
		return "", err
	}
	resource, host, err := normalize(identifier)
	if err != nil {
		return "", err
	}
	if !cfg.mayAsk(host) {
		return "", fmt.Errorf("%w: the host is not among WebFingerConfig.AllowedHosts", ErrNoIssuer)
	}
	query := url.Values{"resource": {resource}, "rel": {issuerRelation}}
	resp, err := client.Get(ctx, "https://"+host+"/.well-known/webfinger?"+query.Encode(), "application/jrd+json", "application/json")
	var answered *fetch.Error
	switch {
	case errors.As(err, &answered) && answered.Status == http.StatusNotFound: // RFC 7033 section 4.2
		return "", ErrNoIssuer
	case err != nil:
		return "", err
	}
	found, err := issuersIn(resp.Body)
	if err != nil {
		return "", err
	}
	return cfg.choose(found)
}

func (cfg WebFingerConfig) client() (*fetch.Client, error) {
	switch {
	case len(cfg.AllowedIssuers) == 0 && !cfg.InsecureAnyIssuer:
		return nil, errors.New("oidc: WebFingerConfig.AllowedIssuers must name the providers that people may come from")
	case len(cfg.AllowedIssuers) > 0 && cfg.InsecureAnyIssuer:
		return nil, errors.New("oidc: WebFingerConfig.InsecureAnyIssuer stands against AllowedIssuers")
	}
	transport := fetch.Config{HTTPClient: cfg.HTTPClient, PublicOnly: !cfg.InsecurePrivateHosts, Now: cfg.Now}
	if err := transport.Check(); err != nil {
		return nil, fmt.Errorf("oidc: WebFingerConfig.%w", err)
	}
	return fetch.New(transport), nil
}

func (cfg WebFingerConfig) mayAsk(host string) bool {
	return len(cfg.AllowedHosts) == 0 ||
		slices.ContainsFunc(cfg.AllowedHosts, func(h string) bool { return lowerASCII(h) == host })
}

const issuerRelation = "http://openid.net/specs/connect/1.0/issuer"

// normalize finds resource and host of what a person typed (OpenID Connect Discovery 1.0
// section 2.1.2).
func normalize(typed string) (resource, host string, err error) {
	typed, _, _ = strings.Cut(strings.TrimSpace(typed), "#") // "[...] MUST be stripped off"
	// "=", "@" and "!" begin an XRI, which is reserved; the rest are its other symbols.
	if !isIdentifier(typed) || strings.ContainsAny(typed[:1], "=@!+$*(") {
		return "", "", ErrIdentifier
	}
	if account, ok := cutScheme(typed, "acct:"); ok {
		return normalizeAccount(account)
	}
	// An account has no port, path or query.
	if strings.Contains(typed, "@") && !strings.ContainsAny(typed, ":/?") {
		return normalizeAccount(typed)
	}
	rest, ok := cutScheme(typed, "https://")
	if !ok && strings.Contains(typed, "://") {
		return "", "", ErrIdentifier
	}
	return normalizeURL(rest)
}

// cutScheme: schemes are of any case (RFC 3986 section 3.1).
func cutScheme(s, scheme string) (rest string, ok bool) {
	if len(s) < len(scheme) || !strings.EqualFold(s[:len(scheme)], scheme) {
		return s, false
	}
	return s[len(scheme):], true
}

// normalizeAccount: RFC 7565. The last "@" is the one before the host.
func normalizeAccount(account string) (resource, host string, err error) {
	at := strings.LastIndexByte(account, '@')
	if at <= 0 {
		return "", "", ErrIdentifier
	}
	host = lowerASCII(account[at+1:])
	if !isHost(host) || strings.Contains(host, ":") || strings.ContainsAny(account[:at], "/?@ ") {
		return "", "", ErrIdentifier
	}
	return "acct:" + account[:at+1] + host, host, nil
}

func normalizeURL(rest string) (resource, host string, err error) {
	u, err := url.Parse("https://" + rest)
	if err != nil {
		return "", "", ErrIdentifier
	}
	if _, password := u.User.Password(); password || !isHost(lowerASCII(u.Host)) {
		return "", "", ErrIdentifier
	}
	if u.Host = lowerASCII(u.Host); u.Path == "" {
		u.Path = "/"
	}
	return u.String(), u.Host, nil
}

// isHost reports whether s is a host as it stands in a URL, with a port or without: of
// lower-case letters, or an address.
func isHost(s string) bool {
	u, err := url.Parse("https://" + s)
	if err != nil || u.Host != s || strings.HasSuffix(s, ":") {
		return false
	}
	if port, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" && (err != nil || port == 0) {
		return false
	}
	if strings.HasPrefix(s, "[") {
		ip, err := netip.ParseAddr(u.Hostname())
		return err == nil && ip.Zone() == ""
	}
	return u.Hostname() != "" && !strings.ContainsFunc(u.Hostname(), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("-._", r)
	})
}

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// issuersIn reads a JRD (RFC 7033 section 4.4): what it links to as issuers, in its order.
func issuersIn(body []byte) ([]string, error) {
	var jrd struct {
		Links []struct {
			Relation string `json:"rel"`
			Target   string `json:"href"`
		} `json:"links"`
	}
	if err := strictjson.Unmarshal(body, &jrd); err != nil {
		return nil, unavailable("WebFinger", errors.New("the answer is no JSON Resource Descriptor"))
	}
	var issuers []string
	for _, l := range jrd.Links {
		if l.Relation == issuerRelation {
			issuers = append(issuers, l.Target)
		}
	}
	return issuers, nil
}

// choose takes the first that is allowed: "The order of elements in the 'links' array MAY
// be interpreted as indicating an order of preference".
func (cfg WebFingerConfig) choose(found []string) (string, error) {
	for _, issuer := range found {
		if isHTTPSIssuer(issuer) && (cfg.InsecureAnyIssuer || slices.Contains(cfg.AllowedIssuers, issuer)) {
			return issuer, nil
		}
	}
	return "", ErrNoIssuer
}

// isHTTPSIssuer: "a URI using the https scheme with a host component and optionally, port
// number and path components and no query or fragment components".
func isHTTPSIssuer(s string) bool {
	return isIdentifier(s) && strings.HasPrefix(s, "https://") && !strings.Contains(s, "?") && fetch.CheckURL(s, false) == nil
}
