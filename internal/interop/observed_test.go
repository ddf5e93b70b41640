package interop_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/internal/interop"
	"github.com/oidckit/oidckit/oidc"
)

// observed is a transport that lets a test see what the provider answers, code and all.
type observed struct {
	base    http.RoundTripper
	double  atomic.Bool // the next token request is sent twice: the client sees what came of the second one
	answers map[string]chan map[string]any
}

func observe(op *interop.OP, base http.RoundTripper) *observed {
	o := &observed{base: base, answers: map[string]chan map[string]any{}}
	for _, path := range []string{"/token", "/backchannel"} {
		o.answers[op.Issuer+path] = make(chan map[string]any, 100)
	}
	return o
}

// next waits for the next answer of an endpoint.
func (o *observed) next(t *testing.T, endpoint string) map[string]any {
	t.Helper()
	select {
	case answer := <-o.answers[endpoint]:
		return answer
	case <-time.After(30 * time.Second):
		require.Fail(t, "there was no request", "%s", endpoint)
		return nil
	}
}

func (o *observed) RoundTrip(r *http.Request) (*http.Response, error) {
	answers := o.answers[r.URL.String()]
	if answers == nil {
		return o.base.RoundTrip(r)
	}
	if r.URL.Path == "/token" && o.double.CompareAndSwap(true, false) {
		if _, err := o.read(r, nil); err != nil {
			return nil, err
		}
	}
	return o.read(r, answers)
}

// read makes a request, and keeps a copy of the answer.
func (o *observed) read(r *http.Request, answers chan<- map[string]any) (*http.Response, error) {
	once := r.Clone(r.Context())
	var err error
	if once.Body, err = r.GetBody(); err != nil {
		return nil, err
	}
	res, err := o.base.RoundTrip(once)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	var answer map[string]any
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, err
	}
	if answers != nil {
		answers <- answer
	}
	res.Body = io.NopCloser(bytes.NewReader(text))
	return res, nil
}

// observedClient is the client of a registration with client_secret_basic, and what the provider answers it.
func observedClient(t *testing.T, op *interop.OP, registered interop.Client, cfg oidc.ClientConfig) (*oidc.Client, *observed) {
	t.Helper()
	answers := observe(op, http.DefaultTransport)
	cfg.ClientID, cfg.ClientSecret, cfg.RedirectURL = registered.ID, clientauth.Secret(registered.Secret), callbackURL
	provider := newProvider(t, oidc.Config{Issuer: op.Issuer, HTTPClient: &http.Client{Transport: answers}})
	client, err := oidc.NewClient(provider, cfg)
	require.NoError(t, err)
	return client, answers
}

// await waits for tokens meanwhile, and returns what tells what came of it.
func await(t *testing.T, wait func() (*oidc.Tokens, error)) (outcome func() (*oidc.Tokens, error)) {
	t.Helper()
	var tokens *oidc.Tokens
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		tokens, err = wait()
	}()
	return func() (*oidc.Tokens, error) {
		t.Helper()
		select {
		case <-done:
			return tokens, err
		case <-time.After(30 * time.Second):
			require.Fail(t, "there are no tokens")
			return nil, nil
		}
	}
}
