package middleware_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// stepLevels are all kinds of steps.
var stepLevels = map[middleware.LoginStepKind]slog.Level{
	middleware.LoginStarted:        slog.LevelInfo,
	middleware.LoginFinished:       slog.LevelInfo,
	middleware.LoginFailed:         slog.LevelWarn,
	middleware.LoginRestarted:      slog.LevelInfo,
	middleware.LoginStopped:        slog.LevelWarn,
	middleware.LoginOver:           slog.LevelInfo,
	middleware.ProvidersShown:      slog.LevelInfo,
	middleware.SessionRefreshed:    slog.LevelInfo,
	middleware.SessionNotRefreshed: slog.LevelWarn,
	middleware.SessionEnded:        slog.LevelInfo,
	middleware.LogoutAsked:         slog.LevelInfo,
	middleware.LoggedOut:           slog.LevelWarn, // with an Err, as below
	middleware.LogoutNotTold:       slog.LevelWarn,
	middleware.BackChannelLogout:   slog.LevelInfo,
	middleware.FrontChannelLogout:  slog.LevelInfo,
	middleware.LogoutRefused:       slog.LevelWarn,
	middleware.AccessRefused:       slog.LevelWarn,
	middleware.PageFailed:          slog.LevelWarn,
}

// The log has a record of each step, and the trace the step itself.
func TestLoginSteps(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	var traced []middleware.LoginStep
	l := newPageLogin(t, func(c *middleware.LoginConfig) {
		c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
		c.Trace = &middleware.LoginTrace{Step: func(_ context.Context, s middleware.LoginStep) { traced = append(traced, s) }}
	})
	for kind, level := range stepLevels {
		log.Reset()
		step := middleware.LoginStep{Kind: kind, Flow: "f", Provider: "corp", Err: authorizationError("<b>"), Took: time.Second}
		middleware.Step(l, t.Context(), step)
		require.Equal(t, fmt.Sprintf("level=%s msg=%q flow=f provider=corp reason=%q took=1s\n",
			level, kind, "oidc: the provider did not authorize: another error"), log.String())
		require.Equal(t, step, traced[len(traced)-1])
	}
	log.Reset()
	middleware.Step(l, t.Context(), middleware.LoginStep{Kind: middleware.LoginStarted})
	require.Equal(t, "level=INFO msg=\"login started\"\n", log.String(), "what is not there is left out")
	log.Reset()
	middleware.Step(l, t.Context(), middleware.LoginStep{Kind: middleware.LoggedOut})
	require.Equal(t, "level=INFO msg=\"logged out\"\n", log.String(), "nothing went wrong")
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// Each page comes with one record.
func TestLoginSteps_OfPages(t *testing.T) {
	t.Parallel()
	var traced []middleware.LoginStepKind
	l := newPageLogin(t, func(c *middleware.LoginConfig) {
		c.Trace = &middleware.LoginTrace{Step: func(_ context.Context, s middleware.LoginStep) { traced = append(traced, s.Kind) }}
	})
	for kind, want := range map[middleware.PageKind][]middleware.LoginStepKind{
		middleware.PageProviders:        {middleware.ProvidersShown},
		middleware.PageConfirmLogout:    {middleware.LogoutAsked},
		middleware.PageLoginDenied:      {middleware.LoginFailed},
		middleware.PageCookiesOff:       {middleware.LoginStopped},
		middleware.PageLoginLoop:        {middleware.LoginStopped},
		middleware.PageSessionEnded:     {middleware.AccessRefused},
		middleware.PageLogoutIncomplete: {middleware.LogoutNotTold},
	} {
		traced = nil
		shown(l, pages[kind].show, "/app/")
		require.Equal(t, want, traced, kind)
	}
}

// Nobody has to listen.
func TestLoginSteps_Silent(t *testing.T) {
	t.Parallel()
	for _, trace := range []*middleware.LoginTrace{nil, {}} {
		l := newPageLogin(t, func(c *middleware.LoginConfig) { c.Trace = trace })
		middleware.Step(l, t.Context(), middleware.LoginStep{Kind: middleware.LoginFailed, Err: errPlain})
	}
}

// A step of a hook may be printed as it is: what the provider wrote is not in it.
func TestG10_LoginStepIsRedacted(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	step := middleware.LoginStep{Kind: middleware.LoginFailed, Flow: "f", Err: authorizationError("secret-code")}
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "step", step)
	for _, text := range []string{
		fmt.Sprint(step), fmt.Sprintf("%+v", step), fmt.Sprintf("%#v", step), fmt.Sprintf("%s", step), fmt.Sprintf("%q", step), log.String(),
	} {
		require.NotContains(t, text, "secret-code")
		require.NotContains(t, text, "of the provider")
		require.Contains(t, text, "login failed")
		require.Contains(t, text, "another error")
	}
	require.Contains(t, log.String(), `"step":{"kind":"login failed","flow":"f","reason":"oidc: the provider did not authorize: another error"}`)
}

// One page, one record: with the reason, and with no secret.
func TestG10_LoggerGetsTheReasonAndNoSecret(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	callback := b.begin("alice", "")
	s.provider.OnIDToken(func(_, c map[string]any) { c["nonce"] = "nonce-of-the-attacker" })
	requirePage(t, http.StatusBadRequest, b.get(callback))
	require.Equal(t, 1, strings.Count(s.logged(), "level=WARN"))
	require.Contains(t, s.logged(), `msg="login failed"`)
	require.Contains(t, s.logged(), string(oidc.ReasonNonce))
	u, err := url.Parse(callback)
	require.NoError(t, err)
	secrets := []string{u.Query().Get("code"), u.Query().Get("state"), oidctest.ClientSecret, "nonce-of-the-attacker", "eyJ", aliceSubject, string(testKeys[0])}
	for _, value := range b.cookies() {
		if value != "" {
			secrets = append(secrets, value)
		}
	}
	for _, secret := range secrets {
		require.NotContains(t, s.logged(), secret)
	}
}

// What a person reads to support finds the record: the reference on the page is the flow.
func TestNeeds42_ReferenceFindsTheRecord(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	callback := b.begin("alice", "")
	s.provider.OnIDToken(func(_, c map[string]any) { c["nonce"] = "another" })
	res := b.get(callback)
	_, after, found := strings.Cut(res.body, "Reference <code>")
	require.True(t, found, res.body)
	flow, _, _ := strings.Cut(after, "</code>")
	require.NotEmpty(t, flow)
	for _, kind := range []middleware.LoginStepKind{middleware.LoginStarted, middleware.LoginFailed} {
		require.Regexp(t, fmt.Sprintf("(?m)msg=%q flow=%s( |$)", kind, flow), s.logged())
	}
}

// F09: whatever the provider, or whoever made the browser come, wrote: none of it is shown or
// logged, and the login can be begun again from the page.
func TestF09_Needs42_ErrorAnswersAreNoDeadEnd(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	callback, err := url.Parse(b.begin("alice", "/private/a"))
	require.NoError(t, err)
	q := callback.Query()
	q.Del("code")
	q.Set("error", "access_denied")
	q.Set("error_description", "\"><script>alert(1)</script>\r\nX: y")
	q.Set("error_uri", "https://evil.example/")
	callback.RawQuery = q.Encode()
	res := b.get(callback.String())
	requirePage(t, http.StatusForbidden, res)
	for _, text := range []string{"alert(1)", "evil.example", "X: y"} {
		require.NotContains(t, res.body, text)
		require.NotContains(t, s.logged(), text)
	}
	require.Zero(t, s.provider.Requests(oidctest.Token))
	const again = "/login?return_to=%2Fprivate%2Fa"
	require.Contains(t, res.body, `href="`+again+`"`)
	requireRedirect(t, "/private/a", b.get(b.beginAt(again, "alice")))
	require.Equal(t, aliceSubject, b.who())
}
