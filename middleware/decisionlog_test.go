package middleware_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
)

// What a hook may log of a decision, as it comes.
func TestJ51_DecisionsHoldNothingSecret(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	good := a.provider.AccessToken("alice", audience)
	for _, keep := range []bool{false, true} {
		var log bytes.Buffer
		b := a.bearer()
		b.KeepToken = keep
		b.Trace = &middleware.BearerTrace{Decided: func(ctx context.Context, d middleware.Decision) {
			for _, h := range []slog.Handler{slog.NewJSONHandler(&log, nil), slog.NewTextHandler(&log, nil)} {
				slog.New(h).InfoContext(ctx, "decided", "decision", d, "pointer", &d, "principal", d.Principal, "refusal", d.Refusal)
			}
		}}
		for _, raw := range []string{good, good[:len(good)-2] + "AA"} {
			ask(t, b.Handler(reached), request(t.Context(), "Bearer "+raw))
		}
		require.NotContains(t, log.String(), good[len(good)-40:len(good)-4])
		require.NotContains(t, log.String(), aliceSubject)
		require.NotContains(t, log.String(), "panicked")
	}
}

// All that a log gets of a decision, and nothing of nobody.
func TestJ51_DecisionsAreLoggedInAFewWords(t *testing.T) {
	t.Parallel()
	p := principal(t, oidc.AccessToken{Issuer: "https://id.example", Subject: "alice"}, `{"email":"alice@example.com"}`)
	refusal := &middleware.Refusal{Status: 403, Code: "insufficient_scope", Err: fmt.Errorf("secret of alice: %w", oidckit.ErrForbidden)}
	for _, tt := range []struct {
		value      any
		json, text string
	}{
		{
			middleware.Decision{Principal: p, Took: time.Second},
			`{"issuer":"https://id.example","took":1000000000}`, "middleware.Decision[issuer=https://id.example took=1s]",
		},
		{
			middleware.Decision{Refusal: refusal},
			`{"status":403,"code":"insufficient_scope","reason":"insufficient_scope","took":0}`,
			"middleware.Decision[status=403 code=insufficient_scope reason=insufficient_scope took=0s]",
		},
		{middleware.Decision{}, `{"took":0}`, "middleware.Decision[took=0s]"},
		{
			&middleware.Refusal{Status: 401, Code: "invalid_token", Err: &oidc.Error{Reason: oidc.ReasonExpired, Err: errors.New("secret of alice")}},
			`{"status":401,"code":"invalid_token","reason":"expired"}`, "middleware.Refusal[status=401 code=invalid_token reason=expired]",
		},
		{p, `{"issuer":"https://id.example"}`, "middleware.Principal[issuer=https://id.example]"},
		{&middleware.Principal{}, ``, "middleware.Principal[]"},
		{(*middleware.Principal)(nil), ``, "<nil>"},
		{(*middleware.Refusal)(nil), ``, "<nil>"},
	} {
		var log bytes.Buffer
		h := slog.NewJSONHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 {
				return slog.Attr{}
			}
			return a
		}})
		slog.New(h).InfoContext(t.Context(), "", "d", tt.value)
		want := `{}`
		if tt.json != "" {
			want = `{"d":` + tt.json + `}`
		}
		require.JSONEq(t, want, log.String())
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			require.Equal(t, tt.text, fmt.Sprintf(verb, tt.value))
		}
	}
	require.Equal(t, "middleware.Principal[issuer=https://id.example]", fmt.Sprint(*p))
	require.Equal(t, "middleware.Refusal[status=403 code=insufficient_scope reason=insufficient_scope]", fmt.Sprint(*refusal))
}
