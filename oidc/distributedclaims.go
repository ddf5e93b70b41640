package oidc

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/internal/strictjson"
)

// DistributedClaims fetches the claims of others that an ID token or userinfo says are
// elsewhere (OpenID Connect Core section 5.6.2). Nobody but the caller of this method makes
// that happen, and only from the Endpoints of ClientConfig.ClaimSources, one after the
// other, each with the limits of every request (10 s, 1 MiB, no redirects), and all in 20 s:
// what was not there by then has an Err as in an outage. The answer must be a JWT of that
// ClaimSource.
//
// The errors are those of [Client.AggregatedClaims].
func (c *Client) DistributedClaims(ctx context.Context, set claims.Set) ([]SourcedClaims, error) {
	ctx, cancel := context.WithTimeout(ctx, maxDistributed)
	defer cancel()
	return c.sourced(set, "endpoint", func(r reference) SourcedClaims { return c.distributed(ctx, r) })
}

// maxDistributed is for all sources together: who logs in waits for them.
const maxDistributed = 20 * time.Second

func (c *Client) distributed(ctx context.Context, r reference) SourcedClaims {
	endpoint, ok := strictjson.String(r.value)
	if !ok {
		return r.failed(&Error{Reason: ReasonMalformed, Err: errors.New(`"endpoint" of a claim source is no string`)})
	}
	source := c.sourceAt(endpoint)
	if source == nil {
		return r.failed(ErrUntrustedSource)
	}
	raw, err := source.fetchClaims(ctx, endpoint, r.source)
	if err != nil {
		return r.failed(err)
	}
	return r.verified(ctx, source, raw)
}

// sourceAt returns the source that has an endpoint, or nil.
func (c *Client) sourceAt(endpoint string) *claimSource {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil
	}
	for i := range c.sources {
		for _, e := range c.sources[i].endpoints {
			if e.covers(u) {
				return &c.sources[i]
			}
		}
	}
	return nil
}

// fetchClaims gets the JWT, with the access token that the provider gave for it: "Claims
// SHOULD be requested using the Authorization Request header field".
func (s *claimSource) fetchClaims(ctx context.Context, endpoint string, source strictjson.Object) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
	if err != nil {
		return "", ErrUntrustedSource
	}
	req.Header.Set("Accept", mediaJWT)
	if value, ok := source.Get("access_token"); ok {
		token, ok := strictjson.String(value)
		if !ok || checkSendable(token) != nil {
			return "", &Error{Reason: ReasonMalformed, Err: errors.New(`"access_token" of a claim source is no token`)}
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := s.provider.fetch.Do(req)
	switch {
	case err != nil:
		return "", err
	case resp.Status != http.StatusOK:
		return "", responseError(resp)
	case !resp.Is(mediaJWT):
		return "", unavailable("distributed claims", fetch.ErrMediaType)
	}
	return string(resp.Body), nil
}

// A sourceEndpoint is where distributed claims may be fetched from.
type sourceEndpoint struct {
	origin, path string // the path ends with "/" if it stands for those below
}

func newSourceEndpoint(endpoint string, transport fetch.Config) (sourceEndpoint, error) {
	if err := transport.CheckURL(endpoint); err != nil {
		return sourceEndpoint{}, err
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.RawQuery != "" || u.ForceQuery || !isPlainPath(u) {
		return sourceEndpoint{}, errors.New("an endpoint must be a URL without query, whose path has no dots to resolve and no percent-encoding")
	}
	return sourceEndpoint{origin(u), u.Path}, nil
}

// covers: a path that another server could read in another way is not compared.
func (e sourceEndpoint) covers(u *url.URL) bool {
	switch {
	case u.User != nil || u.Fragment != "" || origin(u) != e.origin || !isPlainPath(u):
		return false
	case strings.HasSuffix(e.path, "/"):
		return strings.HasPrefix(u.Path, e.path)
	}
	return u.Path == e.path
}

// isPlainPath reports whether there is one way to read a path.
func isPlainPath(u *url.URL) bool {
	escaped := u.EscapedPath()
	return !strings.ContainsAny(escaped, `%\;`) && (escaped == "/" || path.Clean(escaped) == strings.TrimSuffix(escaped, "/"))
}
