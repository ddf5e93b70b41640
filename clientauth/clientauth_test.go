package clientauth_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/clientauth"
)

func authenticate(t *testing.T, m clientauth.Method, id string) *clientauth.Request {
	t.Helper()
	r := &clientauth.Request{ClientID: id, Header: http.Header{}, Form: url.Values{}}
	require.NoError(t, m.Authenticate(t.Context(), r))
	return r
}

const odd = "a:b%+ ü"

func TestSecretBasic(t *testing.T) {
	t.Parallel()
	for _, text := range []string{odd, "plain", "", ":", "%3A", "+", "a&b=c", "\x00", strings.Repeat("x", 4096)} {
		m := clientauth.SecretBasic(clientauth.Secret(text))
		require.Equal(t, "client_secret_basic", m.Name())
		r := authenticate(t, m, text)
		require.Empty(t, r.Form, "nothing in the form")
		require.Len(t, r.Header, 1)

		user, password, found := (&http.Request{Header: r.Header}).BasicAuth()
		require.True(t, found)
		for _, encoded := range []string{user, password} {
			require.NotContains(t, encoded, ":")
			decoded, err := url.QueryUnescape(encoded)
			require.NoError(t, err)
			require.Equal(t, text, decoded)
		}
	}
	// RFC 6749 section 2.3.1 with appendix B, byte by byte.
	user, password, _ := (&http.Request{Header: authenticate(t, clientauth.SecretBasic(odd), "id").Header}).BasicAuth()
	require.Equal(t, "id", user)
	require.Equal(t, "a%3Ab%25%2B+%C3%BC", password)
}

func TestSecretPost(t *testing.T) {
	t.Parallel()
	m := clientauth.SecretPost(odd)
	require.Equal(t, "client_secret_post", m.Name())
	r := authenticate(t, m, "id")
	require.Empty(t, r.Header)
	require.Equal(t, url.Values{"client_id": {"id"}, "client_secret": {odd}}, r.Form)
	require.Equal(t, "client_id=id&client_secret=a%3Ab%25%2B+%C3%BC", r.Form.Encode())
}

func TestNone(t *testing.T) {
	t.Parallel()
	r := authenticate(t, clientauth.None(), "id")
	require.Equal(t, "none", clientauth.None().Name())
	require.Empty(t, r.Header)
	require.Equal(t, url.Values{"client_id": {"id"}}, r.Form)
}

// A method replaces what the form has already, it does not add a second value.
func TestMethodsSetOneValue(t *testing.T) {
	t.Parallel()
	for _, m := range []clientauth.Method{clientauth.SecretPost("s"), clientauth.None()} {
		r := &clientauth.Request{ClientID: "id", Header: http.Header{}, Form: url.Values{"client_id": {"other"}, "client_secret": {"x"}}}
		require.NoError(t, m.Authenticate(t.Context(), r))
		require.Equal(t, []string{"id"}, r.Form["client_id"])
		require.Len(t, r.Form["client_secret"], 1)
	}
}

func TestForSecret(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		secret    clientauth.Secret
		supported []string
		want      string // empty is an error
	}{
		{"s", nil, "client_secret_basic"},
		{"s", []string{}, "client_secret_basic"},
		{"s", []string{"client_secret_post", "client_secret_basic"}, "client_secret_basic"},
		{"s", []string{"private_key_jwt", "client_secret_post"}, "client_secret_post"},
		{"s", []string{"private_key_jwt"}, ""},
		{"s", []string{"none"}, ""},
		{"s", []string{"CLIENT_SECRET_BASIC"}, ""},
		{"", nil, "none"},
		{"", []string{"client_secret_basic"}, "none"},
	} {
		m, err := clientauth.ForSecret(tt.secret, tt.supported)
		if tt.want == "" {
			require.Error(t, err)
			require.Nil(t, m)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, tt.want, m.Name())
		if tt.secret == "" {
			continue
		}
		r := authenticate(t, m, "id")
		_, password, basic := (&http.Request{Header: r.Header}).BasicAuth()
		require.Equal(t, basic, tt.want == "client_secret_basic")
		require.Equal(t, "s", password+r.Form.Get("client_secret"))
	}
}

const marker = "MARKER-secret"

type exported struct {
	Secret  clientauth.Secret
	Pointer *clientauth.Secret
	Method  clientauth.Method
}

// unexported holds methods where fmt may not call their Format.
type unexported struct {
	basic, post clientauth.Method
}

func TestJ51_SecretsRedactThemselves(t *testing.T) {
	t.Parallel()
	secret := clientauth.Secret(marker)
	basic, post := clientauth.SecretBasic(secret), clientauth.SecretPost(secret)
	forSecret, err := clientauth.ForSecret(secret, nil)
	require.NoError(t, err)
	_, refused := clientauth.ForSecret(secret, []string{"none"})
	require.Error(t, refused)
	values := []any{
		secret, &secret, []clientauth.Secret{secret}, map[string]clientauth.Secret{"a": secret}, exported{secret, &secret, basic},
		&exported{secret, &secret, post}, basic, post, forSecret, []clientauth.Method{basic, post}, unexported{basic, post}, &unexported{basic, post}, refused,
	}
	var texts []string
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} { // not %p: fmt asks no method there, and go vet refuses it
			texts = append(texts, fmt.Sprintf(verb, v))
		}
		if text, err := json.Marshal(v); err == nil {
			texts = append(texts, string(text))
		}
		var b bytes.Buffer
		for _, h := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
			slog.New(h).Info("m", "value", v, slog.Group("g", "value", v))
		}
		texts = append(texts, b.String())
	}
	hex := fmt.Sprintf("%X", marker)
	for _, text := range texts {
		require.NotContains(t, text, marker)
		require.NotContains(t, strings.ToUpper(text), hex)
	}
	require.Equal(t, "[redacted]", fmt.Sprint(secret))
	text, err := json.Marshal(exported{Secret: secret})
	require.NoError(t, err)
	require.JSONEq(t, `{"Secret":"[redacted]","Pointer":null,"Method":null}`, string(text))
}
