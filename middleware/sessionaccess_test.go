package middleware_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

var realmRoles = claims.P("realm_access", "roles")

// A switchable verifier of access tokens fails with err, if that is set.
type switchable struct {
	middleware.TokenVerifier
	mu  sync.Mutex
	err error
}

func (v *switchable) fail(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.err = err
}

func (v *switchable) Verify(ctx context.Context, raw string) (*oidc.AccessToken, error) {
	v.mu.Lock()
	err := v.err
	v.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return v.TokenVerifier.Verify(ctx, raw)
}

// accessTokens is a verifier as Keycloak needs it: tokens name the client, and no API.
func accessTokens(t *testing.T, p *oidc.Provider) *oidc.AccessTokenVerifier {
	t.Helper()
	v, err := oidc.NewAccessTokenVerifier(p, oidc.AccessTokenConfig{
		Audience: []string{oidctest.ClientID}, AudienceClaim: "azp", InsecureAllowUntyped: true,
	})
	require.NoError(t, err)
	return v
}

// rolesMapper reads the roles of Keycloak, wherever they are.
func rolesMapper(t *testing.T, from ...claims.Source) *claims.Mapper {
	t.Helper()
	m, err := claims.NewMapper(claims.Mapping{Roles: claims.ListClaim{Paths: []claims.Pattern{realmRoles.Pattern()}, From: from}})
	require.NoError(t, err)
	return m
}

// newKeycloakFleet has roles in access tokens alone, and pages for admins.
func newKeycloakFleet(t *testing.T, m mode, configure ...func(*middleware.LoginConfig)) *fleet {
	t.Helper()
	f := newFleet(t, m, 2, append([]func(*middleware.LoginConfig){func(c *middleware.LoginConfig) {
		c.AccessTokens, c.Mapper = accessTokens(t, c.Client.Provider()), rolesMapper(t)
	}}, configure...)...)
	f.op.OnIDToken(func(_, c map[string]any) { delete(c, "realm_access") })
	f.op.OnUserInfo(func(c map[string]any) { delete(c, "realm_access") })
	f.accessTokensHave(func(map[string]any) {})
	for i, login := range f.apps {
		f.front[i] = login.Handler(login.RequireLogin(http.HandlerFunc(show),
			middleware.RequireRole(realmRoles, "admin"), middleware.RequireMappedRoles("admin")))
	}
	return f
}

// accessTokensHave writes access tokens as Keycloak does, but for their type, by which the
// userinfo endpoint of oidctest knows them, and changes them.
func (f *fleet) accessTokensHave(change func(c map[string]any)) {
	f.op.OnAccessToken(func(_, c map[string]any) {
		c["typ"], c["azp"] = "Bearer", c["client_id"]
		change(c)
	})
}

func rolesAre(roles ...string) func(map[string]any) {
	return func(c map[string]any) { c["realm_access"] = map[string]any{"roles": append([]string{}, roles...)} }
}

func TestNeeds11_RolesInTheAccessTokenAlone(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newKeycloakFleet(t, m)
		bob := f.visitor()
		bob.logIn("bob")
		require.Equal(t, http.StatusForbidden, bob.get(0, "/").Code)
		v := f.visitor()
		v.logIn("alice")
		s := v.require(http.StatusOK, 0).session
		require.NotContains(t, string(middleware.RecordOf(s)), "realm_access", "the claims are in the token, and need not be there twice")
		roles, err := s.Strings(realmRoles)
		require.NoError(t, err)
		require.Equal(t, []string{"admin", "user"}, roles)
		azp, err := s.AccessTokenClaims().String(claims.P("azp"))
		require.NoError(t, err)
		require.Equal(t, oidctest.ClientID, azp)
		id, err := s.Identity(t.Context())
		require.NoError(t, err)
		require.Equal(t, claims.FromAccessToken, id.Origins.Roles[0].Source)

		// A refresh has the roles of now.
		f.accessTokensHave(rolesAre("user"))
		time.Sleep(accessLife)
		require.Equal(t, http.StatusForbidden, v.get(1, "/").Code)
		f.accessTokensHave(rolesAre("admin"))
		time.Sleep(accessLife)
		v.require(http.StatusOK, 0)
	})
}

// ID token and userinfo come first, also with a list that is empty.
func TestNeeds11_AccessTokensComeLast(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"ID token", "userinfo"} {
		f := newKeycloakFleet(t, serverSide)
		if in == "ID token" {
			f.op.OnIDToken(func(_, c map[string]any) { rolesAre()(c) })
		} else {
			f.op.OnUserInfo(rolesAre())
		}
		v := f.visitor()
		v.logIn("alice")
		require.Equal(t, http.StatusForbidden, v.get(0, "/").Code, in)
	}
}

// Without a verifier nobody looks into an access token, also not into one that was verified when
// there was one.
func TestNeeds11_UnverifiedAccessTokensDoNotCount(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		without := func(c *middleware.LoginConfig) { c.AccessTokens = nil }
		f := newKeycloakFleet(t, m)
		f.add(m, without)
		last := len(f.apps) - 1
		v := f.visitor()
		require.Equal(t, http.StatusSeeOther, v.get(0, v.begin(0, "alice")).Code)
		v.require(http.StatusOK, 0)
		s := v.require(http.StatusOK, last).session
		require.False(t, s.AccessTokenClaims().Has(realmRoles))
		_, err := s.Strings(realmRoles)
		require.True(t, claims.IsMissing(err))
		time.Sleep(accessLife) // and whoever has none verifies nothing for the others
		v.require(http.StatusOK, last)
		require.Equal(t, http.StatusForbidden, v.get(0, "/").Code)

		f = newKeycloakFleet(t, m, without)
		v = f.visitor()
		v.logIn("alice")
		require.Equal(t, http.StatusForbidden, v.get(0, "/").Code)
	})
}

func TestNeeds11_RefusedAccessTokenEndsTheLogin(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(header, c map[string]any)
		reason oidc.Reason
	}{
		"of somebody else":  {func(_, c map[string]any) { c["sub"] = bobSubject }, oidc.ReasonSubject},
		"of another client": {func(_, c map[string]any) { c["azp"] = "other" }, oidc.ReasonAudience},
		"of another kind":   {func(header, c map[string]any) { header["typ"], c["typ"] = "JWT", "ID" }, oidc.ReasonType},
		"of another issuer": {func(_, c map[string]any) { c["iss"] = "https://other.example" }, oidc.ReasonIssuer},
		"expired":           {func(_, c map[string]any) { c["exp"] = 1 }, oidc.ReasonExpired},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Its userinfo endpoint would refuse most of them itself.
			f := newKeycloakFleet(t, serverSide, func(c *middleware.LoginConfig) { c.WithoutUserInfo = true })
			f.op.OnAccessToken(func(header, c map[string]any) {
				c["azp"] = c["client_id"]
				tt.change(header, c)
			})
			v := f.visitor()
			end := v.get(1, v.begin(0, "alice"))
			require.Equal(t, http.StatusBadRequest, end.Code)
			require.Empty(t, v.sessionCookies())
			failed := f.stepsOf(middleware.LoginFailed)
			require.Len(t, failed, 1)
			var e *oidc.Error
			require.ErrorAs(t, failed[0].Err, &e)
			require.Equal(t, tt.reason, e.Reason)
		})
	}
}

// A verifier of several issuers judges the issuer by its own rules: it must be that of the ID
// token besides.
func TestNeeds11_AccessTokenOfAnotherIssuer(t *testing.T) {
	t.Parallel()
	f := newKeycloakFleet(t, serverSide, func(c *middleware.LoginConfig) {
		c.AccessTokens = issuerChanged{c.AccessTokens}
	})
	v := f.visitor()
	require.Equal(t, http.StatusBadRequest, v.get(1, v.begin(0, "alice")).Code)
	f = newKeycloakFleet(t, serverSide, func(c *middleware.LoginConfig) { c.AccessTokens = silent{} })
	v = f.visitor()
	require.Equal(t, http.StatusInternalServerError, v.get(1, v.begin(0, "alice")).Code)
}

type issuerChanged struct{ middleware.TokenVerifier }

func (v issuerChanged) Verify(ctx context.Context, raw string) (*oidc.AccessToken, error) {
	token, err := v.TokenVerifier.Verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	changed := *token
	changed.Issuer += "/"
	return &changed, nil
}

// silent returns neither a token nor an error.
type silent struct{}

func (silent) Verify(context.Context, string) (*oidc.AccessToken, error) { return nil, nil }

func TestNeeds11_AccessTokensThatCannotBeJudged(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		down := &oidckit.UnavailableError{What: "keys", RetryAfter: time.Minute}
		verifier := &switchable{err: down}
		f := newKeycloakFleet(t, m, func(c *middleware.LoginConfig) {
			if verifier.TokenVerifier == nil {
				verifier.TokenVerifier = c.AccessTokens
			}
			c.AccessTokens = verifier
		})
		v := f.visitor()
		require.Equal(t, http.StatusServiceUnavailable, v.get(1, v.begin(0, "alice")).Code)
		require.Empty(t, v.sessionCookies())

		verifier.fail(nil)
		v.logIn("alice")
		before := v.require(http.StatusOK, 0).token()
		verifier.fail(down)
		f.accessTokensHave(rolesAre("user"))
		for range 2 { // its claims are of before, however long that takes
			time.Sleep(accessLife)
			require.NotEqual(t, before, v.require(http.StatusOK, 1).token())
		}
		for _, s := range f.stepsOf(middleware.SessionRefreshed) {
			require.ErrorIs(t, s.Err, oidckit.ErrUnavailable)
		}
		require.Len(t, f.stepsOf(middleware.SessionRefreshed), 2)
		verifier.fail(nil)
		time.Sleep(accessLife)
		require.Equal(t, http.StatusForbidden, v.get(0, "/").Code, "and now they are of now")
		f.requireSentOnce(3)
	})
}

func TestNeeds11_RefusedAccessTokenEndsTheSession(t *testing.T) {
	inEachMode(t, func(t *testing.T, m mode) {
		f := newKeycloakFleet(t, m)
		v := f.visitor()
		v.logIn("alice")
		old := v.copy()
		v.require(http.StatusOK, 0)
		f.accessTokensHave(func(c map[string]any) { c["azp"] = "other" })
		time.Sleep(accessLife)
		require.Equal(t, http.StatusUnauthorized, v.get(1, "/").Code)
		require.Equal(t, http.StatusUnauthorized, old.get(0, "/").Code)
		ended := f.stepsOf(middleware.SessionEnded)
		require.Len(t, ended, 1)
		var e *oidc.Error
		require.ErrorAs(t, ended[0].Err, &e)
		require.Equal(t, oidc.ReasonAudience, e.Reason)
	})
}

// A token that the claims are not in: they are kept besides.
func TestNeeds11_OpaqueAccessTokens(t *testing.T) {
	t.Parallel()
	s := newSiteAt(t, oidctest.Start(t, fastKeys, stoppedClock, func(c *oidctest.Config) { c.OpaqueAccessTokens = true }),
		func(c *middleware.LoginConfig) {
			v, err := oidc.NewIntrospectionVerifier(c.Client, oidc.IntrospectionVerifierConfig{
				Audience: []string{c.Client.Provider().Issuer() + "/userinfo"},
			})
			require.NoError(t, err)
			c.AccessTokens, c.Mapper = v, rolesMapper(t, claims.FromAccessToken)
		})
	s.handler = s.login.Handler(s.login.RequireLogin(http.HandlerFunc(show), middleware.RequireMappedRoles("admin")))
	alice, bob := s.browser(t), s.browser(t)
	alice.logIn("alice")
	require.Equal(t, http.StatusOK, alice.get("/").StatusCode)
	bob.logIn("bob")
	require.Equal(t, http.StatusForbidden, bob.get("/").StatusCode)
}

// A token that is bound to a key is bound to that of the client itself.
func TestNeeds11_BoundAccessTokens(t *testing.T) {
	t.Parallel()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	f := newKeycloakFleet(t, serverSide, func(c *middleware.LoginConfig) {
		dpop, err := oidc.NewDPoP(oidc.DPoPConfig{Signer: private})
		require.NoError(t, err)
		c.Client, err = oidc.NewClient(c.Client.Provider(), oidc.ClientConfig{
			ClientID: oidctest.ClientID, ClientSecret: oidctest.ClientSecret, DPoP: dpop,
		})
		require.NoError(t, err)
	})
	f.accessTokensHave(func(c map[string]any) { c["typ"] = "DPoP" })
	v := f.visitor()
	v.logIn("alice")
	require.True(t, v.require(http.StatusOK, 0).session.AccessTokenClaims().Has(claims.P("cnf", "jkt")))
}

// The zero Session is nobody's, and a mapping that needs what nobody verifies is a mistake.
func TestNeeds11_Configuration(t *testing.T) {
	t.Parallel()
	require.False(t, new(middleware.Session).AccessTokenClaims().Has(realmRoles))
	f := newFleet(t, serverSide, 1)
	cfg := middleware.LoginConfig{
		Client: f.newClient(), PublicURL: fleetURL, Keys: testKeys, Mapper: rolesMapper(t, claims.FromIDToken, claims.FromAccessToken),
	}
	_, err := middleware.NewLogin(cfg)
	require.ErrorContains(t, err, "LoginConfig.AccessTokens is required")
	cfg.AccessTokens = accessTokens(t, cfg.Client.Provider())
	_, err = middleware.NewLogin(cfg)
	require.NoError(t, err)
}
