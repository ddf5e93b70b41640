package deploy

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/oidc"
)

// A row of the table of Check.
type row struct{ setting, value, verdict string }

const ok = "ok"

// Check asks the provider for what the settings rest on, and writes a table of what was found
// and what is wrong. The error tells how much is wrong.
func (s *Settings) Check(ctx context.Context, env Environment, w io.Writer) error {
	rows := s.checkLogin(ctx, env)
	rows = append(rows, s.checkAPI(ctx, env)...)
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "SETTING\tVALUE\tVERDICT") // its errors are those of Flush
	wrong := 0
	for _, r := range rows {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", r.setting, r.value, r.verdict)
		if r.verdict != ok {
			wrong++
		}
	}
	if err := table.Flush(); err != nil || wrong == 0 {
		return err
	}
	return fmt.Errorf("%s: %d of %d are wrong, see the table", s.file, wrong, len(rows))
}

func (s *Settings) checkLogin(ctx context.Context, env Environment) []row {
	provider, err := s.NewProvider(env)
	if err != nil {
		return []row{{"issuer", s.Issuer, err.Error()}}
	}
	_, err = s.NewClient(provider) //nolint:contextcheck // a constructor takes none
	rows := []row{
		{"clientId", s.ClientID, ok},
		{"clientAuthMethod", strings.TrimSpace(s.ClientAuthMethod + " " + s.ClientAuthJWT.JWSAlg), verdict(err)},
		{"redirectUri", s.RedirectURI, ok},
		{"postLogoutRedirectUri", s.PostLogoutRedirectURI, ok},
		{"scopes", strings.Join(s.Scopes, " "), ok},
		{"rolesClaimName", s.RolesClaimName.String(), ok},
		{"userNameClaimName", s.UserNameClaimName.String(), ok},
	}
	m, err := provider.Metadata(ctx)
	if err != nil {
		return append(rows, row{"issuer", s.Issuer, "no metadata: " + err.Error()})
	}
	how := "discovered"
	if s.withoutDiscovery() {
		how = "not discovered, all addresses are given"
	}
	rows = append(rows, row{"issuer", s.Issuer + " (" + how + ")", ok},
		address("userAuthorizationUri", m.AuthorizationEndpoint), address("accessTokenUri", m.TokenEndpoint),
		address("logoutUri", m.EndSessionEndpoint),
		row{"idTokenJWSAlg", s.IDTokenJWSAlg, listed(m.IDTokenSigningAlgValuesSupported, s.IDTokenJWSAlg)},
		row{"clientAuthMethod at the provider", s.ClientAuthMethod, s.methodListed(m)},
	)
	if slices.Contains(symmetric, s.IDTokenJWSAlg) {
		return append(rows, row{"keys", "clientSecret", ok})
	}
	err = provider.Ready(ctx)
	return append(rows, address("keyRetrievalUri", m.JWKSURI), row{"keys", describe(err, provider), verdict(err)})
}

func (s *Settings) checkAPI(ctx context.Context, env Environment) []row {
	a := s.AccessToken
	rows := []row{
		{accessToken + ".issuer", a.Issuer, ok}, {accessToken + ".audience", a.Audience, ok}, {accessToken + ".jwsAlg", a.JWSAlg, ok},
	}
	provider, err := s.NewAPIProvider(env)
	if err == nil {
		_, err = s.NewVerifier(provider)
	}
	switch {
	case err != nil:
		return append(rows, row{accessToken, "", err.Error()})
	case a.SecretKey != "":
		return append(rows, row{accessToken + " keys", accessToken + ".secretKey", ok})
	}
	err = provider.Ready(ctx)
	found := describe(err, provider)
	if a.KeyRetrievalURI == "" && err == nil {
		found += ", of " + s.Issuer
	}
	return append(rows, row{accessToken + " keys", found, verdict(err)})
}

func verdict(err error) string {
	if err == nil {
		return ok
	}
	return err.Error()
}

func address(setting, found string) row {
	if found == "" {
		return row{setting, "", "is neither in the metadata nor in the file: write it"}
	}
	return row{setting, found, ok}
}

// listed judges by a list of the metadata, which may be missing.
func listed(supported []string, wanted string) string {
	if len(supported) == 0 || slices.Contains(supported, wanted) {
		return ok
	}
	return "the provider lists " + strings.Join(supported, ", ")
}

// methodListed judges by the list of the metadata; one that is missing means
// client_secret_basic (OpenID Connect Discovery 1.0 section 3), unless there are no metadata.
func (s *Settings) methodListed(m *discovery.Metadata) string {
	supported := m.TokenEndpointAuthMethodsSupported
	if len(supported) == 0 && !s.withoutDiscovery() {
		supported = []string{"client_secret_basic"}
	}
	return listed(supported, s.ClientAuthMethod)
}

func describe(err error, provider *oidc.Provider) string {
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%d usable", provider.Status().Keys.Keys)
}
