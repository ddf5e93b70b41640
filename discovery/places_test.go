package discovery_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/discovery"
)

const (
	openID = "/.well-known/openid-configuration"
	oauth  = "/.well-known/oauth-authorization-server"
)

func TestPlaces(t *testing.T) {
	t.Parallel()
	for iss, places := range map[string][]string{
		issuer:        {issuer + openID, issuer + oauth},
		issuer + "/":  {issuer + openID, issuer + oauth},
		issuer + "/a": {issuer + "/a" + openID, issuer + oauth + "/a", issuer + openID + "/a", issuer + "/a" + oauth},
		// "any terminating "/" MUST be removed"
		issuer + "/a/b/":                 {issuer + "/a/b" + openID, issuer + oauth + "/a/b", issuer + openID + "/a/b", issuer + "/a/b" + oauth},
		issuer + ":8443/%7Ea":            {issuer + ":8443/%7Ea" + openID, issuer + ":8443" + oauth + "/%7Ea", issuer + ":8443" + openID + "/%7Ea", issuer + ":8443/%7Ea" + oauth},
		"http://[::1]:8080/realms/a":     {"http://[::1]:8080/realms/a" + openID, "http://[::1]:8080" + oauth + "/realms/a", "http://[::1]:8080" + openID + "/realms/a", "http://[::1]:8080/realms/a" + oauth},
		"https://a.example/https://b.ex": {"https://a.example/https://b.ex" + openID, "https://a.example" + oauth + "/https://b.ex", "https://a.example" + openID + "/https://b.ex", "https://a.example/https://b.ex" + oauth},
	} {
		s := newSite(nil)
		m, err := remote(t, discovery.Config{Issuer: iss, HTTPClient: s.client()}).Metadata(t.Context())
		require.Nil(t, m)
		requireUnavailable(t, err, iss)
		var e *discovery.NotFoundError
		require.ErrorAs(t, err, &e)
		require.Equal(t, places, s.requests())
		require.Equal(t, places, e.URLs)

		// Each place is good for metadata of this very issuer.
		for i, place := range places {
			s := newSite(map[string]page{place: of(iss, nil)})
			require.Equal(t, iss, read(t, s, discovery.Config{Issuer: iss}).Issuer)
			require.Equal(t, places[:i+1], s.requests())
		}
	}
}

// Only what says that nothing is there makes us look elsewhere.
func TestOtherPlacesAreForMissingDocuments(t *testing.T) {
	t.Parallel()
	first, second := issuer+openID, issuer+oauth
	for name, tt := range map[string]struct {
		page page
		asks int
	}{
		"404":          {page{status: 404}, 2},
		"410":          {page{status: 410}, 2},
		"401":          {page{status: 401}, 1},
		"403":          {page{status: 403}, 1},
		"500":          {page{status: 500}, 1},
		"503":          {page{status: 503}, 1},
		"302":          {page{status: 302, header: http.Header{"Location": {second}}}, 1},
		"no network":   {page{err: errors.New("down")}, 1},
		"no JSON":      {page{body: "<html>"}, 1},
		"other type":   {page{body: document(nil), header: http.Header{"Content-Type": {"text/html"}}}, 1},
		"other issuer": {of("https://evil.example", nil), 1}, // D01: not a reason to try on
		"no issuer":    {page{body: "{}"}, 1},
		"bad endpoint": {of(issuer, map[string]any{"jwks_uri": "http://evil.example"}), 1},
	} {
		s := newSite(map[string]page{first: tt.page, second: of(issuer, nil)})
		_, err := remote(t, discovery.Config{Issuer: issuer, HTTPClient: s.client()}).Metadata(t.Context())
		require.Len(t, s.requests(), tt.asks, name)
		if tt.asks == 2 {
			require.NoError(t, err, name)
			continue
		}
		requireUnavailable(t, err, name)
	}
}

// The second place is judged as the first.
func TestD01_IssuerOfTheOtherForm(t *testing.T) {
	t.Parallel()
	for _, found := range []string{issuer + "/", "https://evil.example", issuer + "/a"} {
		s := newSite(map[string]page{issuer + oauth: of(found, nil)})
		_, err := remote(t, discovery.Config{Issuer: issuer, HTTPClient: s.client()}).Metadata(t.Context())
		requireUnavailable(t, err)
		var e *discovery.IssuerError
		require.ErrorAs(t, err, &e)
		require.Equal(t, found, e.Found)
	}
}

func TestThePlaceIsRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		iss := issuer + "/a"
		s := newSite(map[string]page{issuer + oauth + "/a": of(iss, nil)})
		r := remote(t, discovery.Config{Issuer: iss, HTTPClient: s.client()})
		again := func() []string {
			time.Sleep(25 * time.Hour)
			_, err := r.Metadata(t.Context())
			require.NoError(t, err)
			synctest.Wait()
			return s.requests()
		}
		require.Equal(t, []string{iss + openID, issuer + oauth + "/a"}, again())
		require.Equal(t, issuer+oauth+"/a", r.Status().URL)
		require.Equal(t, []string{issuer + oauth + "/a"}, again())

		// It moves: the others are tried, in their order, and the new one is remembered.
		delete(s.pages, issuer+oauth+"/a")
		s.set(issuer+openID+"/a", of(iss, nil))
		require.Equal(t, []string{issuer + oauth + "/a", iss + openID, issuer + openID + "/a"}, again())
		require.Equal(t, []string{issuer + openID + "/a"}, again())
	})
}

func TestDiscoveryURL(t *testing.T) {
	t.Parallel()
	const place = "https://internal.example:8443/metadata?tenant=SECRET"
	cfg := discovery.Config{Issuer: issuer, DiscoveryURL: place}
	s := newSite(map[string]page{place: of(issuer, nil)})
	require.Equal(t, issuer, read(t, s, cfg).Issuer)
	require.Equal(t, []string{place}, s.requests())

	for _, found := range []string{"https://internal.example:8443", issuer + "/", "https://internal.example:8443/metadata"} {
		s = newSite(map[string]page{place: of(found, nil), issuer + openID: of(issuer, nil)})
		cfg.HTTPClient = s.client()
		_, err := remote(t, cfg).Metadata(t.Context())
		var e *discovery.IssuerError
		require.ErrorAs(t, err, &e)
		require.Len(t, s.requests(), 1)
	}

	// Nowhere else is looked, and the query is not told.
	s = newSite(map[string]page{issuer + openID: of(issuer, nil)})
	cfg.HTTPClient = s.client()
	_, err := remote(t, cfg).Metadata(t.Context())
	var e *discovery.NotFoundError
	require.ErrorAs(t, err, &e)
	require.NotContains(t, err.Error(), "SECRET")
	require.Equal(t, []string{place}, s.requests())

	for _, bad := range []string{"http://op.example/x", "/x", "https://a@op.example", "https://op.example/#", "ftp://op.example"} {
		_, err := discovery.New(discovery.Config{Issuer: issuer, DiscoveryURL: bad})
		require.Error(t, err, bad)
	}
}

// The documents of Entra ID for all tenants have a placeholder in their issuer.
func TestPlaceholder(t *testing.T) {
	t.Parallel()
	const (
		template = "https://login.microsoftonline.com/{tenantid}/v2.0"
		place    = "https://login.microsoftonline.com/common/v2.0" + openID
	)
	s := newSite(map[string]page{place: of(template, nil)})
	require.Equal(t, template, read(t, s, discovery.Config{Issuer: template, DiscoveryURL: place}).Issuer)

	// It is compared as it is: nothing is filled in.
	for configured, found := range map[string]string{
		template: "https://login.microsoftonline.com/common/v2.0", "https://login.microsoftonline.com/common/v2.0": template,
	} {
		s := newSite(map[string]page{place: of(found, nil)})
		_, err := remote(t, discovery.Config{Issuer: configured, DiscoveryURL: place, HTTPClient: s.client()}).Metadata(t.Context())
		var e *discovery.IssuerError
		require.ErrorAs(t, err, &e, configured)
	}

	for _, cfg := range []discovery.Config{
		{Issuer: template}, // nothing is there
		{Issuer: "https://op.example/{tenant}", DiscoveryURL: place},
		{Issuer: "https://op.example/{tenantid}/{tenantid}", DiscoveryURL: place},
		{Issuer: "https://op.example/{tenantid}}", DiscoveryURL: place},
		{Issuer: "https://{tenantid}.example", DiscoveryURL: place},
	} {
		_, err := discovery.New(cfg)
		require.Error(t, err, cfg.Issuer)
	}
}
