package interop_test

// The harness's own self-test of what the provider offers beyond a login: by hand, with net/http and go-jose, and no line
// of oidckit. When it fails, the provider or the harness is broken; look here before you look at oidckit.

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/interop"
)

const (
	deviceGrant    = "urn:ietf:params:oauth:grant-type:device_code"
	cibaGrant      = "urn:openid:params:grant-type:ciba"
	jwtBearerGrant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	exchangeGrant  = "urn:ietf:params:oauth:grant-type:token-exchange"

	accessTokenType = "urn:ietf:params:oauth:token-type:access_token"
	assertionType   = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

var machine = []string{"client_credentials"}

func TestHarnessFeatures(t *testing.T) {
	op := interop.StartOP(t, []string{selfTestCallback})
	for name, test := range map[string]func(*testing.T, *interop.OP){
		"assertions": harnessAssertions, "certificates": harnessCertificates, "pushed request": harnessPushedRequest,
		"device": harnessDevice, "CIBA": harnessCIBA, "ping": harnessPing, "registration": harnessRegistration,
		"JWT answers": harnessJWTAnswers, "JWT bearer": harnessJWTBearer, "token exchange": harnessExchange,
		"DPoP": harnessDPoP,
	} {
		t.Run(name, func(t *testing.T) { test(t, op) })
	}
}

func TestHarnessDPoPNonce(t *testing.T) {
	op := interop.StartOP(t, []string{selfTestCallback}, interop.WithDPoPNonce())
	client := op.Register(t, interop.Metadata{"grant_types": machine, "dpop_bound_access_tokens": true})
	key := newKey(t)
	form := url.Values{"grant_type": machine}
	first := ask(t, http.DefaultClient, op.Issuer+"/token", form, as(client), proof(t, key, op.Issuer+"/token", ""))
	require.Equal(t, "use_dpop_nonce", first.json(t)["error"])
	nonce := first.header.Get("DPoP-Nonce")
	require.NotEmpty(t, nonce)
	second := ask(t, http.DefaultClient, op.Issuer+"/token", form, as(client), proof(t, key, op.Issuer+"/token", nonce))
	require.Equal(t, "DPoP", second.json(t)["token_type"])
}

func harnessDPoP(t *testing.T, op *interop.OP) {
	client := op.Register(t, interop.Metadata{"grant_types": machine, "dpop_bound_access_tokens": true})
	form := url.Values{"grant_type": machine}
	bare := ask(t, http.DefaultClient, op.Issuer+"/token", form, as(client))
	require.Equal(t, "invalid_grant", bare.json(t)["error"])
	bound := ask(t, http.DefaultClient, op.Issuer+"/token", form, as(client), proof(t, newKey(t), op.Issuer+"/token", ""))
	require.Equal(t, "DPoP", bound.json(t)["token_type"])
	require.Empty(t, bound.header.Get("DPoP-Nonce"))
}

func harnessAssertions(t *testing.T, op *interop.OP) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	client := op.Register(t, interop.Metadata{
		"grant_types": machine, "token_endpoint_auth_method": "private_key_jwt",
		"token_endpoint_auth_signing_alg": "PS384", "jwks": keySet(rsaKey.Public()),
	})
	claims := map[string]any{"iss": client.ID, "sub": client.ID, "aud": op.Issuer, "exp": in(time.Minute), "jti": rand.Text()}
	form := func(alg jose.SignatureAlgorithm) url.Values {
		return url.Values{
			"grant_type": machine, "client_assertion_type": {assertionType}, "client_assertion": {sign(t, alg, rsaKey, nil, claims)},
		}
	}
	require.Equal(t, "invalid_client", ask(t, http.DefaultClient, op.Issuer+"/token", form(jose.RS256)).json(t)["error"])
	require.NotEmpty(t, ask(t, http.DefaultClient, op.Issuer+"/token", form(jose.PS384)).json(t)["access_token"])
	require.Equal(t, "invalid_client", ask(t, http.DefaultClient, op.Issuer+"/token", form(jose.PS384)).json(t)["error"], "jti is used")
}

func harnessCertificates(t *testing.T, op *interop.OP) {
	aliases := getJSON(t, op.Issuer+"/.well-known/openid-configuration", "")["mtls_endpoint_aliases"]
	require.Equal(t, op.MTLS+"/token", aliases.(map[string]any)["token_endpoint"])
	self := interop.SelfSignedCertificate(t, "self.test")
	for _, row := range []struct {
		name     string
		metadata interop.Metadata
		right    tls.Certificate
		wrong    []tls.Certificate
	}{
		{
			"subject", interop.Metadata{
				"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": "CN=machine.test,O=oidckit",
			}, op.PKI.ClientCertificate(t, "machine.test"),
			[]tls.Certificate{op.PKI.ClientCertificate(t, "other.test"), interop.SelfSignedCertificate(t, "machine.test")},
		},
		{
			"alternative name", interop.Metadata{
				"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "machine.test",
			}, op.PKI.ClientCertificate(t, "machine.test"), []tls.Certificate{op.PKI.ClientCertificate(t, "other.test")},
		},
		{
			"self-signed", interop.Metadata{
				"token_endpoint_auth_method": "self_signed_tls_client_auth", "jwks": keySet(self.PrivateKey.(*ecdsa.PrivateKey).Public(), self),
			}, self, []tls.Certificate{interop.SelfSignedCertificate(t, "self.test")},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.metadata["grant_types"], row.metadata["tls_client_certificate_bound_access_tokens"] = machine, true
			client := op.Register(t, row.metadata)
			form := url.Values{"grant_type": machine, "client_id": {client.ID}, "resource": {apiTest}}
			got := ask(t, presenting(op, row.right), op.MTLS+"/token", form)
			_, payload := decode(t, got.json(t)["access_token"])
			require.NotEmpty(t, payload["cnf"].(map[string]any)["x5t#S256"])
			for _, wrong := range row.wrong {
				require.Equal(t, "invalid_client", ask(t, presenting(op, wrong), op.MTLS+"/token", form).json(t)["error"])
			}
			require.Equal(t, "invalid_client", ask(t, http.DefaultClient, op.Issuer+"/token", form).json(t)["error"])
		})
	}
}

func harnessPushedRequest(t *testing.T, op *interop.OP) {
	client := op.Register(t, interop.Metadata{"require_pushed_authorization_requests": true})
	direct := authorizationURL(op, client, unusedVerifier, nil)
	refused, err := op.Login(t.Context(), direct)
	require.NoError(t, err)
	require.Equal(t, "invalid_request", refused.Query().Get("error"))

	parameters, err := url.Parse(direct)
	require.NoError(t, err)
	pushed := ask(t, http.DefaultClient, op.Issuer+"/request", parameters.Query(), as(client))
	require.Equal(t, http.StatusCreated, pushed.status, "%s", pushed.body)
	back, err := op.Login(t.Context(), op.Issuer+"/auth?"+url.Values{
		"client_id": {client.ID}, "request_uri": {pushed.json(t)["request_uri"].(string)},
	}.Encode())
	require.NoError(t, err)
	require.NotEmpty(t, back.Query().Get("code"))
}

func harnessDevice(t *testing.T, op *interop.OP) {
	client := op.Register(t, interop.Metadata{"grant_types": []string{deviceGrant, "refresh_token"}})
	begin := func() (verification string, poll func() map[string]any) {
		device := ask(t, http.DefaultClient, op.Issuer+"/device/auth",
			url.Values{"client_id": {client.ID}, "scope": {"openid offline_access"}}, as(client)).json(t)
		require.EqualValues(t, 1, device["interval"])
		form := url.Values{"grant_type": {deviceGrant}, "device_code": {device["device_code"].(string)}}
		return device["verification_uri_complete"].(string), func() map[string]any {
			return ask(t, http.DefaultClient, op.Issuer+"/token", form, as(client)).json(t)
		}
	}
	verification, poll := begin()
	require.Equal(t, "authorization_pending", poll()["error"])
	require.Equal(t, "slow_down", poll()["error"])
	require.NoError(t, op.NewBrowser().ApproveDevice(t.Context(), verification, "bob"))
	tokens := poll()
	_, idToken := decode(t, tokens["id_token"])
	require.Equal(t, "bob", idToken["sub"])
	require.NotEmpty(t, tokens["refresh_token"])

	verification, poll = begin()
	require.NoError(t, op.NewBrowser().DenyDevice(t.Context(), verification))
	require.Equal(t, "access_denied", poll()["error"])
}

func harnessCIBA(t *testing.T, op *interop.OP) {
	client := op.Register(t, interop.Metadata{"grant_types": []string{cibaGrant}, "backchannel_token_delivery_mode": "poll"})
	begin := func() (id string, poll func() map[string]any) {
		asked := ask(t, http.DefaultClient, op.Issuer+"/backchannel",
			url.Values{"login_hint": {"alice"}, "scope": {"openid reports:read"}, "resource": {apiTest}}, as(client)).json(t)
		id = asked["auth_req_id"].(string)
		form := url.Values{"grant_type": {cibaGrant}, "auth_req_id": {id}}
		return id, func() map[string]any {
			return ask(t, http.DefaultClient, op.Issuer+"/token", form, as(client)).json(t)
		}
	}
	id, poll := begin()
	require.Equal(t, "authorization_pending", poll()["error"])
	require.Equal(t, "slow_down", poll()["error"])
	require.NoError(t, op.FinishCIBA(t.Context(), id, true))
	tokens := poll()
	_, idToken := decode(t, tokens["id_token"])
	require.Equal(t, "alice", idToken["sub"])
	_, accessToken := decode(t, tokens["access_token"])
	require.Equal(t, "reports:read", accessToken["scope"])

	id, poll = begin()
	require.NoError(t, op.FinishCIBA(t.Context(), id, false))
	require.Equal(t, "access_denied", poll()["error"])
	require.Error(t, op.FinishCIBA(t.Context(), "unknown", true))
}

func harnessPing(t *testing.T, op *interop.OP) {
	pinged := make(chan string, 1)
	endpoint := op.PKI.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		pinged <- r.Header.Get("Authorization") + " " + string(body)
		w.WriteHeader(http.StatusNoContent)
	}))
	client := op.Register(t, interop.Metadata{
		"grant_types": []string{cibaGrant}, "backchannel_token_delivery_mode": "ping",
		"backchannel_client_notification_endpoint": endpoint.URL + "/ping",
	})
	asked := ask(t, http.DefaultClient, op.Issuer+"/backchannel", url.Values{
		"login_hint": {"alice"}, "scope": {"openid"}, "client_notification_token": {"notify-me"},
	}, as(client)).json(t)
	id := asked["auth_req_id"].(string)
	require.NoError(t, op.FinishCIBA(t.Context(), id, true))
	require.Equal(t, `Bearer notify-me {"auth_req_id":"`+id+`"}`, <-pinged)
	tokens := ask(t, http.DefaultClient, op.Issuer+"/token", url.Values{"grant_type": {cibaGrant}, "auth_req_id": {id}}, as(client))
	require.NotEmpty(t, tokens.json(t)["id_token"])
}

func harnessRegistration(t *testing.T, op *interop.OP) {
	send := func(method, target, bearer string, body any) answer {
		raw, err := json.Marshal(body)
		require.NoError(t, err)
		req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(string(raw)))
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+bearer)
		req.Header.Set("Content-Type", "application/json")
		return send(t, http.DefaultClient, req)
	}
	metadata := map[string]any{"redirect_uris": []string{selfTestCallback}}
	require.Equal(t, http.StatusUnauthorized, send(http.MethodPost, op.Issuer+"/reg", "wrong", metadata).status)
	created := send(http.MethodPost, op.Issuer+"/reg", interop.InitialAccessToken, metadata).json(t)
	uri, token := created["registration_client_uri"].(string), created["registration_access_token"].(string)

	metadata = map[string]any{
		"redirect_uris": []string{selfTestCallback}, "client_id": created["client_id"],
		"client_secret": created["client_secret"], "client_name": "renamed",
	}
	updated := send(http.MethodPut, uri, token, metadata).json(t)
	require.Equal(t, "renamed", updated["client_name"])
	rotated := updated["registration_access_token"].(string)
	require.NotEqual(t, token, rotated)
	require.Equal(t, "renamed", send(http.MethodGet, uri, rotated, nil).json(t)["client_name"])
	require.Equal(t, http.StatusNoContent, send(http.MethodDelete, uri, rotated, nil).status)
	require.Equal(t, http.StatusUnauthorized, send(http.MethodGet, uri, rotated, nil).status)
}

func harnessJWTAnswers(t *testing.T, op *interop.OP) {
	key := newKey(t)
	client := op.Register(t, interop.Metadata{
		"id_token_signed_response_alg": "ES256", "id_token_encrypted_response_alg": "ECDH-ES", "id_token_encrypted_response_enc": "A128GCM",
		"userinfo_signed_response_alg": "ES256", "userinfo_encrypted_response_alg": "ECDH-ES", "userinfo_encrypted_response_enc": "A128GCM",
		"introspection_signed_response_alg": "ES256",
		"jwks":                              keySet(key.Public()),
	})
	verifier := rand.Text() + rand.Text()
	tokens := ask(t, http.DefaultClient, op.Issuer+"/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {authorize(t, op, client, verifier, nil)},
		"redirect_uri": {selfTestCallback}, "code_verifier": {verifier},
	}, as(client)).json(t)
	open := func(text string) (header, payload map[string]any) {
		sealed, err := jose.ParseEncryptedCompact(text, []jose.KeyAlgorithm{jose.ECDH_ES}, []jose.ContentEncryption{jose.A128GCM})
		require.NoError(t, err)
		inner, err := sealed.Decrypt(key)
		require.NoError(t, err)
		return decode(t, string(inner))
	}
	_, idToken := open(tokens["id_token"].(string))
	require.Equal(t, "alice", idToken["sub"])

	accessToken := tokens["access_token"].(string)
	userinfo := ask(t, http.DefaultClient, op.Issuer+"/me", url.Values{"access_token": {accessToken}})
	require.Contains(t, userinfo.header.Get("Content-Type"), "application/jwt")
	_, claims := open(userinfo.body)
	require.Equal(t, "alice", claims["sub"])

	introspected := ask(t, http.DefaultClient, op.Issuer+"/token/introspection", url.Values{"token": {accessToken}}, as(client),
		http.Header{"Accept": {"application/token-introspection+jwt"}})
	header, payload := decode(t, introspected.body)
	require.Equal(t, "token-introspection+jwt", header["typ"])
	require.Equal(t, true, payload["token_introspection"].(map[string]any)["active"])
	require.Equal(t, http.StatusOK,
		ask(t, http.DefaultClient, op.Issuer+"/token/revocation", url.Values{"token": {accessToken}}, as(client)).status)
	plain := ask(t, http.DefaultClient, op.Issuer+"/token/introspection", url.Values{"token": {accessToken}}, as(client))
	require.Equal(t, map[string]any{"active": false}, plain.json(t))
}

func harnessJWTBearer(t *testing.T, op *interop.OP) {
	key := newKey(t)
	client := op.Register(t, interop.Metadata{"grant_types": []string{jwtBearerGrant}, "jwks": keySet(key.Public())})
	claims := map[string]any{"iss": client.ID, "sub": "bob", "aud": op.Issuer, "exp": in(time.Minute), "jti": rand.Text()}
	form := func(change map[string]any) url.Values {
		changed := maps.Clone(claims)
		maps.Copy(changed, change)
		maps.DeleteFunc(changed, func(_ string, value any) bool { return value == nil })
		return url.Values{
			"grant_type": {jwtBearerGrant}, "assertion": {sign(t, jose.ES256, key, nil, changed)}, "scope": {"openid profile"},
		}
	}
	for claim, wrong := range map[string]any{"iss": "x", "aud": "x", "exp": in(-time.Minute), "sub": "nobody", "jti": nil} {
		got := ask(t, http.DefaultClient, op.Issuer+"/token", form(map[string]any{"jti": rand.Text(), claim: wrong}), as(client))
		require.Equal(t, "invalid_grant", got.json(t)["error"], "%s", claim)
	}
	token := ask(t, http.DefaultClient, op.Issuer+"/token", form(nil), as(client)).json(t)["access_token"]
	require.Equal(t, "Bob Brown", getJSON(t, op.Issuer+"/me", token.(string))["name"])
	again := ask(t, http.DefaultClient, op.Issuer+"/token", form(nil), as(client))
	require.Equal(t, "invalid_grant", again.json(t)["error"])
}

func harnessExchange(t *testing.T, op *interop.OP) {
	client := op.Register(t, interop.Metadata{"grant_types": []string{"authorization_code", exchangeGrant, "client_credentials"}})
	verifier := rand.Text() + rand.Text()
	login := ask(t, http.DefaultClient, op.Issuer+"/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {authorize(t, op, client, verifier, nil)},
		"redirect_uri": {selfTestCallback}, "code_verifier": {verifier},
	}, as(client)).json(t)
	self := ask(t, http.DefaultClient, op.Issuer+"/token", url.Values{"grant_type": machine}, as(client)).json(t)
	exchange := func(more url.Values) map[string]any {
		form := url.Values{
			"grant_type": {exchangeGrant}, "subject_token": {login["access_token"].(string)}, "subject_token_type": {accessTokenType},
		}
		maps.Copy(form, more)
		return ask(t, http.DefaultClient, op.Issuer+"/token", form, as(client)).json(t)
	}
	impersonation := exchange(url.Values{"audience": {apiTest}, "scope": {"reports:read"}})
	require.Equal(t, accessTokenType, impersonation["issued_token_type"])
	_, token := decode(t, impersonation["access_token"])
	require.Equal(t, "alice", token["sub"])
	require.Equal(t, apiTest, token["aud"])
	require.Equal(t, "reports:read", token["scope"])
	require.NotContains(t, token, "act")

	delegation := exchange(url.Values{
		"resource": {apiTest}, "subject_token": {login["id_token"].(string)}, "subject_token_type": {"urn:ietf:params:oauth:token-type:id_token"},
		"actor_token": {self["access_token"].(string)}, "actor_token_type": {accessTokenType},
	})
	_, token = decode(t, delegation["access_token"])
	require.Equal(t, map[string]any{"sub": client.ID}, token["act"])
	second := exchange(url.Values{
		"resource": {otherTest}, "subject_token": {delegation["access_token"].(string)},
		"actor_token": {self["access_token"].(string)}, "actor_token_type": {accessTokenType},
	})
	_, token = decode(t, second["access_token"])
	require.Equal(t, map[string]any{"sub": client.ID, "act": map[string]any{"sub": client.ID}}, token["act"])

	for name, wrong := range map[string]url.Values{
		"invalid_target":  {"audience": {"https://unknown.test"}},
		"invalid_request": {"subject_token": {"made-up"}},
	} {
		require.Equal(t, name, exchange(wrong)["error"])
	}
	require.Equal(t, "invalid_request", exchange(url.Values{"requested_token_type": {"urn:ietf:params:oauth:token-type:saml2"}})["error"])
	require.Equal(t, "invalid_request", exchange(url.Values{"actor_token_type": {accessTokenType}})["error"])
	require.Equal(t, "invalid_request", exchange(url.Values{"subject_token_type": nil})["error"])
}

// as authenticates with client_secret_basic.
func as(client interop.Client) http.Header {
	var req http.Request
	req.Header = http.Header{}
	req.SetBasicAuth(url.QueryEscape(client.ID), url.QueryEscape(client.Secret))
	return req.Header
}

// ask posts a form.
func ask(t *testing.T, client *http.Client, target string, form url.Values, headers ...http.Header) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, header := range headers {
		maps.Copy(req.Header, header)
	}
	return send(t, client, req)
}

// presenting is a client with a certificate. It sends it whichever authorities the server names.
func presenting(op *interop.OP, certificate tls.Certificate) *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: op.PKI.Pool(),
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate, nil },
	}, DisableKeepAlives: true}}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

// keySet is the JWK Set of a public key, with its certificate if there is one.
func keySet(key crypto.PublicKey, certificates ...tls.Certificate) jose.JSONWebKeySet {
	jwk := jose.JSONWebKey{Key: key}
	for _, certificate := range certificates {
		jwk.Certificates = append(jwk.Certificates, certificate.Leaf)
	}
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{jwk}}
}

func sign(t *testing.T, alg jose.SignatureAlgorithm, key crypto.PrivateKey, options *jose.SignerOptions, claims any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, options)
	require.NoError(t, err)
	payload, err := json.Marshal(claims)
	require.NoError(t, err)
	signed, err := signer.Sign(payload)
	require.NoError(t, err)
	text, err := signed.CompactSerialize()
	require.NoError(t, err)
	return text
}

// proof is a DPoP proof for a POST.
func proof(t *testing.T, key *ecdsa.PrivateKey, target, nonce string) http.Header {
	t.Helper()
	claims := map[string]any{"htm": http.MethodPost, "htu": target, "iat": in(0), "jti": rand.Text()}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	options := (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt")
	return http.Header{"Dpop": {sign(t, jose.ES256, key, options, claims)}}
}

func in(d time.Duration) int64 { return time.Now().Add(d).Unix() }
