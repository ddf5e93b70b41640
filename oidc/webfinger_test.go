package oidc_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/oidc"
	"github.com/stretchr/testify/require"
)

const webFingerPath = "/.well-known/webfinger"

func issuerLink(href any) object {
	return object{"rel": "http://openid.net/specs/connect/1.0/issuer", "href": href}
}

// webFinger is what a host answers, and a configuration that asks it without a network.
func webFinger(r reply) (*standIn, oidc.WebFingerConfig) {
	s := &standIn{replies: map[string]func(*http.Request, string) reply{webFingerPath: always(r)}}
	return s, oidc.WebFingerConfig{AllowedIssuers: []string{issuer}, InsecurePrivateHosts: true, HTTPClient: &http.Client{Transport: s}}
}

func jrd(links ...object) reply {
	return reply{kind: "application/jrd+json", body: object{"subject": "acct:other@example.com", "links": links}}
}

// OpenID Connect Discovery section 2.1: what is asked, and where.
func TestWebFinger_Identifiers(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]struct{ resource, host string }{
		"joe@example.com":      {"acct:joe@example.com", "example.com"},
		"  joe@Example.COM ":   {"acct:joe@example.com", "example.com"},
		"acct:joe@example.com": {"acct:joe@example.com", "example.com"},
		"ACCT:Joe@example.com": {"acct:Joe@example.com", "example.com"},
		"joe@example.com#me":   {"acct:joe@example.com", "example.com"},
		"acct:juliet%40capulet.example@shopping.example.com": {"acct:juliet%40capulet.example@shopping.example.com", "shopping.example.com"},
		"example.com":                  {"https://example.com/", "example.com"},
		"example.com:8080":             {"https://example.com:8080/", "example.com:8080"},
		"example.com/joe":              {"https://example.com/joe", "example.com"},
		"https://example.com/joe":      {"https://example.com/joe", "example.com"},
		"HTTPS://Example.com/Joe#frag": {"https://example.com/Joe", "example.com"},
		"https://example.com:8443/a?b": {"https://example.com:8443/a?b", "example.com:8443"},
		"joe@example.com:8080":         {"https://joe@example.com:8080/", "example.com:8080"},
		"https://joe@example.com":      {"https://joe@example.com/", "example.com"},
		"example.com/a@b":              {"https://example.com/a@b", "example.com"},
		"https://[2001:DB8::1]:8443/a": {"https://[2001:db8::1]:8443/a", "[2001:db8::1]:8443"},
		"jörg@example.com":             {"acct:jörg@example.com", "example.com"},
		"a&resource=b@example.com":     {"acct:a&resource=b@example.com", "example.com"},
	} {
		s, cfg := webFinger(jrd(issuerLink(issuer)))
		found, err := oidc.WebFinger(t.Context(), cfg, typed)
		require.NoError(t, err, typed)
		require.Equal(t, issuer, found)
		requests, _, _ := s.sent(webFingerPath)
		require.Len(t, requests, 1)
		require.Equal(t, "https", requests[0].URL.Scheme)
		require.Equal(t, want.host, requests[0].URL.Host, typed)
		require.Equal(t, url.Values{"resource": {want.resource}, "rel": {"http://openid.net/specs/connect/1.0/issuer"}}, requests[0].URL.Query(), typed)
		require.Empty(t, requests[0].Header.Get("Authorization"))
	}
	for _, typed := range []string{
		"", " ", "#", "=joe", "@joe", "=joe@example.com", "!joe@example.com", "!1234", "+joe", "$x", "http://example.com/joe", "ftp://example.com", "mailto:joe@example.com", "javascript:alert(1)",
		"acct:joe", "acct:@example.com", "joe@", "joe@example.com\nX: y", "joe@exam ple.com", "joe@münchen.example", "https://münchen.example/", "joe@example.com%2fa",
		"https://joe:secret@example.com/", "https:///joe", "https://", "acct:joe@example.com:80", "joe@ex\u202eample.com", "https://example.com:0/", "https://example.com:/", "https://example.com:65536/", "00000:A:", "https://[::1%25eth0]/", "https://[a]/", "acct:a/b@example.com",
		"joe@[::1", "https://example.com\\@evil.example/", strings.Repeat("a", 2000) + "@example.com",
	} {
		s, cfg := webFinger(jrd(issuerLink(issuer)))
		_, err := oidc.WebFinger(t.Context(), cfg, typed)
		require.ErrorIs(t, err, oidc.ErrIdentifier, typed)
		require.Empty(t, s.seen, typed)
	}
}

func TestWebFinger_WithAProvider(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	cfg := oidc.WebFingerConfig{AllowedIssuers: []string{issuer}, InsecurePrivateHosts: true, HTTPClient: op.HTTPClient()}
	for typed, want := range map[string]error{"alice@id.example": nil, "id.example": nil, "mallory@id.example": oidc.ErrNoIssuer} {
		found, err := oidc.WebFinger(t.Context(), cfg, typed)
		require.ErrorIs(t, err, want)
		require.Equal(t, want == nil, found == issuer)
	}
}

// F50: what a host says selects among the allowed, and nothing else.
func TestF50_WhatIsFoundOnlySelects(t *testing.T) {
	t.Parallel()
	const other = "https://other.example/tenant"
	for name, tt := range map[string]struct {
		reply    reply
		insecure bool
		want     string // empty: none
	}{
		"allowed":             {jrd(issuerLink(issuer)), false, issuer},
		"as JSON":             {reply{body: object{"links": []object{issuerLink(issuer)}}}, false, issuer},
		"second":              {jrd(object{"rel": "avatar", "href": "https://example.com/me.png"}, issuerLink(other), issuerLink(issuer)), false, issuer},
		"another":             {jrd(issuerLink(other)), false, ""},
		"almost":              {jrd(issuerLink(issuer + "/")), false, ""},
		"another case":        {jrd(issuerLink("https://ID.example")), false, ""},
		"other relation":      {jrd(object{"rel": "issuer", "href": issuer}), false, ""},
		"no links":            {reply{body: object{}}, false, ""},
		"not found":           {reply{status: 404}, false, ""},
		"any":                 {jrd(issuerLink(other)), true, other},
		"any, first":          {jrd(issuerLink(other), issuerLink(issuer)), true, other},
		"any, but http":       {jrd(issuerLink("http://other.example")), true, ""},
		"any, but loopback":   {jrd(issuerLink("http://127.0.0.1")), true, ""},
		"any, but query":      {jrd(issuerLink(other + "?a")), true, ""},
		"any, but fragment":   {jrd(issuerLink(other + "#a")), true, ""},
		"any, but user info":  {jrd(issuerLink("https://a@other.example")), true, ""},
		"any, but no URL":     {jrd(issuerLink("other")), true, ""},
		"any, but empty":      {jrd(issuerLink("")), true, ""},
		"any, but null":       {jrd(issuerLink(nil)), true, ""},
		"any, but a template": {jrd(object{"rel": "http://openid.net/specs/connect/1.0/issuer", "template": other}), true, ""},
	} {
		_, cfg := webFinger(tt.reply)
		if tt.insecure {
			cfg.AllowedIssuers, cfg.InsecureAnyIssuer = nil, true
		}
		found, err := oidc.WebFinger(t.Context(), cfg, "joe@example.com")
		require.Equal(t, tt.want, found, name)
		if tt.want == "" {
			require.ErrorIs(t, err, oidc.ErrNoIssuer, name)
			require.NotErrorIs(t, err, oidckit.ErrUnavailable)
			continue
		}
		require.NoError(t, err, name)
	}
}

// F50: who types an identifier does not choose whom we connect to: only the public
// Internet, unless the configuration says otherwise; with a list, only its hosts.
func TestF50_OnlyPublicHostsAreAsked(t *testing.T) {
	t.Parallel()
	asked := false
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	t.Cleanup(server.Close)
	port := server.URL[strings.LastIndexByte(server.URL, ':'):]
	cfg := oidc.WebFingerConfig{AllowedIssuers: []string{issuer}, HTTPClient: server.Client()}
	server.Client().Transport.(*http.Transport).DialContext = nil
	for _, host := range []string{
		"127.0.0.1" + port, "localhost" + port, "127.1" + port, "2130706433" + port, "[::1]" + port, "[::ffff:127.0.0.1]" + port, "169.254.169.254", "10.0.0.1", "[fd00::1]",
	} {
		_, err := oidc.WebFinger(t.Context(), cfg, "https://"+host+"/joe")
		require.Error(t, err, host)
		require.ErrorIs(t, err, oidckit.ErrUnavailable)
	}
	require.False(t, asked)

	s, listed := webFinger(jrd(issuerLink(issuer)))
	listed.AllowedHosts = []string{"Example.com", "example.net:8443"}
	for typed, good := range map[string]bool{
		"joe@example.com": true, "https://example.net:8443/": true, "joe@example.net": false, "joe@sub.example.com": false, "joe@example.com.evil.example": false, "example.com:8443": false,
	} {
		before := len(s.seen)
		_, err := oidc.WebFinger(t.Context(), listed, typed)
		require.Equal(t, good, err == nil, typed)
		if !good {
			require.ErrorIs(t, err, oidc.ErrNoIssuer)
			require.Len(t, s.seen, before, typed)
		}
	}
}

func TestF50_Configuration(t *testing.T) {
	t.Parallel()
	for _, cfg := range []oidc.WebFingerConfig{
		{}, // whom to trust is not left open
		{InsecureAnyIssuer: true, AllowedIssuers: []string{issuer}},
		{AllowedIssuers: []string{issuer}, HTTPClient: &http.Client{Transport: &standIn{}}}, // it dials as it likes
	} {
		_, err := oidc.WebFinger(t.Context(), cfg, "joe@example.com")
		require.ErrorContains(t, err, "oidc: WebFingerConfig.")
	}
}

func TestWebFinger_Outages(t *testing.T) {
	t.Parallel()
	replies := outageReplies()
	delete(replies, "in trouble")
	replies["links is text"] = reply{body: object{"links": marker}}
	replies["a list"] = reply{body: []string{marker}}
	replies["two cases"] = reply{body: `{"links":[],"LINKS":[]}`}
	replies["410"] = reply{status: 410}
	for name, r := range replies {
		s, cfg := webFinger(r)
		_, err := oidc.WebFinger(t.Context(), cfg, marker+"@example.com")
		require.Error(t, err, name)
		requireUnavailable(t, err)
		require.Len(t, s.seen, 1, name)
	}
	synctest.Test(t, func(t *testing.T) {
		_, cfg := webFinger(reply{hang: true})
		began := time.Now()
		_, err := oidc.WebFinger(t.Context(), cfg, marker+"@example.com")
		requireUnavailable(t, err)
		require.Equal(t, 10*time.Second, time.Since(began))
	})
}

// FuzzWebFingerAsksTheHostThatWasTyped: whatever somebody types, one request at most goes
// out, by https, to a host that stands in it.
func FuzzWebFingerAsksTheHostThatWasTyped(f *testing.F) {
	seeds := []string{"joe@example.com", "https://a:b@c/d?e#f", "acct:a@b@c", "a\\@b", "example.com:80/a@b", "[::1]:1", "%2f@x", "a?@b", "//a", "a//b", "00000:A:", "https://https://a"}
	require.NotEmpty(f, seeds)
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		s, cfg := webFinger(jrd(issuerLink(issuer)))
		_, err := oidc.WebFinger(t.Context(), cfg, typed)
		if err != nil {
			require.ErrorIs(t, err, oidc.ErrIdentifier)
			require.Empty(t, s.seen)
			return
		}
		require.Len(t, s.seen, 1)
		u := s.seen[0].URL
		require.Equal(t, "https", u.Scheme)
		require.Nil(t, u.User)
		require.Equal(t, webFingerPath, u.Path)
		require.Contains(t, strings.ToLower(typed), u.Host)
	})
}
