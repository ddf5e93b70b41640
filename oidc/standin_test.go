package oidc_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

// A reply is what a stand-in says. The zero reply has status 200 and an empty object.
type reply struct {
	status int
	kind   string // default application/json
	body   any    // a string as it is, else JSON
	header http.Header
	err    error // of the connection
	hang   bool
}

// A standIn answers at some paths what a test wants, in the provider's place.
type standIn struct {
	next    http.RoundTripper
	replies map[string]func(*http.Request, string) reply // by path

	mu    sync.Mutex
	seen  []*http.Request
	body  []string
	times []time.Time
}

func (s *standIn) RoundTrip(req *http.Request) (*http.Response, error) {
	answer, ok := s.replies[req.URL.Path]
	if !ok {
		return s.next.RoundTrip(req)
	}
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body)
	}
	s.mu.Lock()
	s.seen, s.body, s.times = append(s.seen, req), append(s.body, string(body)), append(s.times, time.Now())
	s.mu.Unlock()
	r := answer(req, string(body))
	if r.hang {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	return r.response(req)
}

func (r reply) response(req *http.Request) (*http.Response, error) {
	if r.err != nil {
		return nil, r.err
	}
	text, ok := r.body.(string)
	if !ok {
		encoded, err := json.Marshal(r.body)
		if err != nil {
			return nil, err
		}
		text = string(encoded)
	}
	resp := &http.Response{StatusCode: r.status, Header: r.header.Clone(), Body: io.NopCloser(strings.NewReader(text)), Request: req}
	if resp.StatusCode == 0 {
		resp.StatusCode = http.StatusOK
	}
	if resp.Header == nil {
		resp.Header = http.Header{}
	}
	if resp.Header.Set("Content-Type", r.kind); r.kind == "" {
		resp.Header.Set("Content-Type", "application/json")
	}
	return resp, nil
}

// sent returns the requests to a path, and their bodies and times.
func (s *standIn) sent(path string) (requests []*http.Request, bodies []string, times []time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, req := range s.seen {
		if req.URL.Path == path {
			requests, bodies, times = append(requests, req), append(bodies, s.body[i]), append(times, s.times[i])
		}
	}
	return requests, bodies, times
}

// in makes a stand-in for op, and a provider that has it at the given endpoints.
func (s *standIn) in(t testing.TB, op *oidctest.Provider, change ...func(*discovery.Metadata)) *oidc.Provider {
	t.Helper()
	s.next = op.HTTPClient().Transport
	m := metadataOf(op)
	m.DeviceAuthorizationEndpoint, m.BackchannelAuthenticationEndpoint = issuer+"/device", issuer+"/bc"
	m.RegistrationEndpoint = issuer + "/register"
	for _, f := range change {
		f(&m)
	}
	return newProvider(t, op, withMetadata(m), func(c *oidc.Config) { c.HTTPClient = &http.Client{Transport: s} })
}

// inTurn gives one reply after the other, and the last for ever.
func inTurn(replies ...reply) func(*http.Request, string) reply {
	var mu sync.Mutex
	i := 0
	return func(*http.Request, string) reply {
		mu.Lock()
		defer mu.Unlock()
		r := replies[i]
		i = min(i+1, len(replies)-1)
		return r
	}
}

func always(r reply) func(*http.Request, string) reply { return inTurn(r) }

func refusal(code string) reply {
	return reply{status: 400, body: object{"error": code, "error_description": marker}}
}

func formOf(t testing.TB, body string) url.Values {
	t.Helper()
	form, err := url.ParseQuery(body)
	require.NoError(t, err)
	return form
}

var errConnection = errors.New(marker + " connection reset")

// outageReplies are answers of an endpoint that is not well.
func outageReplies() map[string]reply {
	return map[string]reply{
		"500":        {status: 500, body: object{"error": "invalid_grant"}},
		"503":        {status: 503, kind: "text/html", body: "<h1>" + marker + "</h1>"},
		"429":        {status: 429},
		"HTML":       {kind: "text/html", body: "<h1>" + marker + "</h1>"},
		"no JSON":    {body: "{" + marker},
		"connection": {err: errConnection},
		"redirect":   {status: 302, header: http.Header{"Location": {"https://evil.example/" + marker}}},
		"in trouble": {status: 400, body: object{"error": "temporarily_unavailable"}},
	}
}
