package middleware_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/claims/ci"
	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// Every golden token that an API gets, signed by a provider of its issuer: through the
// verifier, as lenient as the provider needs it and no more, to the principal and its rights.
func TestGoldenTokensGetThrough(t *testing.T) {
	t.Parallel()
	policy := func(p interface {
		Policy() (claims.Policy, error)
	},
	) claims.Policy {
		made, err := p.Policy()
		require.NoError(t, err)
		return made
	}
	role := func(path, role string) middleware.Requirement {
		p, err := claims.ParsePath(path)
		require.NoError(t, err)
		return middleware.RequireRole(p, role)
	}
	for file, tt := range map[string]struct {
		cfg         oidc.AccessTokenConfig
		has, hasNot middleware.Requirement
	}{
		"keycloak-access": {
			oidc.AccessTokenConfig{Audience: []string{"orders-api"}},
			role(`resource_access.my\.app.roles`, "reader"), role("realm_access.roles", "admin"),
		},
		"entra-v1-access": {
			oidc.AccessTokenConfig{Audience: []string{"api://11111111-2222-4333-8444-555555555555"}},
			role("roles", "Orders.Approve"), middleware.RequireScopes("orders.delete"),
		},
		"entra-v2-access": {
			oidc.AccessTokenConfig{Audience: []string{"11111111-2222-4333-8444-555555555555"}},
			middleware.RequireScopes("orders.read", "orders.write"), role("roles", "Orders"),
		},
		"okta-custom-access": {oidc.AccessTokenConfig{Audience: []string{"api://orders"}}, role("groups", "Order Desk"), role("groups", "Order")},
		"auth0-access": {
			oidc.AccessTokenConfig{Audience: []string{"https://orders.example.com/"}},
			role(`https://example\.com/roles`, "editor"), role("permissions", "delete:orders"),
		},
		"cognito-access": {
			oidc.AccessTokenConfig{Audience: []string{"xxxxxxxxxxxxexample"}, AudienceClaim: "client_id"},
			role("cognito:groups", "refunds"), middleware.RequireScopes("orders/write"),
		},
		"adfs-access": {
			oidc.AccessTokenConfig{Audience: []string{"microsoft:identityserver:https://orders.example.com"}},
			role("role", "Domain Users"), role("role", "Domain"),
		},
		"github-actions": {
			oidc.AccessTokenConfig{Audience: []string{"https://registry.example.com"}},
			middleware.RequirePolicy(policy(ci.GitHubActions{OwnerID: "123456", RepositoryID: "456789", Environment: "prod"})),
			middleware.RequirePolicy(policy(ci.GitHubActions{OwnerID: "123456", RepositoryID: "456780", Environment: "prod"})),
		},
		"gitlab-ci": {
			oidc.AccessTokenConfig{Audience: []string{"https://vault.example.com"}},
			middleware.RequirePolicy(policy(ci.GitLab{ProjectID: "20", NamespaceID: "72", Issuer: "https://gitlab.example.com"})),
			middleware.RequirePolicy(policy(ci.GitLab{ProjectID: "20", NamespaceID: "72"})),
		},
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join("..", "claims", "testdata", "tokens", file+".json"))
			require.NoError(t, err)
			issuer, err := claimSet(t, string(text)).String(claims.P("iss"))
			require.NoError(t, err)
			now := func() time.Time { return time.Unix(1764094260, 0) }
			if file == "github-actions" {
				now = func() time.Time { return time.Unix(1764094860, 0) }
			}
			op, err := oidctest.New(oidctest.Config{Issuer: issuer, Now: now})
			require.NoError(t, err)
			provider, err := oidc.NewProvider(oidc.Config{Issuer: issuer, HTTPClient: op.HTTPClient(), Now: now, InsecureHTTP: file == "adfs-access"})
			require.NoError(t, err)
			raw := op.SignBytes(map[string]any{"typ": "JWT"}, text)
			for untyped, status := range map[bool]int{false: 401, true: 200} {
				tt.cfg.InsecureAllowUntyped = untyped
				verifier, err := oidc.NewAccessTokenVerifier(provider, tt.cfg)
				require.NoError(t, err)
				b := &middleware.Bearer{Verifier: verifier}
				require.Equal(t, status, ask(t, b.Handler(reached, tt.has), request(t.Context(), "Bearer "+raw)).Status)
				if untyped {
					require.Equal(t, 403, ask(t, b.Handler(reached, tt.hasNot), request(t.Context(), "Bearer "+raw)).Status)
					p, err := b.Authenticate(t.Context(), middleware.Credentials{Authorization: []string{"Bearer " + raw}})
					require.NoError(t, err)
					require.JSONEq(t, string(text), string(p.Claims.Raw()))
					kind := middleware.KindUser
					if file == "github-actions" || file == "gitlab-ci" {
						kind = middleware.KindUnknown // their tokens name no client
					}
					require.Equal(t, kind, p.Kind())
				}
			}
		})
	}
}

// AD FS has another issuer in access tokens ("access_token_issuer") than in its metadata.
func TestADFSIssuers(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../claims/testdata/tokens/adfs-access.json")
	require.NoError(t, err)
	now := func() time.Time { return time.Unix(1764094260, 0) }
	op, err := oidctest.New(oidctest.Config{Issuer: "https://adfs.example.com/adfs", Now: now})
	require.NoError(t, err)
	provider, err := oidc.NewProvider(oidc.Config{
		Issuer: op.Issuer(), IssuerAliases: []string{"http://adfs.example.com/adfs/services/trust"}, HTTPClient: op.HTTPClient(), Now: now,
	})
	require.NoError(t, err)
	verifier, err := oidc.NewAccessTokenVerifier(provider, oidc.AccessTokenConfig{Audience: []string{"microsoft:identityserver:https://orders.example.com"}, InsecureAllowUntyped: true})
	require.NoError(t, err)
	b := &middleware.Bearer{Verifier: verifier}
	require.Equal(t, 200, ask(t, b.Handler(reached), request(t.Context(), "Bearer "+op.SignBytes(map[string]any{"typ": "JWT"}, text))).Status)
}

// The secretKey of the Deploy seed, with each algorithm that it may be of.
func TestSymmetricIssuers(t *testing.T) {
	t.Parallel()
	secret := []byte(strings.Repeat("0123456789abcdef", 4))
	now := time.Now().Unix()
	token := func(alg string) string {
		return oidctest.SignHMAC(map[string]any{"alg": alg, "typ": "at+jwt"}, map[string]any{
			"iss": "https://internal.example.com", "aud": audience, "sub": "batch", "client_id": "batch", "jti": "1", "iat": now, "exp": now + 60,
		}, secret)
	}
	all := []string{"HS256", "HS384", "HS512"}
	for _, alg := range all {
		keys, err := jwks.Symmetric(secret, alg)
		require.NoError(t, err)
		provider, err := oidc.NewProvider(oidc.Config{Issuer: "https://internal.example.com", Keys: keys})
		require.NoError(t, err)
		verifier, err := oidc.NewAccessTokenVerifier(provider, oidc.AccessTokenConfig{Audience: []string{audience}, Algorithms: []string{alg}})
		require.NoError(t, err)
		for _, other := range all {
			want := map[bool]int{true: 200, false: 401}[alg == other]
			got := ask(t, (&middleware.Bearer{Verifier: verifier}).Handler(reached), request(t.Context(), "Bearer "+token(other)))
			require.Equal(t, want, got.Status, "%s %s", alg, other)
		}
	}
}

// An opaque token at an API: what its provider says of it, and that an outage is no verdict.
func TestOpaqueTokensAtAnAPI(t *testing.T) {
	t.Parallel()
	op := oidctest.Start(t, func(c *oidctest.Config) {
		fastKeys(c)
		c.OpaqueAccessTokens = true
		c.Clients = []oidctest.Client{oidctest.DefaultClient()}
		c.Clients[0].ID = audience
	})
	provider, err := oidc.NewProvider(oidc.Config{Issuer: op.Issuer(), Now: op.Now})
	require.NoError(t, err)
	client, err := oidc.NewClient(provider, oidc.ClientConfig{ClientID: audience, ClientSecret: clientauth.Secret(oidctest.ClientSecret)})
	require.NoError(t, err)
	opaque, err := oidc.NewIntrospectionVerifier(client, oidc.IntrospectionVerifierConfig{Audience: []string{audience}})
	require.NoError(t, err)
	h := (&middleware.Bearer{Verifier: opaque}).Handler(reached, middleware.RequireScopes("read"))
	send := func(raw string) answer { return ask(t, h, request(t.Context(), "Bearer "+raw)) }
	require.Equal(t, 200, send(op.AccessToken("alice", audience, "read")).Status)
	require.Equal(t, answerOf(403, `Bearer error="insufficient_scope", scope="read"`), send(op.AccessToken("alice", audience)))
	require.Equal(t, answerOf(401, `Bearer error="invalid_token"`), send("unknown"))
	require.Equal(t, answerOf(401, `Bearer error="invalid_token"`), send(op.AccessToken("alice", "https://other.example", "read")))
	good := op.AccessToken("alice", audience, "read")
	for name, f := range map[string]oidctest.Fault{"500": {Status: 500}, "401": {Status: 401}, "empty": {Body: "{}"}, "page": {Body: "<html>"}} {
		op.SetFault(oidctest.Introspection, f)
		got := send(good)
		require.Equal(t, answerOf(503).retry("1"), got, name)
	}
}
