package clientauth_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/oidckit/oidckit/clientauth"
)

// op is a token endpoint that lets in whom it knows.
type op struct {
	*httptest.Server
	admit func(r *http.Request) error // the client

	mu    sync.Mutex
	forms []url.Values
	used  map[any]bool // jti
}

func newOP(t testing.TB, start func(*httptest.Server)) *op {
	t.Helper()
	o := &op{used: map[any]bool{}}
	o.Server = httptest.NewUnstartedServer(http.HandlerFunc(o.serve))
	o.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that fail are meant to
	start(o.Server)
	t.Cleanup(o.Close)
	return o
}

func (o *op) tokenURL() string { return o.URL + "/token" }

func (o *op) requests() []url.Values {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.forms
}

func (o *op) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/token" {
		fmt.Fprint(w, r.Header.Get("Authorization"))
		return
	}
	if err := r.ParseForm(); err != nil {
		http.Error(w, "", http.StatusBadRequest)
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.forms = append(o.forms, r.PostForm)
	w.Header().Set("Content-Type", "application/json")
	if err := o.admit(r); err != nil {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"error":"invalid_client","error_description":%q}`, err.Error())
		return
	}
	fmt.Fprintf(w, `{"access_token":"at%d","token_type":"Bearer","expires_in":1,"refresh_token":"rt%d"}`, len(o.forms), len(o.forms))
}

// byAssertion admits a client with an assertion that was made out to issuer, once. It
// is called under the lock.
func (o *op) byAssertion(t testing.TB) func(*http.Request) error {
	return func(r *http.Request) error {
		form := r.PostForm
		_, claims := verify(t, form.Get("client_assertion"), "ES256", keyFor("ES256").Public())
		life := claims["exp"].(float64) - claims["iat"].(float64)
		switch {
		case r.Header.Get("Authorization") != "" || form.Has("client_secret"):
			return errors.New("two proofs")
		case len(form["client_assertion"]) != 1 || len(form["client_id"]) != 1:
			return errors.New("more than one value")
		case claims["iss"] != clientID || claims["sub"] != clientID || form.Get("client_id") != clientID:
			return errors.New("another client")
		case claims["aud"] != issuer || life > 60:
			return errors.New("aud or exp")
		case o.used[claims["jti"]]:
			return errors.New("used before")
		}
		o.used[claims["jti"]] = true
		return nil
	}
}

func plain(s *httptest.Server) { s.Start() }

// through returns a context with which x/oauth2 uses the round tripper.
func through(ctx context.Context, rt http.RoundTripper) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: rt})
}

func (o *op) transport(m clientauth.Method) clientauth.TransportConfig {
	return clientauth.TransportConfig{Method: m, ClientID: clientID, TokenEndpoint: o.tokenURL(), Issuer: issuer, Base: o.Client().Transport}
}

// config has what x/oauth2 would send by itself.
func (o *op) config(style oauth2.AuthStyle) *oauth2.Config {
	return &oauth2.Config{ClientID: "other", ClientSecret: "x-secret", Endpoint: oauth2.Endpoint{TokenURL: o.tokenURL(), AuthStyle: style}}
}

var styles = map[string]oauth2.AuthStyle{
	"params": oauth2.AuthStyleInParams, "header": oauth2.AuthStyleInHeader, "detect": oauth2.AuthStyleAutoDetect,
}

func TestRoundTripper_Exchange(t *testing.T) {
	t.Parallel()
	for name, style := range styles {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOP(t, plain)
			o.admit = o.byAssertion(t)
			ctx := through(t.Context(), clientauth.RoundTripper(o.transport(clientauth.PrivateKeyJWT(newSigner("ES256")))))
			config := o.config(style)
			for i := range 3 {
				token, err := config.Exchange(ctx, fmt.Sprint("code", i), oauth2.VerifierOption("verifier"), oauth2.SetAuthURLParam("resource", "https://api.example"))
				require.NoError(t, err)
				require.Equal(t, fmt.Sprint("at", i+1), token.AccessToken)
			}
			forms := o.requests()
			require.Len(t, forms, 3)
			require.Equal(t, "code2", forms[2].Get("code"))
			require.Equal(t, "verifier", forms[2].Get("code_verifier"))
			require.Equal(t, "https://api.example", forms[2].Get("resource"))
			require.NotContains(t, fmt.Sprint(forms), "x-secret")
		})
	}
}

// The source that refreshes uses a context that it keeps; each refresh has an assertion
// of its own.
func TestRoundTripper_TokenSourceRefreshes(t *testing.T) {
	t.Parallel()
	for name, style := range styles {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOP(t, plain)
			o.admit = o.byAssertion(t)
			ctx := through(t.Context(), clientauth.RoundTripper(o.transport(clientauth.PrivateKeyJWT(newSigner("ES256")))))
			source := o.config(style).TokenSource(ctx, &oauth2.Token{RefreshToken: "rt0", Expiry: time.Unix(1, 0)})
			for i := range 3 { // tokens live a second: each is expired for x/oauth2
				token, err := source.Token()
				require.NoError(t, err)
				require.Equal(t, fmt.Sprint("at", i+1), token.AccessToken)
			}
			require.Equal(t, "rt2", o.requests()[2].Get("refresh_token"))
		})
	}
}

func TestRoundTripper_ClientCredentials(t *testing.T) {
	t.Parallel()
	o := newOP(t, plain)
	o.admit = o.byAssertion(t)
	ctx := through(t.Context(), clientauth.RoundTripper(o.transport(clientauth.PrivateKeyJWT(newSigner("ES256")))))
	config := clientcredentials.Config{TokenURL: o.tokenURL(), Scopes: []string{"a"}, AuthStyle: oauth2.AuthStyleInParams}
	for range 2 {
		_, err := config.Token(ctx)
		require.NoError(t, err)
	}
	require.Equal(t, "client_credentials", o.requests()[0].Get("grant_type"))
	require.Equal(t, "a", o.requests()[0].Get("scope"))
}

// The client of x/oauth2 goes through the round tripper to APIs too: nothing is changed
// there, and nothing is proved.
func TestRoundTripper_OtherRequestsPassUntouched(t *testing.T) {
	t.Parallel()
	o := newOP(t, plain)
	o.admit = o.byAssertion(t)
	ctx := through(t.Context(), clientauth.RoundTripper(o.transport(clientauth.PrivateKeyJWT(newSigner("ES256")))))
	client := o.config(oauth2.AuthStyleInParams).Client(ctx, &oauth2.Token{AccessToken: "of the API", Expiry: time.Now().Add(time.Hour)})
	for _, path := range []string{"/api", "/token/", "/token2"} {
		resp, err := client.Post(o.URL+path, "text/plain", strings.NewReader("body"))
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, "Bearer of the API", string(body))
	}
	require.Empty(t, o.requests())
}

// F31: what a TokenURL of another spelling is sent would have no proof, and a code that goes
// elsewhere is lost.
func TestF31_TokenRequestsGoToTheTokenEndpointAlone(t *testing.T) {
	t.Parallel()
	const at = "https://op.example/token"
	for name, tt := range map[string]struct {
		endpoint, target, form string
		sent                   string // empty: nothing
		proven                 bool
	}{
		"the endpoint":        {at, at, "grant_type=g&code=c", at, true},
		"host in capitals":    {at, "https://OP.example/token", "grant_type=g&code=c", at, true},
		"configured so":       {"https://OP.example/token", at, "grant_type=g&code=c", "https://OP.example/token", true},
		"default port":        {at, "https://op.example:443/token", "grant_type=g&code=c", at, true},
		"port configured":     {"https://op.example:443/token", at, "grant_type=g&code=c", "https://op.example:443/token", true},
		"empty port":          {at, "https://op.example:/token", "grant_type=g&code=c", at, true},
		"user info":           {at, "https://u:p@op.example/token", "grant_type=g&code=c", at, true},
		"no path":             {"https://op.example", "https://op.example/", "grant_type=g&code=c", "https://op.example", true},
		"with the query":      {at + "?a=b", at + "?a=b", "grant_type=g&code=c", at + "?a=b", true},
		"another query":       {at, at + "?a=b", "grant_type=g&code=c", "", false},
		"another port":        {at, "https://op.example:8443/token", "grant_type=g&code=c", "", false},
		"another host":        {at, "https://evil.example/token", "grant_type=g&refresh_token=r", "", false},
		"plain http":          {at, "http://op.example/token", "grant_type=g&code=c", "", false},
		"path in capitals":    {at, "https://op.example/TOKEN", "grant_type=g&code=c", "", false},
		"malformed besides":   {at, "https://evil.example/", "a=%zz&grant_type=g", "", false},
		"an empty grant":      {at, "https://evil.example/", "grant_type", "", false},
		"no token request":    {at, "https://api.example/x", "code=c&token=t", "https://api.example/x", false},
		"a long form":         {at, "https://api.example/x", "a=" + strings.Repeat("x", 2<<20), "https://api.example/x", false},
		"nothing in the form": {at, "https://api.example/x", "", "https://api.example/x", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var sent *http.Request
			var text []byte
			base := doing(func(r *http.Request) (*http.Response, error) {
				sent = r
				text, _ = io.ReadAll(r.Body)
				return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, r.Body.Close()
			})
			rt := clientauth.RoundTripper(clientauth.TransportConfig{Method: clientauth.SecretBasic(longSecret()), ClientID: clientID, TokenEndpoint: tt.endpoint, Base: base})
			req := formRequest(t, tt.form)
			target, err := url.Parse(tt.target)
			require.NoError(t, err)
			req.URL, req.Host = target, "evil.example"
			resp, err := rt.RoundTrip(req)
			require.True(t, req.Body.(*body).closed)
			if tt.sent == "" {
				requireReason(t, err, clientauth.ReasonRequest)
				require.Nil(t, sent)
				return
			}
			require.NoError(t, err)
			resp.Body.Close()
			require.Equal(t, tt.sent, sent.URL.String())
			_, _, proven := sent.BasicAuth()
			require.Equal(t, tt.proven, proven)
			if tt.proven {
				require.Empty(t, sent.Host, "of the URL")
				return
			}
			require.Equal(t, tt.form, string(text), "untouched")
			require.Equal(t, "evil.example", sent.Host)
		})
	}
}

func TestRoundTripper_Methods(t *testing.T) {
	t.Parallel()
	for name, m := range allMethods() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOP(t, plain)
			want := authenticate(t, m)
			o.admit = func(r *http.Request) error {
				for _, parameter := range []string{"client_id", "client_secret", "client_assertion_type"} {
					if r.PostForm.Get(parameter) != want.Form.Get(parameter) || len(r.PostForm[parameter]) > 1 {
						return errors.New(parameter)
					}
				}
				if r.Header.Get("Authorization") != want.Header.Get("Authorization") {
					return errors.New("Authorization")
				}
				return nil
			}
			for _, style := range styles {
				_, err := o.config(style).Exchange(through(t.Context(), clientauth.RoundTripper(o.transport(m))), fmt.Sprint("code", style))
				require.NoError(t, err)
			}
		})
	}
}

// Methods that others wrote find no proof of x/oauth2 in the request.
type silent struct{ seen *clientauth.Request }

func (silent) Name() string { return "silent" }

func (s silent) Authenticate(_ context.Context, r *clientauth.Request) error {
	*s.seen = *r
	return nil
}

func TestRoundTripper_TakesOutWhatXOAuth2Put(t *testing.T) {
	t.Parallel()
	for name, style := range styles {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOP(t, plain)
			o.admit = func(*http.Request) error { return nil }
			var seen clientauth.Request
			cfg := o.transport(silent{&seen})
			_, err := o.config(style).Exchange(through(t.Context(), clientauth.RoundTripper(cfg)), "code")
			require.NoError(t, err)
			require.Equal(t, url.Values{"grant_type": {"authorization_code"}, "code": {"code"}}, seen.Form)
			require.Equal(t, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, seen.Header)
			require.Equal(t, clientauth.Provider{Issuer: issuer, TokenEndpoint: o.tokenURL()}, seen.Provider)
			require.Equal(t, o.tokenURL(), seen.Endpoint)
		})
	}
}

// x/oauth2 tries a code twice if it does not know the style.
func TestF32_ACodeIsSentOnce(t *testing.T) {
	t.Parallel()
	for name, style := range styles {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOP(t, plain)
			o.admit = func(*http.Request) error { return errors.New("unknown") }
			ctx := through(t.Context(), clientauth.RoundTripper(o.transport(clientauth.SecretBasic(longSecret()))))
			_, err := o.config(style).Exchange(ctx, "c0de")
			require.Len(t, o.requests(), 1)
			require.Error(t, err)
			if style == oauth2.AuthStyleAutoDetect {
				requireReason(t, err, clientauth.ReasonRepeated)
				require.NotContains(t, err.Error(), "c0de")
				require.Contains(t, err.Error(), "401")
			} else {
				var answer *oauth2.RetrieveError
				require.ErrorAs(t, err, &answer)
				require.Equal(t, "invalid_client", answer.ErrorCode)
			}
			_, err = o.config(style).Exchange(ctx, "c0de")
			requireReason(t, err, clientauth.ReasonRepeated)
			_, err = o.config(oauth2.AuthStyleInParams).Exchange(ctx, "another")
			require.Error(t, err)
			require.Len(t, o.requests(), 2)
		})
	}
}

// F32: a refresh token may be used up though its answer was lost: x/oauth2 would send it
// again at once. After a while it may be tried again, for the answer may have been an outage.
func TestF32_ARefreshTokenIsNotSentAgainAtOnce(t *testing.T) {
	t.Parallel()
	away := errors.New("away")
	for name, tt := range map[string]struct {
		status   int // 0: no answer
		repeated bool
	}{"502": {502, true}, "401": {401, true}, "no answer": {0, true}, "200": {200, false}} {
		synctest.Test(t, func(t *testing.T) {
			sent := 0
			base := doing(func(r *http.Request) (*http.Response, error) {
				sent++
				if tt.status == 0 {
					return nil, away
				}
				return &http.Response{StatusCode: tt.status, Body: http.NoBody, Request: r}, nil
			})
			rt := clientauth.RoundTripper(clientauth.TransportConfig{Method: clientauth.None(), ClientID: clientID, TokenEndpoint: tokenEndpoint, Base: base})
			send := func(token string) error {
				resp, err := rt.RoundTrip(formRequest(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}.Encode()))
				if err == nil {
					resp.Body.Close()
				}
				return err
			}
			_ = send("r3fresh")
			err := send("r3fresh")
			if !tt.repeated {
				require.NoError(t, err)
				require.Equal(t, 2, sent)
				return
			}
			requireReason(t, err, clientauth.ReasonRepeated)
			require.NotContains(t, err.Error(), "r3fresh")
			_ = send("another")
			require.Equal(t, 2, sent, name)
			time.Sleep(5*time.Second - 1)
			requireReason(t, send("r3fresh"), clientauth.ReasonRepeated)
			time.Sleep(time.Nanosecond)
			_ = send("r3fresh")
			require.Equal(t, 3, sent, name)
		})
	}
}

// F32: as x/oauth2 does it.
func TestF32_DetectionOfTheStyleRefreshesOnce(t *testing.T) {
	t.Parallel()
	sent := 0
	base := doing(func(r *http.Request) (*http.Response, error) {
		sent++
		return &http.Response{StatusCode: http.StatusBadGateway, Body: http.NoBody, Request: r}, nil
	})
	rt := clientauth.RoundTripper(clientauth.TransportConfig{Method: clientauth.None(), ClientID: clientID, TokenEndpoint: tokenEndpoint, Base: base})
	config := oauth2.Config{Endpoint: oauth2.Endpoint{TokenURL: tokenEndpoint}}
	_, err := config.TokenSource(through(t.Context(), rt), &oauth2.Token{RefreshToken: "r"}).Token()
	requireReason(t, err, clientauth.ReasonRepeated)
	require.ErrorContains(t, err, "502")
	require.Equal(t, 1, sent)
}

// What never left us was not sent.
func TestF32_ACodeWithoutAProofIsNotSent(t *testing.T) {
	t.Parallel()
	o := newOP(t, plain)
	o.admit = func(*http.Request) error { return nil }
	source := &changing{err: errors.New("sealed")}
	ctx := through(t.Context(), clientauth.RoundTripper(o.transport(clientauth.SecretPost(source))))
	config := o.config(oauth2.AuthStyleInParams)
	_, err := config.Exchange(ctx, "code")
	requireReason(t, err, clientauth.ReasonUnavailable)
	require.Empty(t, o.requests())
	source.set("secret", nil)
	_, err = config.Exchange(ctx, "code")
	require.NoError(t, err)
}

// A code is remembered for a thousand others at least, and not for ever.
func TestF32_CodesAreForgotten(t *testing.T) {
	t.Parallel()
	base := doing(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusBadRequest, Body: http.NoBody, Request: r}, nil
	})
	rt := clientauth.RoundTripper(clientauth.TransportConfig{Method: clientauth.None(), ClientID: clientID, TokenEndpoint: tokenEndpoint, Base: base})
	send := func(code string) error {
		resp, err := rt.RoundTrip(formRequest(t, url.Values{"code": {code}}.Encode()))
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	require.NoError(t, send("first"))
	for i := range 1024 {
		require.NoError(t, send(fmt.Sprint(i)))
	}
	requireReason(t, send("first"), clientauth.ReasonRepeated)
	for i := range 1024 {
		require.NoError(t, send(fmt.Sprint(2000+i)))
	}
	require.NoError(t, send("first"))
}

type doing func(*http.Request) (*http.Response, error)

func (d doing) RoundTrip(r *http.Request) (*http.Response, error) { return d(r) }

// body notes that it was closed.
type body struct {
	io.Reader
	closed bool
}

func (b *body) Close() error {
	b.closed = true
	return nil
}

func formRequest(t testing.TB, text string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, tokenEndpoint, &body{Reader: strings.NewReader(text)})
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req
}

// http.Client would carry the code and what x/oauth2 put along to another host.
func TestF31_RedirectsOfTheTokenEndpointAreErrors(t *testing.T) {
	t.Parallel()
	for _, status := range []int{300, 301, 302, 303, 307, 308} {
		elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was followed") }))
		t.Cleanup(elsewhere.Close)
		redirecting := httptest.NewServer(http.RedirectHandler(elsewhere.URL, status))
		t.Cleanup(redirecting.Close)
		config := oauth2.Config{Endpoint: oauth2.Endpoint{TokenURL: redirecting.URL + "/token", AuthStyle: oauth2.AuthStyleInParams}}
		rt := clientauth.RoundTripper(clientauth.TransportConfig{Method: clientauth.SecretPost(longSecret()), ClientID: clientID, TokenEndpoint: redirecting.URL + "/token"})
		_, err := config.Exchange(through(t.Context(), rt), "code")
		requireReason(t, err, clientauth.ReasonRedirect)
	}
}

func TestRoundTripper_KeepsTheRulesOfRoundTrippers(t *testing.T) {
	t.Parallel()
	var sent *http.Request
	base := doing(func(r *http.Request) (*http.Response, error) {
		sent = r
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
	})
	rt := clientauth.RoundTripper(clientauth.TransportConfig{Method: clientauth.SecretBasic(longSecret()), ClientID: clientID, TokenEndpoint: tokenEndpoint, Base: base})
	req := formRequest(t, "code=c&client_id=other&client_secret=s&resource=a&resource=b")
	given := req.Header.Clone()
	resp, err := rt.RoundTrip(req)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, given, req.Header, "the request is not changed")
	require.True(t, req.Body.(*body).closed)
	text, err := io.ReadAll(sent.Body)
	require.NoError(t, err)
	require.Equal(t, "code=c&resource=a&resource=b", string(text))
	require.Equal(t, int64(len(text)), sent.ContentLength)
	again, err := sent.GetBody()
	require.NoError(t, err)
	text2, err := io.ReadAll(again)
	require.NoError(t, err)
	require.Equal(t, text, text2)
}

func TestRoundTripper_RefusesWhatIsNoForm(t *testing.T) {
	t.Parallel()
	base := doing(func(*http.Request) (*http.Response, error) {
		t.Error("it was sent")
		return nil, errors.New("sent")
	})
	rt := clientauth.RoundTripper(clientauth.TransportConfig{Method: clientauth.None(), ClientID: clientID, TokenEndpoint: tokenEndpoint, Base: base})
	for name, req := range map[string]*http.Request{
		"GET":       changed(formRequest(t, ""), func(r *http.Request) { r.Method = http.MethodGet }),
		"JSON":      changed(formRequest(t, "{}"), func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }),
		"untyped":   changed(formRequest(t, ""), func(r *http.Request) { r.Header.Del("Content-Type") }),
		"malformed": formRequest(t, "code=%zz"),
		"too large": formRequest(t, "code="+strings.Repeat("x", 1<<20)),
		"no body":   changed(formRequest(t, ""), func(r *http.Request) { r.Body = nil }),
	} {
		_, err := rt.RoundTrip(req)
		requireReason(t, err, clientauth.ReasonRequest)
		if b, ok := req.Body.(*body); ok {
			require.True(t, b.closed, name)
		}
	}
}

func changed(r *http.Request, change func(*http.Request)) *http.Request {
	change(r)
	return r
}

func TestRoundTripper_Configuration(t *testing.T) {
	t.Parallel()
	present := clientauth.CertificateFile("c", "k")
	good := clientauth.TransportConfig{Method: clientauth.None(), ClientID: clientID, TokenEndpoint: tokenEndpoint}
	for name, change := range map[string]func(*clientauth.TransportConfig){
		"no method":       func(c *clientauth.TransportConfig) { c.Method = nil },
		"no client":       func(c *clientauth.TransportConfig) { c.ClientID = "" },
		"no endpoint":     func(c *clientauth.TransportConfig) { c.TokenEndpoint = "" },
		"no URL":          func(c *clientauth.TransportConfig) { c.TokenEndpoint = "op.example/token" },
		"malformed":       func(c *clientauth.TransportConfig) { c.TokenEndpoint = "https://op.example/%zz" },
		"plain http":      func(c *clientauth.TransportConfig) { c.TokenEndpoint = "http://op.example/token" },
		"user info":       func(c *clientauth.TransportConfig) { c.TokenEndpoint = "https://u:" + marker + "@op.example/token" },
		"fragment":        func(c *clientauth.TransportConfig) { c.TokenEndpoint = tokenEndpoint + "#" },
		"TLS not ours":    func(c *clientauth.TransportConfig) { c.Method, c.Base = clientauth.TLS(present), doing(nil) },
		"TLS dialled":     func(c *clientauth.TransportConfig) { c.Method, c.Base = clientauth.TLS(present), dialling() },
		"TLS in a choice": func(c *clientauth.TransportConfig) { c.Method, c.Base = autoTLS(present), doing(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := good
			change(&cfg)
			req := formRequest(t, "code=c")
			rt := clientauth.RoundTripper(cfg)
			_, err := rt.RoundTrip(req)
			requireReason(t, err, clientauth.ReasonConfiguration)
			require.NotContains(t, fmt.Sprintf("%v %+v %#v %v", rt, rt, rt, err), marker)
			require.True(t, req.Body.(*body).closed)
		})
	}
}

func dialling() *http.Transport {
	return &http.Transport{DialTLSContext: (&tls.Dialer{}).DialContext}
}

func autoTLS(present clientauth.CertificateFunc) clientauth.Method {
	return clientauth.Auto(clientauth.Credentials{Certificate: present})
}

// An assertion needs the issuer here as everywhere, and Auto takes what is right where
// nothing is listed.
func TestRoundTripper_Provider(t *testing.T) {
	t.Parallel()
	o := newOP(t, plain)
	o.admit = func(r *http.Request) error {
		if _, _, ok := r.BasicAuth(); !ok {
			return errors.New("no Basic")
		}
		return nil
	}
	cfg := o.transport(clientauth.PrivateKeyJWT(newSigner("ES256")))
	cfg.Issuer = ""
	_, err := o.config(oauth2.AuthStyleInParams).Exchange(through(t.Context(), clientauth.RoundTripper(cfg)), "code")
	requireReason(t, err, clientauth.ReasonAudience)
	cfg.Method = clientauth.Auto(clientauth.Credentials{Signer: newSigner("ES256")})
	_, err = o.config(oauth2.AuthStyleInParams).Exchange(through(t.Context(), clientauth.RoundTripper(cfg)), "code")
	requireReason(t, err, clientauth.ReasonMethod)
	require.Empty(t, o.requests())
	cfg.Method = clientauth.Auto(clientauth.Credentials{Signer: newSigner("ES256"), Secret: longSecret()})
	_, err = o.config(oauth2.AuthStyleInParams).Exchange(through(t.Context(), clientauth.RoundTripper(cfg)), "code")
	require.NoError(t, err)
}

// A server that lets in who presents a certificate that it knows.
func TestRoundTripper_Certificates(t *testing.T) {
	t.Parallel()
	known, certPEM, keyPEM := newCertificate(t, "client")
	_, otherCert, otherKey := newCertificate(t, "other")
	pool := x509.NewCertPool()
	pool.AddCert(known.Leaf)
	o := newOP(t, func(s *httptest.Server) {
		s.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS12}
		s.StartTLS()
	})
	o.admit = func(r *http.Request) error {
		if r.PostForm.Get("client_id") != clientID || r.TLS.PeerCertificates[0].Subject.CommonName != "client" {
			return errors.New("another client")
		}
		return nil
	}
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	writeFile(t, certFile, certPEM)
	writeFile(t, keyFile, keyPEM)
	present := clientauth.CertificateFile(certFile, keyFile)
	for _, m := range []clientauth.Method{clientauth.TLS(present), clientauth.SelfSignedTLS(present)} {
		for name, style := range styles {
			rt := clientauth.RoundTripper(o.transport(m))
			config := o.config(style)
			token, err := config.Exchange(through(t.Context(), rt), "code")
			require.NoError(t, err, name)
			token.Expiry = time.Unix(1, 0)
			_, err = config.TokenSource(through(t.Context(), rt), token).Token()
			require.NoError(t, err)
			_, err = (&clientcredentials.Config{TokenURL: o.tokenURL(), AuthStyle: style}).Token(through(t.Context(), rt))
			require.NoError(t, err)
		}
	}
	require.NotContains(t, fmt.Sprint(o.requests()), "x-secret")
	served := len(o.requests())

	// Nobody else gets in, and other requests present nothing.
	writeFile(t, certFile, otherCert)
	writeFile(t, keyFile, otherKey)
	for name, m := range map[string]clientauth.Method{
		"another": clientauth.TLS(clientauth.CertificateFile(certFile, keyFile)), "none": clientauth.TLS(nil), "other method": clientauth.SecretPost(longSecret()),
	} {
		_, err := o.config(oauth2.AuthStyleInParams).Exchange(through(t.Context(), clientauth.RoundTripper(o.transport(m))), "code")
		require.Error(t, err, name)
	}
	resp, err := (&http.Client{Transport: clientauth.RoundTripper(o.transport(clientauth.TLS(present)))}).Get(o.URL + "/api")
	if err == nil {
		resp.Body.Close()
	}
	require.Error(t, err)
	require.Len(t, o.requests(), served)
}

// A base that presents a certificate by itself needs nothing of us.
func TestRoundTripper_BaseWithItsOwnCertificate(t *testing.T) {
	t.Parallel()
	known, _, _ := newCertificate(t, "client")
	pool := x509.NewCertPool()
	pool.AddCert(known.Leaf)
	o := newOP(t, func(s *httptest.Server) {
		s.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS12}
		s.StartTLS()
	})
	o.admit = func(*http.Request) error { return nil }
	base := o.Client().Transport.(*http.Transport).Clone()
	base.TLSClientConfig.Certificates = []tls.Certificate{known}
	cfg := o.transport(clientauth.TLS(nil))
	for name, b := range map[string]http.RoundTripper{"a transport": base, "anything": doing(base.RoundTrip)} {
		cfg.Base = b
		_, err := o.config(oauth2.AuthStyleInParams).Exchange(through(t.Context(), clientauth.RoundTripper(cfg)), "code")
		require.NoError(t, err, name)
	}
}

// Many at once: nothing of one request is in another.
func TestRoundTripper_Concurrently(t *testing.T) {
	t.Parallel()
	o := newOP(t, plain)
	o.admit = o.byAssertion(t)
	ctx := through(t.Context(), clientauth.RoundTripper(o.transport(clientauth.PrivateKeyJWT(newSigner("ES256")))))
	config := o.config(oauth2.AuthStyleInParams)
	var wg sync.WaitGroup
	errs := make([]error, 20)
	for i := range errs {
		wg.Go(func() { _, errs[i] = config.Exchange(ctx, fmt.Sprint("code", i)) })
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	codes := map[string]bool{}
	for _, form := range o.requests() {
		codes[form.Get("code")] = true
	}
	require.Len(t, codes, len(errs))
}

func TestTransportConfig_JSON(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(clientauth.TransportConfig{Method: clientauth.SecretPost(longSecret()), ClientID: clientID})
	require.NoError(t, err)
	require.Contains(t, string(text), clientID)
}
