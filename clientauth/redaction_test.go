package clientauth_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/clientauth"
)

const marker = "MARKER-secret-that-is-longer-than-32-bytes"

// markedSigner shows its key to whoever prints it.
type markedSigner struct{ Key string }

func (markedSigner) SignJWT(ctx context.Context, typ string, payload []byte) (string, error) {
	return newSigner("ES256").SignJWT(ctx, typ, payload)
}

// markedSource shows its secret to whoever prints it.
type markedSource struct{ Text string }

func (s markedSource) Secret(context.Context) (clientauth.Secret, error) {
	return clientauth.Secret(s.Text), nil
}

// markedBase shows a secret to whoever prints it.
type markedBase struct{ Text string }

func (markedBase) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("away") }

// exported and unexported are structs of users, in which fmt asks methods, and does not.
type exported struct {
	Value any
	List  []any
	Map   map[string]any
}

type unexported struct {
	value any
	list  []any
}

func markedCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return &tls.Certificate{Certificate: [][]byte{[]byte(marker)}}, nil
}

// prepared have used their secrets, so that what they keep is there.
func prepared(t testing.TB) (methods []any, requests []*clientauth.Request) {
	t.Helper()
	secret, source, key := clientauth.Secret(marker), markedSource{marker}, markedSigner{marker}
	file := clientauth.SecretFile(newFile(t, marker))
	token := newFile(t, compact(t, map[string]any{"aud": issuer, "exp": 1 << 33, "x": marker}))
	for _, m := range []clientauth.Method{
		clientauth.SecretBasic(secret), clientauth.SecretBasic(source), clientauth.SecretBasic(file), clientauth.SecretBasicRaw(secret),
		clientauth.SecretPost(secret), clientauth.SecretPost(source), clientauth.SecretPost(file), clientauth.SecretJWT(secret), clientauth.SecretJWT(file),
		clientauth.PrivateKeyJWT(key), clientauth.PrivateKeyJWT(&key), clientauth.AssertionFile(token),
		clientauth.TLS(markedCertificate), clientauth.SelfSignedTLS(markedCertificate), clientauth.None(),
		clientauth.Auto(clientauth.Credentials{Secret: source}),
	} {
		requests = append(requests, authenticate(t, m))
		one := forCall(t, m)
		authenticate(t, one)
		methods = append(methods, m, one)
	}
	return append(methods, clientauth.Auto(clientauth.Credentials{Secret: source, Signer: key, Certificate: markedCertificate}), file), requests
}

// configurations hold what users put into them in exported fields.
func configurations() []any {
	secret, source := clientauth.Secret(marker), markedSource{marker}
	ask := clientauth.SecretFunc(func(context.Context) (clientauth.Secret, error) { return marker, nil })
	credentials := clientauth.Credentials{Secret: source, Signer: markedSigner{marker}, Certificate: markedCertificate}
	transport := clientauth.TransportConfig{Method: clientauth.SecretPost(source), ClientID: clientID, TokenEndpoint: tokenEndpoint, Base: markedBase{marker}}
	return []any{
		secret, &secret, []clientauth.Secret{secret}, map[string]clientauth.Secret{"a": secret}, ask, clientauth.CertificateFunc(markedCertificate),
		credentials, &credentials, transport, &transport, clientauth.AssertionConfig{}, clientauth.EntraID, clientauth.Provider{},
	}
}

// mistakes are errors of methods that had a secret in their hands.
func mistakes(t testing.TB) (errs []any) {
	t.Helper()
	part := base64.RawURLEncoding.EncodeToString
	elsewhere := newRequest()
	elsewhere.Provider = clientauth.Provider{SigningAlgorithmsSupported: []string{"RS256"}, AuthMethodsSupported: []string{"none"}, Issuer: issuer}
	for _, m := range []clientauth.Method{
		clientauth.SecretJWT(clientauth.Secret(marker), clientauth.AssertionConfig{Algorithm: "HS512"}),
		clientauth.SecretJWT(clientauth.Secret(marker)), clientauth.PrivateKeyJWT(newSigner("ES256")),
		clientauth.Auto(clientauth.Credentials{Secret: clientauth.Secret(marker)}),
		clientauth.AssertionFile(newFile(t, marker)), clientauth.AssertionFile(newFile(t, part([]byte(`{"alg":"`+marker+`"}`))+"."+part([]byte(marker))+".AA")),
		clientauth.AssertionFile(newFile(t, compact(t, map[string]any{"aud": marker, "exp": 1}))),
		clientauth.AssertionFile(newFile(t, compact(t, map[string]any{"aud": "a", "exp": marker}))),
		clientauth.PrivateKeyJWT(signerFunc(func(context.Context, string, []byte) (string, error) { return marker, nil })),
		clientauth.PrivateKeyJWT(signerFunc(func(context.Context, string, []byte) (string, error) {
			return part([]byte(`{"alg":"`+marker+`"}`)) + "." + part([]byte(marker)) + ".AA", nil
		})),
		clientauth.SecretPost(clientauth.SecretFile(newFile(t, marker+strings.Repeat("x", 64<<10)))),
	} {
		err := m.Authenticate(t.Context(), elsewhere)
		require.Error(t, err)
		errs = append(errs, err)
	}
	_, err := clientauth.CertificateFile(newFile(t, marker), newFile(t, marker))(&tls.CertificateRequestInfo{})
	require.Error(t, err)
	return append(errs, err)
}

// roundTrips are the round tripper that has sent a code, and its errors.
func roundTrips(t testing.TB) (values []any) {
	t.Helper()
	rt := clientauth.RoundTripper(clientauth.TransportConfig{
		Method: clientauth.SecretPost(markedSource{marker}), ClientID: clientID, TokenEndpoint: tokenEndpoint, Base: markedBase{marker},
	})
	for _, form := range []string{url.Values{"code": {marker}}.Encode(), url.Values{"code": {marker}}.Encode(), "code=" + marker + "%zz", marker + strings.Repeat("x", 1<<20)} {
		_, err := rt.RoundTrip(formRequest(t, form))
		require.Error(t, err)
		values = append(values, err)
	}
	return append(values, rt)
}

// printed prints a value in each way that there is.
func printed(v any) string {
	var b bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%T"} { // not %p: fmt asks no method there, and go vet refuses it
		fmt.Fprintf(&b, verb+"\n", v)
	}
	if text, err := json.Marshal(v); err == nil {
		b.Write(text)
	} else {
		fmt.Fprintln(&b, err)
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
		slog.New(h).Info("m", "value", v, slog.Group("g", "value", v))
	}
	return b.String()
}

// spellings of the marker that would give it away.
func spellings() []string {
	basic := base64.StdEncoding.EncodeToString([]byte(clientID + ":" + marker))
	return []string{marker, fmt.Sprintf("%x", marker), fmt.Sprintf("%X", marker), fmt.Sprint([]byte(marker)), base64.StdEncoding.EncodeToString([]byte(marker)), basic}
}

func requireRedacted(t *testing.T, v any) {
	t.Helper()
	text := printed(v)
	for _, s := range spellings() {
		if strings.Contains(text, s) {
			require.Fail(t, "the marker is printed", "%T, %d bytes", v, len(text))
		}
	}
}

func TestJ51_NothingPrintsASecret(t *testing.T) {
	t.Parallel()
	require.Contains(t, printed(markedSource{marker}), marker, "the test sees what is printed")
	require.Contains(t, printed(unexported{value: markedSigner{marker}}), marker)

	methods, requests := prepared(t)
	for _, v := range append(methods, roundTrips(t)...) {
		for _, in := range []any{v, []any{v}, exported{v, []any{v}, map[string]any{"a": v}}, &exported{Value: v}, unexported{v, []any{v}}, &unexported{value: v}} {
			requireRedacted(t, in)
		}
	}
	for _, v := range append(configurations(), mistakes(t)...) {
		for _, in := range []any{v, []any{v}, exported{v, []any{v}, map[string]any{"a": v}}, &exported{Value: v}} {
			requireRedacted(t, in)
		}
	}
	for _, r := range requests {
		for _, in := range []any{r, *r, exported{Value: r}, exported{Value: *r}} {
			requireRedacted(t, in)
			if assertion := r.Form.Get("client_assertion"); assertion != "" {
				require.NotContains(t, printed(in), assertion)
			}
		}
	}
}

// Where methods are not asked, errors and functions have nothing to show.
func TestJ51_UnexportedFields(t *testing.T) {
	t.Parallel()
	for _, v := range mistakes(t) {
		requireRedacted(t, unexported{value: v})
	}
	requireRedacted(t, unexported{value: clientauth.SecretFunc(markedSource{marker}.Secret)})
	requireRedacted(t, unexported{value: clientauth.CertificateFunc(markedCertificate)})
}

func TestSecret_PrintsAsRedacted(t *testing.T) {
	t.Parallel()
	secret := clientauth.Secret(marker)
	require.Equal(t, "[redacted]", fmt.Sprint(secret))
	text, err := json.Marshal(struct{ S clientauth.Secret }{secret})
	require.NoError(t, err)
	require.JSONEq(t, `{"S":"[redacted]"}`, string(text))
	require.Equal(t, "[redacted]", secret.LogValue().String())
}

// What prints says what it is.
func TestMethods_PrintTheirName(t *testing.T) {
	t.Parallel()
	for _, m := range allMethods() {
		require.Equal(t, "clientauth."+m.Name(), fmt.Sprintf("%+v", m))
		text, err := json.Marshal(m)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("%q", m.Name()), string(text))
	}
	require.Equal(t, `clientauth.Request("client", "https://op.example/token")`, fmt.Sprint(newRequest()))
}
