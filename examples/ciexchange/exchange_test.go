package main

import (
	"encoding/base64"
	"fmt"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

func decodeBase64(t *testing.T, text string) []byte {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(text)
	require.NoError(t, err)
	return data
}

var ours = changes{"aud": "https://github.com/acme"}

func with(more changes) changes {
	all := changes{"aud": "https://github.com/acme"}
	maps.Copy(all, more)
	return all
}

func TestExchange(t *testing.T) {
	t.Parallel()
	r := start(t, basic)
	token := r.job(t, ours)
	a := r.exchange(t, "acme", "github-service", token)
	require.Equal(t, 200, a.status, a.body)
	require.Equal(t, jsonType, a.header.Get("Content-Type"))
	require.Equal(t, "no-store", a.header.Get("Cache-Control"))
	require.Contains(t, a.body, `"token": "`) // as scripts in the wild grep for it
	minted := a.member(t, "token")

	// Others verify it by what is published.
	p, err := oidc.NewProvider(oidc.Config{Issuer: r.base, Now: r.ci.Now})
	require.NoError(t, err)
	v, err := oidc.NewAccessTokenVerifier(p, oidc.AccessTokenConfig{Audience: []string{r.base}})
	require.NoError(t, err)
	got, err := v.Verify(t.Context(), minted)
	require.NoError(t, err)
	require.Equal(t, "acme/github-service", got.Subject)
	require.Equal(t, 90*time.Minute, got.Expiry.Sub(got.IssuedAt))
	for name, want := range map[string]string{"organization": "acme", "provider": "GitHub Actions", "client_id": "acme/github-service", "service_account": "github-service"} {
		value, err := got.Claims.String(claims.P(name))
		require.NoError(t, err)
		require.Equal(t, want, value)
	}
	require.False(t, got.Claims.Has(claims.P("repository"))) // nothing of the job's token is in it

	// A job exchanges its token as often as it has steps.
	require.NotEqual(t, minted, r.good(t, "acme", "github-service", token))
	form := url.Values{"oidc_token": {token}, "service_slug": {"github-service"}}.Encode()
	require.Equal(t, 200, r.send(t, "POST", "/openid/acme/", form, "Content-Type", "application/x-www-form-urlencoded").status)
}

func TestTTL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"": 90 * time.Minute, "token: {ttl: 2h}": 2 * time.Hour, "token: {ttl: 1m}": time.Minute} {
		r := start(t, basic+text)
		minted := r.good(t, "acme", "github-service", r.job(t, ours))
		exp, err := payload(t, minted).Int64(claims.P("exp"))
		require.NoError(t, err)
		iat, err := payload(t, minted).Int64(claims.P("iat"))
		require.NoError(t, err)
		require.Equal(t, int64(want.Seconds()), exp-iat)

		require.Equal(t, 200, r.self(t, "X-Api-Key", "Bearer "+minted).status)
		r.ci.Advance(want + 2*time.Minute)
		require.Equal(t, 401, r.self(t, "X-Api-Key", "Bearer "+minted).status)
	}
}

func (r *rig) self(t *testing.T, header ...string) answered {
	t.Helper()
	return r.send(t, "GET", "/v1/user/self", "", header...)
}

func TestSelf(t *testing.T) {
	t.Parallel()
	r := start(t, basic)
	minted, other := r.good(t, "acme", "github-service", r.job(t, ours)), r.good(t, "acme", "github-service", r.job(t, ours))
	for _, header := range [][]string{
		{"X-Api-Key", "Bearer " + minted}, {"X-Api-Key", minted}, {"Authorization", "Bearer " + minted},
	} {
		a := r.self(t, header...)
		require.Equal(t, 200, a.status, header[0])
		require.Equal(t, "true", a.member(t, "authenticated"))
		require.Equal(t, "github-service", a.member(t, "slug"))
		require.Equal(t, "github-service", a.member(t, "name"))
		require.Equal(t, "acme", a.member(t, "organization"))
		require.Equal(t, "GitHub Actions", a.member(t, "provider"))
		require.Equal(t, r.ci.Now().Add(90*time.Minute).UTC().Format(time.RFC3339), a.member(t, "expires_at"))
	}
	require.Equal(t, 200, r.send(t, "GET", "/v1/user/self/", "", "X-Api-Key", minted).status)
	for _, header := range [][]string{
		{"X-Api-Key", minted, "Authorization", "Bearer " + other},
		{"X-Api-Key", minted, "Authorization", "Bearer " + minted},
		{"X-Api-Key", minted, "X-Api-Key", other},
	} {
		require.Equal(t, 400, r.self(t, header...).status)
	}
	require.Equal(t, 401, r.self(t).status)
	require.Equal(t, 401, r.self(t, "X-Api-Key", r.job(t, ours)).status) // the job's own token
	require.Equal(t, 401, r.self(t, "X-Api-Key", minted[:len(minted)-4]).status)
}

// Tokens end with their service account.
func TestSelf_AccountIsGone(t *testing.T) {
	t.Parallel()
	r := start(t, basic)
	minted := r.good(t, "acme", "github-service", r.job(t, ours))
	require.Equal(t, 200, r.change(t, "DELETE", named("GitHub Actions"), "").status)
	require.Equal(t, 401, r.self(t, "X-Api-Key", minted).status, "no provider has made it")
	require.Contains(t, r.log.last(), "revoked")
	back := provide(t, r.ci.Issuer(), nil)
	require.Equal(t, 200, r.change(t, "PUT", named("GitHub Actions"), back).status)
	require.Equal(t, 200, r.self(t, "X-Api-Key", minted).status)
	elsewhere := provide(t, r.ci.Issuer(), changes{"service_accounts": []string{"deploy-bot"}})
	require.Equal(t, 200, r.change(t, "PUT", named("GitHub Actions"), elsewhere).status)
	require.Equal(t, 401, r.self(t, "X-Api-Key", minted).status, "the provider is for another account")

	require.Equal(t, 200, r.change(t, "DELETE", "services/github-service", "").status)
	require.Equal(t, 401, r.self(t, "X-Api-Key", minted).status)
	require.Equal(t, 200, r.change(t, "PUT", "services/github-service", "").status)
	require.Equal(t, 200, r.change(t, "PUT", named("GitHub Actions"), back).status)
	require.Equal(t, 401, r.self(t, "X-Api-Key", minted).status, "another account has the name")
	require.Equal(t, 200, r.self(t, "X-Api-Key", r.good(t, "acme", "github-service", r.job(t, ours))).status)
}

// Accounts of two organizations that have one name are two subjects, and two clients.
func TestSubjectsAreOfOneOrganization(t *testing.T) {
	t.Parallel()
	r := start(t, `
organizations:
  acme: {service_accounts: [bot], providers: [{name: p, url: CI, claims: {repository_owner: acme}, service_accounts: [bot]}]}
  globex: {service_accounts: [bot], providers: [{name: p, url: CI, claims: {repository_owner: globex}, service_accounts: [bot]}]}
`)
	for _, organization := range []string{"acme", "globex"} {
		minted := r.good(t, organization, "bot", r.job(t, changes{"repository_owner": organization}))
		for _, name := range []string{"sub", "client_id"} {
			value, err := payload(t, minted).String(claims.P(name))
			require.NoError(t, err)
			require.Equal(t, organization+"/bot", value)
		}
		a := r.self(t, "X-Api-Key", minted)
		require.Equal(t, organization, a.member(t, "organization"))
		require.Equal(t, "bot", a.member(t, "slug"))
	}
}

// T18: neither the status nor what is asked of the issuer tells what an organization has.
func TestT18_ATokenIsJudgedBeforeTheOrganization(t *testing.T) {
	t.Parallel()
	r := start(t, basic)
	r.ci.SetFault(oidctest.JWKS, oidctest.Fault{Status: 500})
	for _, place := range [][2]string{{"acme", "github-service"}, {"acme", "deploy-bot"}, {"acme", "nobody"}, {"globex", "github-service"}, {"nowhere", "nobody"}} {
		require.Equal(t, 503, r.exchange(t, place[0], place[1], r.job(t, ours)).status, place)
	}
	r.ci.SetFault(oidctest.JWKS, oidctest.Fault{})
	r.ci.Advance(time.Minute)
	// Once nobody has a provider of the issuer, nobody asks it.
	require.Equal(t, 200, r.change(t, "DELETE", named("GitHub Actions"), "").status)
	r.bad(t, "acme", "github-service", r.job(t, ours), "no organization has a provider of it")
}

// T10: with token.single_use, a job exchanges its token once, in whatever process.
func TestT10_SingleUse(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, database string) {
		ci := oidctest.Start(t)
		file := basic + "token: {single_use: true}"
		r := startWith(t, ci, file, on(database))
		processes := []*rig{r}
		if database != ":memory:" {
			processes = append(processes, startWith(t, ci, file, on(database)))
		}
		token := r.job(t, ours)
		r.good(t, "acme", "github-service", token)
		for _, p := range processes {
			p.bad(t, "acme", "github-service", token, "reason=replayed")
		}
		r.good(t, "acme", "github-service", r.job(t, ours))
		count := func() (n int) {
			require.NoError(t, r.QueryRowContext(t.Context(), "SELECT count(*) FROM replays").Scan(&n))
			return n
		}
		require.Equal(t, 2, count())
		r.ci.Advance(time.Hour)
		r.good(t, "acme", "github-service", r.job(t, ours))
		require.Equal(t, 1, count(), "what has expired is forgotten")
	})
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	r := start(t, basic)
	other := oidctest.Start(t)
	for _, tt := range []struct{ name, organization, account, token, why string }{
		{"of a stranger", "acme", "github-service", r.job(t, with(changes{"repository_owner": "evil"})), "policy.all[1].all[1]"},
		{"of another branch", "acme", "github-service", r.job(t, with(changes{"ref": "refs/heads/feature"})), "any does not hold"},
		{"for nobody's account", "acme", "no-such-service", r.job(t, ours), "reason=policy"},
		{"for an account that the provider is not for", "acme", "deploy-bot", r.job(t, ours), "reason=policy"},
		{"for an organization without providers", "globex", "github-service", r.job(t, ours), "reason=policy"},
		{"for no organization", "nowhere", "github-service", r.job(t, ours), "reason=policy"},
		{"expired", "acme", "github-service", r.job(t, with(changes{"exp": r.ci.Now().Unix() - 61})), "expired"},
		{"not yet valid", "acme", "github-service", r.job(t, with(changes{"nbf": r.ci.Now().Unix() + 3600})), "not yet valid"},
		{"without a signature", "acme", "github-service", r.ci.Sign(changes{"alg": "none"}, changes{"iss": r.ci.Issuer(), "sub": "x", "aud": "x", "exp": r.ci.Now().Unix() + 60}), "malformed"},
		{"of nobody", "acme", "github-service", "garbage", "malformed"},
		{"of no issuer", "acme", "github-service", r.ci.Sign(changes{"typ": "JWT"}, changes{"sub": "x", "aud": "x", "exp": r.ci.Now().Unix() + 60}), "issuer (iss)"},
		{"of an issuer that is no text", "acme", "github-service", r.job(t, changes{"iss": []string{r.ci.Issuer()}}), "issuer (iss)"},
		{"T28 of another issuer", "acme", "github-service", job(t, other, "github-actions", ours), "issuer (iss)"},
		{"T28 in the name of our issuer", "acme", "github-service", job(t, other, "github-actions", with(changes{"iss": r.ci.Issuer()})), "token refused: key"},
	} {
		t.Run(tt.name, func(t *testing.T) { r.bad(t, tt.organization, tt.account, tt.token, tt.why) })
	}
	// T15: ours is no token of a job.
	minted := r.good(t, "acme", "github-service", r.job(t, ours))
	r.bad(t, "acme", "github-service", minted, "reason=self")
}

func TestT02_StarsStayWithinASegment(t *testing.T) {
	t.Parallel()
	r := start(t, basic)
	r.good(t, "acme", "github-service", r.job(t, with(changes{"ref": "refs/tags/v1.2"})))
	for _, change := range []changes{
		{"ref": "refs/tags/v1/x"}, {"ref": "refs/tags/v"}, {"ref": "refs/tags/v1:x"}, {"ref": "xrefs/heads/main"}, {"ref": "refs/heads/main\n"},
		{"repository_owner": "acme-evil"}, {"repository_owner": "Acme"}, {"repository_owner": "acm"},
	} {
		r.bad(t, "acme", "github-service", r.job(t, with(change)), "reason=policy")
	}
}

// withProvider is basic with these settings of its provider.
func withProvider(lines ...string) string {
	return "organizations:\n  acme:\n    service_accounts: [github-service]\n    providers:\n      - name: p\n        service_accounts: [github-service]\n        " +
		strings.Join(lines, "\n        ") + "\n"
}

func TestT04_BothFormsOfSubjectByIDs(t *testing.T) {
	t.Parallel()
	r := start(t, withProvider("url: CI", "preset: github-actions", `with: {owner_id: "123456", repository_id: "456789"}`))
	for _, sub := range []string{"repo:acme/widgets:ref:refs/heads/main", "repo:acme@123456/widgets@456789:ref:refs/heads/main"} {
		r.good(t, "acme", "github-service", r.job(t, changes{"sub": sub}))
	}
	// The names are the same, the owner is another one.
	r.bad(t, "acme", "github-service", r.job(t, changes{"repository_owner_id": "7"}), "repository_owner_id is another one")
	r.bad(t, "acme", "github-service", r.job(t, changes{"repository_id": "7"}), "repository_id is another one")
}

func TestT05_PresetKeepsOutWhatStrangersCause(t *testing.T) {
	t.Parallel()
	r := start(t, withProvider("url: CI", "preset: github-actions", `with: {repository_id: "456789"}`))
	r.good(t, "acme", "github-service", r.job(t, nil))
	for _, change := range []changes{
		{"event_name": "pull_request_target"}, {"event_name": "pull_request"}, {"event_name": "workflow_run"}, {"event_name": "issue_comment"},
		{"ref_protected": "false"},
	} {
		r.bad(t, "acme", "github-service", r.job(t, change), "reason=policy")
	}
	branch := start(t, withProvider("url: CI", "preset: github-actions", `with: {repository_id: "456789", ref: refs/heads/main}`))
	branch.good(t, "acme", "github-service", branch.job(t, nil))
	branch.bad(t, "acme", "github-service", branch.job(t, changes{"ref": "refs/tags/main"}), "ref is another one")
}

func TestT06_GitLabForksStayOut(t *testing.T) {
	t.Parallel()
	r := start(t, withProvider("url: CI", "preset: gitlab", `with: {project_id: "20", ref: refs/heads/main}`))
	r.good(t, "acme", "github-service", job(t, r.ci, "gitlab", nil))
	r.good(t, "acme", "github-service", job(t, r.ci, "gitlab", changes{"job_project_id": "20"}))
	for _, change := range []changes{
		{"job_project_id": "21"}, {"project_id": "21"}, {"pipeline_source": "merge_request_event"}, {"ref_protected": "false"}, {"ref_protected": true}, {"ref_path": "refs/tags/main"},
	} {
		r.bad(t, "acme", "github-service", job(t, r.ci, "gitlab", change), "reason=policy")
	}
}

func TestT07_TypesAndMissingClaims(t *testing.T) {
	t.Parallel()
	r := start(t, withProvider("url: CI", `claims: {ref_protected: "true", run_attempt: "1"}`))
	r.good(t, "acme", "github-service", r.job(t, nil))
	for _, change := range []changes{
		{"ref_protected": true}, {"ref_protected": nil}, {"ref_protected": "TRUE"}, {"ref_protected": []string{"true"}}, {"ref_protected": ""}, {"run_attempt": 1},
	} {
		r.bad(t, "acme", "github-service", r.job(t, change), "reason=policy")
	}
	circle := start(t, withProvider("url: CI", `claims: {oidc.circleci.com/ssh-rerun: false, oidc.circleci.com/vcs-origin: github.com/acme/widgets}`))
	circle.good(t, "acme", "github-service", job(t, circle.ci, circleCI, nil))
	for _, change := range []changes{
		{"oidc.circleci.com/ssh-rerun": "false"}, {"oidc.circleci.com/ssh-rerun": true}, {"oidc.circleci.com/ssh-rerun": nil},
		{"oidc.circleci.com/vcs-origin": nil, "oidc": changes{"circleci": changes{"com/vcs-origin": "github.com/acme/widgets"}}}, // a name is no path
	} {
		circle.bad(t, "acme", "github-service", job(t, circle.ci, circleCI, change), "reason=policy")
	}
}

func TestT08_NothingIsTakenOutOfSubjects(t *testing.T) {
	t.Parallel()
	r := start(t, withProvider("url: CI", `claims: {repository: acme/widgets, environment: production}`))
	r.good(t, "acme", "github-service", r.job(t, changes{"environment": "production", "sub": "repo:acme/widgets:environment:production"}))
	for _, change := range []changes{
		{"environment": "x", "sub": "repo:acme/widgets:environment:x:environment:production"},
		{"environment": "production%3A"}, {"environment": "x:environment:production"},
	} {
		r.bad(t, "acme", "github-service", r.job(t, change), "equals does not hold: environment is")
	}
}

func TestT09_Audience(t *testing.T) {
	t.Parallel()
	r := start(t, basic)
	r.good(t, "acme", "github-service", r.job(t, changes{"aud": []string{"sts.amazonaws.com", "https://github.com/acme"}}))
	for _, aud := range []any{"sts.amazonaws.com", "https://github.com/acme/", "https://github.com/acme-evil", []string{"a", "b"}, ""} {
		r.bad(t, "acme", "github-service", r.job(t, changes{"aud": aud}), "")
	}
	r.bad(t, "acme", "github-service", r.job(t, changes{"aud": nil}), "audience")

	// Without one, all are taken, and the log has said so.
	r = start(t, withProvider("url: CI", "claims: {repository_owner: acme}"))
	r.good(t, "acme", "github-service", r.job(t, changes{"aud": "sts.amazonaws.com"}))
	require.Contains(t, r.log.String(), "tokens that were made for other services are taken too")
	// The document writes it among the claims.
	r = start(t, withProvider("url: CI", "claims: {repository_owner: acme, aud: https://github.com/acme}"))
	r.good(t, "acme", "github-service", r.job(t, ours))
	r.bad(t, "acme", "github-service", r.job(t, changes{"aud": "sts.amazonaws.com"}), "aud is another one")
	require.NotContains(t, r.log.String(), "other services")
}

func TestT16_OnlyConfiguredIssuersAreAsked(t *testing.T) {
	t.Parallel()
	r := start(t, basic)
	var asked int
	stranger := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	t.Cleanup(stranger.Close)
	now := r.ci.Now().Unix()
	for _, iss := range []string{stranger.URL, r.ci.Issuer() + "/", r.ci.Issuer() + "@" + strings.TrimPrefix(stranger.URL, "http://"), strings.ToUpper(r.ci.Issuer())} {
		token := r.ci.Sign(changes{"typ": "JWT", "kid": "x", "jku": stranger.URL, "x5u": stranger.URL}, changes{"iss": iss, "sub": "x", "aud": "https://github.com/acme", "exp": now + 60})
		r.bad(t, "acme", "github-service", token, "issuer")
	}
	require.Zero(t, asked)
	require.Zero(t, r.ci.Requests(oidctest.JWKS)) // nor is our own, for tokens that cannot be its
}

func TestT18_RefusalsLookAlike(t *testing.T) {
	t.Parallel()
	r := start(t, basic)
	var bodies []string
	ids := map[string]bool{}
	for _, a := range []answered{
		r.exchange(t, "nowhere", "github-service", r.job(t, ours)),
		r.exchange(t, "acme", "nobody", r.job(t, ours)),
		r.exchange(t, "acme", "deploy-bot", r.job(t, ours)),
		r.exchange(t, "acme", "github-service", r.job(t, with(changes{"repository_owner": "a-secret-claim"}))),
		r.exchange(t, "acme", "github-service", "garbage"),
	} {
		require.Equal(t, 401, a.status)
		id := a.member(t, "correlation_id")
		require.Contains(t, r.log.String(), "correlation_id="+id)
		ids[id] = true
		bodies = append(bodies, strings.ReplaceAll(a.body, id, ""))
		require.Equal(t, bodies[0], bodies[len(bodies)-1])
	}
	require.Len(t, ids, 5)
	require.NotContains(t, r.log.String(), "a-secret-claim")
}

func TestT19_Bounds(t *testing.T) {
	t.Parallel()
	now := time.Now()
	r := start(t, basic, func(o *options) { o.now = func() time.Time { return now } })
	a := r.exchange(t, "acme", "github-service", r.job(t, ours)+strings.Repeat("a", 64<<10))
	require.Equal(t, 400, a.status)
	require.Equal(t, "The token could not be exchanged.", a.member(t, "detail"))

	// The clock stands still, so that nothing is given back to who has spent his share.
	statuses := map[int]int{}
	for range 600 {
		w := httptest.NewRecorder()
		req := httptest.NewRequestWithContext(t.Context(), "POST", "/openid/acme/", strings.NewReader("{}"))
		r.handler.ServeHTTP(w, req)
		if statuses[w.Code]++; w.Code == 429 {
			require.NotEmpty(t, w.Header().Get("Retry-After"))
		}
	}
	require.Equal(t, map[int]int{400: 500, 429: 100}, statuses)
	require.Equal(t, 200, r.exchange(t, "acme", "github-service", r.job(t, ours)).status) // of another client
}

// Behind a proxy, the limit is for whom the proxy names.
func TestT19_ClientHeader(t *testing.T) {
	t.Parallel()
	now := time.Now()
	r := start(t, basic+"client_header: X-Real-IP", func(o *options) { o.now = func() time.Time { return now } })
	spend := func(client string) (last int) {
		for range 501 {
			w := httptest.NewRecorder()
			req := httptest.NewRequestWithContext(t.Context(), "POST", "/openid/acme/", strings.NewReader("{}"))
			req.Header.Set("X-Real-IP", client)
			r.handler.ServeHTTP(w, req)
			last = w.Code
		}
		return last
	}
	require.Equal(t, 429, spend("203.0.113.1"))
	require.Contains(t, r.log.last(), "client=203.0.113.1")
	a := r.send(t, "POST", "/openid/acme/", "{}", "X-Real-IP", "203.0.113.2")
	require.Equal(t, 400, a.status)
	require.Equal(t, 429, r.send(t, "POST", "/openid/acme/", "{}", "X-Real-IP", "203.0.113.1").status)
}

func TestT20_OneWayToAsk(t *testing.T) {
	t.Parallel()
	r := start(t, basic)
	token := r.job(t, ours)
	const form = "application/x-www-form-urlencoded"
	one := url.Values{"oidc_token": {token}, "service_slug": {"github-service"}}.Encode()
	var parts strings.Builder
	m := multipart.NewWriter(&parts)
	require.NoError(t, m.WriteField("oidc_token", token))
	require.NoError(t, m.WriteField("service_slug", "github-service"))
	require.NoError(t, m.Close())
	for _, tt := range []struct{ name, query, contentType, body string }{
		{"multipart", "", m.FormDataContentType(), parts.String()},
		{"no media type", "", "", one},
		{"JSON called a form", "", form, requestBody(token, "github-service")},
		{"form called JSON", "", jsonType, one},
		{"form, token twice", "", form, one + "&oidc_token=" + token},
		{"form, account twice", "", form, one + "&service_slug=x"},
		{"form, another parameter", "", form, one + "&alg=none"},
		{"form, broken", "", form, one + "&%zz"},
		{"all in the query", "?" + one, form, ""},
		{"something in the query", "?x=y", form, one},
		{"JSON, token twice", "", jsonType, fmt.Sprintf(`{"oidc_token":%q,"oidc_token":%[1]q,"service_slug":"github-service"}`, token)},
		{"JSON, in two spellings", "", jsonType, fmt.Sprintf(`{"oidc_token":%q,"OIDC_TOKEN":%[1]q,"service_slug":"github-service"}`, token)},
		{"JSON, in another spelling", "", jsonType, fmt.Sprintf(`{"OIDC_TOKEN":%q,"service_slug":"github-service"}`, token)},
		{"JSON, another member", "", jsonType, fmt.Sprintf(`{"oidc_token":%q,"service_slug":"github-service","ttl":"24h"}`, token)},
		{"JSON, a list", "", jsonType, fmt.Sprintf(`{"oidc_token":[%q],"service_slug":"github-service"}`, token)},
		{"JSON, null", "", jsonType, `{"oidc_token":null,"service_slug":"github-service"}`},
		{"JSON, no token", "", jsonType, `{"service_slug":"github-service"}`},
		{"JSON, no account", "", jsonType, fmt.Sprintf(`{"oidc_token":%q}`, token)},
		{"JSON, an account that is none", "", jsonType, requestBody(token, "../github-service")},
		{"JSON, more behind it", "", jsonType, requestBody(token, "github-service") + "{}"},
		{"nothing", "", jsonType, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := r.send(t, "POST", "/openid/acme/"+tt.query, tt.body, "Content-Type", tt.contentType)
			require.Equal(t, 400, a.status, a.body)
			require.Equal(t, "The token could not be exchanged.", a.member(t, "detail"))
			require.Contains(t, r.log.last(), "correlation_id="+a.member(t, "correlation_id"))
		})
	}
	require.NotContains(t, r.log.String(), token)
	require.Equal(t, 400, r.exchange(t, "ac%00me", "github-service", token).status)
	require.Equal(t, 405, r.send(t, "GET", "/openid/acme/", "").status)
	require.Equal(t, 404, r.send(t, "POST", "/openid/acme/x", one, "Content-Type", form).status)
	r.good(t, "acme", "github-service", token)
}

func TestT25_ProvidersAreAlternatives(t *testing.T) {
	t.Parallel()
	r := start(t, `
organizations:
  acme:
    service_accounts: [one, two]
    providers:
      - {name: by branch, url: CI, audience: a, claims: {repository: acme/widgets, ref: refs/heads/main}, service_accounts: [one, two]}
      - {name: by environment, url: CI, audience: b, claims: {repository: acme/widgets, environment: production}, service_accounts: [one]}
`)
	logged := func(change changes, account, rule string) {
		t.Helper()
		minted := r.good(t, "acme", account, r.job(t, change))
		require.Contains(t, r.log.last(), fmt.Sprintf("rule=%q", rule))
		provider, err := payload(t, minted).String(claims.P("provider"))
		require.NoError(t, err)
		require.Equal(t, rule, provider)
	}
	logged(changes{"aud": "a"}, "one", "by branch")
	logged(changes{"aud": "a"}, "two", "by branch")
	logged(changes{"aud": "b", "environment": "production", "ref": "x"}, "one", "by environment")
	logged(changes{"aud": []string{"a", "b"}, "environment": "production"}, "one", "by branch") // the first of both
	for account, change := range map[string]changes{
		"one": {"aud": "b"}, // the audience of one, the claims of the other
		"two": {"aud": "b", "environment": "production", "ref": "x"},
	} {
		r.bad(t, "acme", account, r.job(t, change), "reason=policy")
	}
}

// An account may have providers of several issuers, each with claims of its own.
func TestT25_SeveralIssuers(t *testing.T) {
	t.Parallel()
	r, other := start(t, basic), oidctest.Start(t)
	second := provide(t, other.Issuer(), changes{"claims": changes{"project_path": "acme/widgets"}, "audience": "https://exchange.example"})
	require.Equal(t, 200, r.change(t, "PUT", named("GitLab"), second).status)
	r.good(t, "acme", "github-service", r.job(t, ours))
	r.good(t, "acme", "github-service", job(t, other, "gitlab", nil))
	require.Contains(t, r.log.last(), "rule=GitLab")
	// T28: the claims of one, in a token of the other.
	r.bad(t, "acme", "github-service", job(t, other, "github-actions", ours), "reason=policy")
	r.bad(t, "acme", "github-service", job(t, r.ci, "gitlab", nil), "reason=policy")
}

func TestT26_AuditLine(t *testing.T) {
	t.Parallel()
	r := start(t, basic)
	token := r.job(t, ours)
	minted := r.good(t, "acme", "github-service", token)
	jti, err := payload(t, minted).String(claims.P("jti"))
	require.NoError(t, err)
	line := r.log.last()
	for _, part := range []string{
		"level=INFO", "organization=acme", "service_account=github-service", `rule="GitHub Actions"`, "upstream_iss=" + r.ci.Issuer(),
		"upstream_sub=repo:acme/widgets:ref:refs/heads/main", "jti=" + jti, "exp=", "client=127.0.0.1", "correlation_id=", "input=",
	} {
		require.Contains(t, line, part)
	}
	require.NotContains(t, r.log.String(), token)
	require.NotContains(t, r.log.String(), minted)
	require.NotContains(t, r.log.String(), strings.Split(minted, ".")[2])
}

func TestT27_CircleCIPresetDemandsTheProject(t *testing.T) {
	t.Parallel()
	const org = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
	_, err := readSettings("exchange.yaml", []byte(withProvider("preset: circleci", "with: {organization_id: "+org+"}")), false)
	require.ErrorContains(t, err, "exchange.yaml: organizations.acme.providers[0].with.project_id: is required")
	s, err := readSettings("exchange.yaml", []byte(withProvider("preset: circleci",
		"with: {organization_id: "+org+", project_id: 9b2d8f0e-1c4a-4c4e-8f2b-0a1b2c3d4e5f, origin: github.com/acme/widgets, ref: refs/heads/main}")), false)
	require.NoError(t, err)
	p := s.Organizations["acme"].Providers[0]
	require.Equal(t, "https://oidc.circleci.com/org/"+org, p.URL)
	policy, err := p.policy(true)
	require.NoError(t, err)
	token := func(change changes) claims.Set {
		ci := oidctest.Start(t)
		change["iss"] = p.URL
		return payload(t, job(t, ci, circleCI, change))
	}
	require.NoError(t, policy.Check(token(changes{})))
	require.Error(t, policy.Check(token(changes{"oidc.circleci.com/project-id": "11111111-2222-4333-8444-555555555555"})))
	require.Error(t, policy.Check(token(changes{"oidc.circleci.com/ssh-rerun": true})))
}

func TestT29_HealthTellsNothing(t *testing.T) {
	t.Parallel()
	r := start(t, basic)
	for _, path := range []string{"/healthz", "/readyz"} {
		a := r.send(t, "GET", path, "")
		require.Equal(t, 200, a.status)
		require.Equal(t, "ok\n", a.body)
	}
	require.NoError(t, r.Close())
	require.Equal(t, 200, r.send(t, "GET", "/healthz", "").status)
	a := r.send(t, "GET", "/readyz", "")
	require.Equal(t, 503, a.status)
	require.Equal(t, "not ready\n", a.body)
}

// What somebody wrote into the database without the linter lets nobody in.
func TestT24_NoConditionsIsNoPermission(t *testing.T) {
	t.Parallel()
	r := start(t, basic)
	o, version, err := r.read(t.Context(), "globex")
	require.NoError(t, err)
	o.Providers = []provider{{Name: "open", URL: r.ci.Issuer(), ServiceAccounts: []string{"github-service"}}}
	_, done, err := r.write(t.Context(), "globex", version, o)
	require.NoError(t, err)
	require.True(t, done)
	a := r.exchange(t, "globex", "github-service", r.job(t, ours))
	require.Equal(t, 500, a.status)
	require.Equal(t, "The token could not be exchanged.", a.member(t, "detail"))
	require.Contains(t, r.log.last(), "Policy is required")
}

// The log has each condition, and how it was judged, but no value of a claim.
func TestRefusalsAreExplained(t *testing.T) {
	t.Parallel()
	r := start(t, basic)
	require.Equal(t, 200, r.change(t, "PUT", named("of another issuer"), provide(t, "https://ci.example", nil)).status)
	r.bad(t, "acme", "github-service", r.job(t, with(changes{"ref": "refs/heads/a-secret-branch"})), "reason=policy")
	line := strings.Split(strings.TrimSpace(r.log.String()), "\n")
	explained := line[len(line)-2]
	require.Contains(t, explained, `provider="GitHub Actions"`)
	require.Contains(t, explained, "ref")
	require.Contains(t, explained, "fails")
	require.NotContains(t, r.log.String(), "a-secret-branch")
	r.good(t, "acme", "github-service", r.job(t, ours))
	require.Equal(t, 1, strings.Count(r.log.String(), "the provider is not for the token"))
}

// What could not be judged is no verdict.
func TestOutages(t *testing.T) {
	t.Parallel()
	r := start(t, basic)
	r.ci.SetFault(oidctest.JWKS, oidctest.Fault{Status: 500})
	a := r.exchange(t, "acme", "github-service", r.job(t, ours))
	require.Equal(t, 503, a.status)
	require.NotEmpty(t, a.header.Get("Retry-After"))
	require.Equal(t, "The token could not be exchanged.", a.member(t, "detail"))
	require.Contains(t, r.log.last(), "level=ERROR")
	r.ci.SetFault(oidctest.JWKS, oidctest.Fault{})
	r.ci.Advance(time.Minute)
	minted := r.good(t, "acme", "github-service", r.job(t, ours))

	require.NoError(t, r.Close()) // the database goes
	a = r.exchange(t, "acme", "github-service", r.job(t, ours))
	require.Equal(t, 503, a.status)
	require.NotEmpty(t, a.header.Get("Retry-After"))
	require.Contains(t, r.log.last(), "correlation_id="+a.member(t, "correlation_id"))
	require.Equal(t, 503, r.self(t, "X-Api-Key", minted).status)
	require.Equal(t, 503, r.admin(t, "GET", "acme/", "").status)
}

func TestPublished(t *testing.T) {
	t.Parallel()
	r := start(t, basic)
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/jwks.json"} {
		a := r.send(t, "GET", path, "")
		require.Equal(t, 200, a.status)
		require.Equal(t, "public, max-age=300", a.header.Get("Cache-Control"))
		require.NotContains(t, a.body, `"d"`) // T22
	}
}
