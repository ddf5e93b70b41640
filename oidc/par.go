package oidc

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// pushed is the answer to a pushed authorization request (RFC 9126 section 2.2).
type pushed struct {
	RequestURI string   `json:"request_uri"`
	ExpiresIn  *seconds `json:"expires_in"`
}

// push hands an authorization request to the provider, and returns what is left of it for
// the browser, and until when that is good.
func (c *Client) push(ctx context.Context, params url.Values) (url.Values, time.Time, error) {
	asked := c.provider.now() // the provider counts from later on
	resp, err := c.post(ctx, call{to: pushedAuthorizationRequestEndpoint, form: params})
	if err != nil {
		return nil, time.Time{}, err
	}
	// It is 201; some say 200.
	if resp.Status != http.StatusCreated && resp.Status != http.StatusOK {
		return nil, time.Time{}, responseError(resp)
	}
	const what = "pushed authorization request"
	var p pushed
	if _, err = object(resp, what, &p); err == nil {
		err = p.check()
	}
	if err != nil {
		return nil, time.Time{}, unavailable(what, err)
	}
	life := min(float64(*p.ExpiresIn), longestLife.Seconds())
	// Nothing else goes through the browser, so nothing else can be changed there
	// (RFC 9126 section 4).
	return url.Values{"client_id": {c.cfg.ClientID}, "request_uri": {p.RequestURI}},
		asked.Add(time.Duration(life * float64(time.Second))), nil
}

const maxRequestURI = 2048 // bytes

func (p *pushed) check() error {
	u, err := url.Parse(p.RequestURI)
	switch {
	case err != nil || u.Scheme == "" || len(p.RequestURI) > maxRequestURI || !isTokenText(p.RequestURI):
		return errors.New("the answer has no usable request_uri")
	case p.ExpiresIn == nil || *p.ExpiresIn <= 0:
		return errors.New("the answer has no positive expires_in")
	}
	return nil
}
