package clientauth

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/oidckit/oidckit/internal/fetch"
)

// TransportConfig says how a [RoundTripper] proves who the client is. It prints as its
// client ID.
type TransportConfig struct {
	// Method is required. Of what there is to choose from, [Auto] takes what is right at a
	// provider that lists nothing, which is client_secret_basic: name another one.
	Method Method
	// ClientID is required. The one in the oauth2.Config does not count.
	ClientID string
	// TokenEndpoint is required. It is the TokenURL of the oauth2.Config: https, or http on
	// loopback, without user info.
	TokenEndpoint string
	// Issuer is the provider's; assertions are made out to it, and need it.
	Issuer string
	// Base makes the requests; nil means a transport as http.DefaultTransport is. It
	// is used as it is for all requests but those to the token endpoint, to which the
	// certificate of [TLS] is presented: if there is one, Base must be a *http.Transport.
	Base http.RoundTripper
}

func (cfg TransportConfig) shown() string {
	return fmt.Sprintf("clientauth.TransportConfig(%q)", cfg.ClientID)
}

// Format prints the client ID with every verb.
func (cfg TransportConfig) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(cfg.shown())) }

// MarshalText prints the client ID.
func (cfg TransportConfig) MarshalText() ([]byte, error) { return []byte(cfg.shown()), nil }

// LogValue prints the client ID.
func (cfg TransportConfig) LogValue() slog.Value { return slog.StringValue(cfg.shown()) }

// RoundTripper is for programs that stay on golang.org/x/oauth2: it proves with a [Method]
// who the client is, in each request to the token endpoint, in place of what x/oauth2
// put there. So oauth2.Config.Exchange, its refreshing TokenSource and
// clientcredentials work with assertions and certificates:
//
//	client := &http.Client{Transport: clientauth.RoundTripper(cfg)}
//	ctx = context.WithValue(ctx, oauth2.HTTPClient, client)
//	token, err := config.Exchange(ctx, code, oauth2.VerifierOption(verifier))
//
// Set Endpoint.AuthStyle to oauth2.AuthStyleInParams, and leave ClientSecret empty.
// x/oauth2 tries everything twice otherwise, and only tells how the second try ended. A code is
// sent once in any case (RFC 6749 section 4.1.2), and a refresh token not again within 5 s
// of an answer that did not succeed or did not come, for it may be used up: the second
// request with it is an error with ReasonRepeated.
//
// Requests to other URLs pass untouched, but for those that look like requests for tokens, with a
// "grant_type" in a form that is posted: they are errors with ReasonRequest, for a TokenURL
// that is not TokenEndpoint would be sent the code, and no proof. Another spelling of
// TokenEndpoint (the case of its host, a default port) is TokenEndpoint. Answers of it that
// redirect are errors with ReasonRedirect, since http.Client would carry the code to another
// place. What is no form that is posted there, or a form of more than 1 MiB, is an error
// with ReasonRequest. A wrong configuration is an error of each request. Errors are of type
// *[Error]. It is safe for concurrent use.
func RoundTripper(cfg TransportConfig) http.RoundTripper {
	t := &transport{cfg: func() TransportConfig { return cfg }, sent: &sentGrants{}}
	t.err = t.set(cfg)
	return t
}

// A transport has all that could print a secret behind functions.
type transport struct {
	cfg         func() TransportConfig
	err         error // of the configuration
	endpoint    *url.URL
	pass, prove func(*http.Request) (*http.Response, error)
	sent        *sentGrants
}

// Format prints the endpoint, without query, with every verb.
func (t *transport) Format(f fmt.State, _ rune) {
	shown := ""
	if t.endpoint != nil {
		shown = origin(t.endpoint) + pathOf(t.endpoint)
	}
	_, _ = fmt.Fprintf(f, "clientauth.RoundTripper(%s)", shown)
}

func (t *transport) set(cfg TransportConfig) error {
	if cfg.Method == nil {
		return problem(ReasonConfiguration, "TransportConfig.Method is required")
	}
	err := fetch.CheckURL(cfg.TokenEndpoint, false)
	if err == nil {
		t.endpoint, err = url.Parse(cfg.TokenEndpoint)
	}
	if err != nil {
		return &Error{Reason: ReasonConfiguration, Err: err, text: "TransportConfig.TokenEndpoint cannot be used: give the TokenURL of the oauth2.Config"}
	}
	return t.setBase(cfg)
}

func (t *transport) setBase(cfg TransportConfig) error {
	base := cfg.Base
	if base == nil {
		base = http.DefaultTransport
	}
	t.pass, t.prove = base.RoundTrip, base.RoundTrip
	m, ok := cfg.Method.(Certified)
	if !ok || m.ClientCertificate() == nil {
		return nil
	}
	own, err := presenting(base, m.ClientCertificate())
	if err != nil {
		return err
	}
	t.prove = own.RoundTrip
	return nil
}

func presenting(base http.RoundTripper, certificate CertificateFunc) (*http.Transport, error) {
	shared, ok := base.(*http.Transport)
	if !ok {
		return nil, problem(ReasonConfiguration, "TransportConfig.Base cannot be given a certificate: let it be a *http.Transport, or present the certificate there and give TLS nil")
	}
	own := fetch.Presenting(shared, certificate)
	//lint:ignore SA1019 old programs still set it, and net/http obeys
	if own.DialTLSContext != nil || own.DialTLS != nil {
		return nil, problem(ReasonConfiguration, "TransportConfig.Base dials TLS by a function of its own, which presents no certificate: leave DialTLSContext and DialTLS nil")
	}
	return own, nil
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	switch {
	case t.err != nil:
		closeBody(req)
		return nil, t.err
	case !t.isEndpoint(req.URL):
		return t.passOn(req)
	}
	form, err := readForm(req)
	if err != nil {
		return nil, err
	}
	proven, err := t.proven(req.Context(), req, form)
	if err != nil {
		return nil, err
	}
	if err := t.sent.add(form); err != nil {
		return nil, err
	}
	return t.send(proven, form)
}

// isEndpoint compares URLs in one spelling.
func (t *transport) isEndpoint(u *url.URL) bool {
	return origin(u) == origin(t.endpoint) && pathOf(u) == pathOf(t.endpoint) && u.RawQuery == t.endpoint.RawQuery
}

// origin returns scheme, host and port, each in one spelling (RFC 6454 section 4).
func origin(u *url.URL) string {
	scheme, port := strings.ToLower(u.Scheme), u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[scheme]
	}
	return scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// pathOf: an empty path is "/" (RFC 9110 section 4.2.3).
func pathOf(u *url.URL) string { return cmp.Or(u.EscapedPath(), "/") }

// passOn sends a request that is not for the token endpoint, unless it is one for a token.
func (t *transport) passOn(req *http.Request) (*http.Response, error) {
	if !isForm(req) {
		return t.pass(req)
	}
	start, err := io.ReadAll(io.LimitReader(req.Body, maxForm))
	if err != nil {
		closeBody(req)
		return nil, err
	}
	if form, _ := url.ParseQuery(string(start)); form.Has("grant_type") {
		closeBody(req)
		return nil, problem(ReasonRequest, "this is a request for a token, but not to TransportConfig.TokenEndpoint: it must be the TokenURL of the oauth2.Config")
	}
	same := req.Clone(req.Context())
	same.Body = &rejoined{io.MultiReader(bytes.NewReader(start), req.Body), req.Body}
	return t.pass(same)
}

// A rejoined body is one whose start was read.
type rejoined struct {
	io.Reader
	io.Closer
}

func (t *transport) send(req *http.Request, form url.Values) (*http.Response, error) {
	resp, err := t.prove(req)
	if err != nil {
		t.sent.answered(form, 0)
		return nil, err
	}
	t.sent.answered(form, resp.StatusCode)
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		_ = resp.Body.Close() // there is nothing left to lose
		return nil, problem(ReasonRedirect, fmt.Sprintf("the token endpoint redirects (status %d), and redirects are not followed: TokenEndpoint must be where it is", resp.StatusCode))
	}
	return resp, nil
}

// proven returns the request with the proof. A RoundTripper must not change the
// request that it was given.
func (t *transport) proven(ctx context.Context, req *http.Request, form url.Values) (*http.Request, error) {
	cfg := t.cfg()
	provider := Provider{Issuer: cfg.Issuer, TokenEndpoint: cfg.TokenEndpoint}
	method, err := forCall(cfg.Method, provider)
	if err != nil {
		return nil, err
	}
	form.Del("client_id") // what x/oauth2 put; the method puts what it needs
	r := &Request{ClientID: cfg.ClientID, Endpoint: cfg.TokenEndpoint, Provider: provider, Header: req.Header.Clone(), Form: form}
	if err := r.prepare(); err != nil { // for methods that others wrote
		return nil, err
	}
	if err := method.Authenticate(ctx, r); err != nil {
		return nil, err
	}
	proven := req.Clone(ctx)
	at := *t.endpoint
	proven.Header, proven.URL, proven.Host = r.Header, &at, "" // as it is configured
	setBody(proven, []byte(r.Form.Encode()))
	return proven, nil
}

func setBody(req *http.Request, body []byte) {
	req.ContentLength = int64(len(body))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	req.Body, _ = req.GetBody()
}

// maxForm is as much as a form may have, in bytes: tokens that are exchanged stand in it.
const maxForm = 1 << 20

// readForm reads and closes the body.
func readForm(req *http.Request) (url.Values, error) {
	defer closeBody(req)
	if !isForm(req) {
		return nil, problem(ReasonRequest, "this is no form that is posted, as all requests to the token endpoint are (RFC 6749 section 3.2)")
	}
	body, err := io.ReadAll(io.LimitReader(req.Body, maxForm+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > maxForm:
		return nil, problem(ReasonRequest, "the form is larger than 1 MiB")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil { // its text has part of the form
		return nil, problem(ReasonRequest, "the form cannot be parsed")
	}
	return form, nil
}

func isForm(req *http.Request) bool {
	media, _, _ := mime.ParseMediaType(req.Header.Get("Content-Type"))
	return req.Method == http.MethodPost && media == "application/x-www-form-urlencoded" && req.Body != nil
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close() // as above
	}
}
