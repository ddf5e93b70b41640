package interop_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/internal/interop"
	"github.com/oidckit/oidckit/oidc"
)

// Access tokens are bound to the certificate (RFC 8705 section 3), whether or not it authenticates the client.
func TestOPCertificateBoundTokens(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	bound := interop.Metadata{"tls_client_certificate_bound_access_tokens": true}
	certificate, thief := always(op.PKI.ClientCertificate(t, "rp.test")), op.PKI.ClientCertificate(t, "rp.test")
	byKey := privateKeyMethod(t, "ES256")
	for _, row := range append(certificateMethods(t, op), byKey) {
		t.Run(row.name, func(t *testing.T) {
			registered := row.register(t, op, bound)
			cfg := oidc.ClientConfig{ClientAuth: row.method(registered), Scopes: []string{"openid", "profile", "offline_access"}}
			cfg.ClientCertificate = certificate
			if m, ok := cfg.ClientAuth.(interface {
				ClientCertificate() clientauth.CertificateFunc
			}); ok {
				cfg.ClientCertificate = m.ClientCertificate()
			}
			client := clientOf(t, op, registered, cfg)
			first := logIn(t, op, client, "alice")
			tokens, err := client.Refresh(t.Context(), first)
			require.NoError(t, err)
			requireName(t, client, tokens)
			introspection, err := client.Introspect(t.Context(), tokens.OAuth2.AccessToken)
			require.NoError(t, err)
			require.True(t, introspection.Bound)

			base := trusting(op)
			t.Cleanup(base.CloseIdleConnections)
			base.TLSClientConfig.GetClientCertificate = cfg.ClientCertificate
			transport, err := client.APITransport(oidc.APITransportConfig{
				Source: client.TokenSource(tokens), Allowed: []string{op.MTLS + "/me"}, Base: base,
			})
			require.NoError(t, err)
			require.Equal(t, "alice", getMe(t, &http.Client{Transport: transport}, op.MTLS, "").json(t)["sub"])
			stolen := "Bearer " + tokens.OAuth2.AccessToken
			require.Equal(t, http.StatusUnauthorized, getMe(t, http.DefaultClient, op.Issuer, stolen).status)
			require.Equal(t, http.StatusUnauthorized, getMe(t, &http.Client{Transport: trusting(op)}, op.MTLS, stolen).status)
			require.Equal(t, http.StatusUnauthorized, getMe(t, presenting(op, thief), op.MTLS, stolen).status)
		})
	}
}

func getMe(t *testing.T, client *http.Client, base, authorization string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/me", nil)
	require.NoError(t, err)
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	return send(t, client, req)
}

func TestOPCertificateIsDemandedOfTheClient(t *testing.T) {
	t.Parallel()
	op := interop.StartOP(t, []string{callbackURL})
	registered := op.Register(t, interop.Metadata{"tls_client_certificate_bound_access_tokens": true})
	client := clientOf(t, op, registered, oidc.ClientConfig{ClientAuth: clientauth.SecretBasic(clientauth.Secret(registered.Secret))})
	flow, callback := begin(t, op, client, "alice")
	_, err := client.Finish(t.Context(), flow, callback)
	requireParameter(t, "code", err) // the provider says invalid_grant
}
