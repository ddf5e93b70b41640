package deploy_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/examples/internal/deploy"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

const redirectURI = "https://xl-deploy.example.com/login/external-login"

// start starts a provider that knows Deploy.
func start(t *testing.T, change ...func(*oidctest.Client)) *oidctest.Provider {
	t.Helper()
	return oidctest.Start(t, func(c *oidctest.Config) {
		client := oidctest.DefaultClient()
		client.AuthMethod, client.RedirectURIs = "client_secret_post", []string{redirectURI}
		client.PostLogoutRedirectURIs = []string{redirectURI}
		for _, f := range change {
			f(&client)
		}
		c.Clients = []oidctest.Client{client}
	})
}

// settings are lines by their names; "" is no line.
type settings map[string]string

func needed(p *oidctest.Provider) settings {
	return settings{
		"clientId": oidctest.ClientID, "clientSecret": oidctest.ClientSecret, "issuer": p.Issuer(), "redirectUri": redirectURI,
		"rolesClaimName": "realm_access.roles", "userNameClaimName": "preferred_username",
	}
}

// file writes settings as the document does, with changes: each is a name, a colon and the rest.
func (s settings) file(changes ...string) string {
	var text strings.Builder
	text.WriteString("deploy.security:\n  auth:\n    providers:\n      oidc:\n")
	for _, line := range changes {
		name, _, _ := strings.Cut(line, ":")
		s[name] = ""
		fmt.Fprintf(&text, "        %s\n", strings.ReplaceAll(line, "\n", "\n        "))
	}
	for _, name := range []string{"clientId", "clientSecret", "issuer", "redirectUri", "rolesClaimName", "userNameClaimName"} {
		if s[name] != "" {
			fmt.Fprintf(&text, "        %s: %q\n", name, s[name])
		}
	}
	return text.String()
}

func parse(t *testing.T, text string) *deploy.Settings {
	t.Helper()
	s, err := deploy.Parse("deploy-oidc.yaml", stores, []byte(text))
	require.NoError(t, err, text)
	return s
}

// A rig is a client of the settings, and what it did.
type rig struct {
	*deploy.Settings
	client *oidc.Client
	asked  url.Values // the authorization request
}

func newRig(t *testing.T, p *oidctest.Provider, changes ...string) *rig {
	t.Helper()
	s := parse(t, needed(p).file(changes...))
	provider, err := s.NewProvider(deploy.Environment{Now: p.Now})
	require.NoError(t, err)
	client, err := s.NewClient(provider)
	require.NoError(t, err)
	return &rig{Settings: s, client: client}
}

// login logs alice in.
func (r *rig) login(t *testing.T, p *oidctest.Provider) (*oidc.Tokens, error) {
	t.Helper()
	flow, err := r.client.Begin(t.Context())
	require.NoError(t, err)
	asked, err := url.Parse(flow.AuthorizationURL)
	require.NoError(t, err)
	r.asked = asked.Query()
	back, err := p.Login(t.Context(), flow.AuthorizationURL, "alice")
	require.NoError(t, err)
	require.Equal(t, redirectURI, back.Scheme+"://"+back.Host+back.Path)
	return r.client.Finish(t.Context(), flow, back.Query())
}

func (r *rig) identity(t *testing.T, p *oidctest.Provider) (*claims.Identity, error) {
	t.Helper()
	tokens, err := r.login(t, p)
	require.NoError(t, err)
	mapper, err := r.NewMapper()
	require.NoError(t, err)
	return mapper.Identity(t.Context(), claims.Sources{IDToken: tokens.IDToken.Claims})
}

// verify judges a bearer token as the REST API of the settings does.
func verify(t *testing.T, p *oidctest.Provider, token string, changes ...string) error {
	t.Helper()
	s := parse(t, needed(p).file(changes...))
	api, err := s.NewAPIProvider(deploy.Environment{Now: p.Now})
	require.NoError(t, err)
	v, err := s.NewVerifier(api)
	require.NoError(t, err)
	_, err = v.Verify(t.Context(), token)
	return err
}

// front forwards one path to a provider, elsewhere.
func front(t *testing.T, p *oidctest.Provider, path string) (at string) {
	t.Helper()
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	return server.URL + path
}

func check(ctx context.Context, p *oidctest.Provider, s *deploy.Settings) (table string, err error) {
	var text strings.Builder
	err = s.Check(ctx, deploy.Environment{Now: p.Now}, &text)
	return text.String(), err
}
