package middleware

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// LoginTrace is told what a [Login] does. Its functions may be nil, are called while the
// request waits, and from many goroutines.
type LoginTrace struct {
	// Step is called for each step of logins, sessions and logouts.
	Step func(context.Context, LoginStep)
}

// A LoginStep is something that happened.
type LoginStep struct {
	Kind LoginStepKind
	// Flow is the login attempt or session that it belongs to: a name for the log, and no
	// secret. The steps of a login and of the session that it led to have the same. That of a
	// back-channel logout is one of its token: whoever sends it again is told as the same.
	Flow string
	// Provider is the ID of the LoginProvider; "" if there is but one Client.
	Provider string
	// Err is why something went wrong, or a session ended. It answers errors.Is for the root
	// sentinels.
	Err  error
	Took time.Duration // for steps that ask the provider; by the Login's clock

	returnTo string // where a login that failed was to end, for the page to lead there
}

// A LoginStepKind says what happened.
type LoginStepKind string

// The kinds of steps.
const (
	LoginStarted        LoginStepKind = "login started"
	LoginFinished       LoginStepKind = "login finished"
	LoginFailed         LoginStepKind = "login failed"
	LoginRestarted      LoginStepKind = "login restarted"    // a callback that no login belongs to
	LoginStopped        LoginStepKind = "login loop stopped" // the guard against loops
	LoginOver           LoginStepKind = "login over"         // a callback that no login belongs to, of somebody who is logged in, and was sent on
	ProvidersShown      LoginStepKind = "providers shown"    // the user is asked at which of them to log in
	SessionRefreshed    LoginStepKind = "session refreshed"
	SessionNotRefreshed LoginStepKind = "session not refreshed" // an outage; it goes on
	SessionEnded        LoginStepKind = "session ended"         // by the provider, a revocation or an unreadable record
	LogoutAsked         LoginStepKind = "logout asked"          // perhaps by another site; the user is asked
	LoggedOut           LoginStepKind = "logged out"            // with Err if the Store did not take it: the session may go on
	LogoutNotTold       LoginStepKind = "provider not told of logout"
	BackChannelLogout   LoginStepKind = "back-channel logout"
	FrontChannelLogout  LoginStepKind = "front-channel logout"
	LogoutRefused       LoginStepKind = "logout refused"
	AccessRefused       LoginStepKind = "access refused"       // a requirement, another site's request, or a session that ended
	PageFailed          LoginStepKind = "page template failed" // LoginPages.Template; ours was shown
)

// level makes what went wrong stand out.
func (k LoginStepKind) level() slog.Level {
	switch k {
	case LoginFailed, LoginStopped, SessionNotRefreshed, LogoutNotTold, LogoutRefused, AccessRefused, PageFailed:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// LogValue is a group of kind, flow, provider, reason and took, without those that are not
// there. The reason is the text of Err, which has no token, secret or claim in it unless a
// function of the program's own wrote it there.
func (s LoginStep) LogValue() slog.Value {
	return slog.GroupValue(append([]slog.Attr{slog.String("kind", string(s.Kind))}, s.attrs()...)...)
}

// Format prints what LogValue has with every verb.
func (s LoginStep) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprint(f, "middleware.LoginStep", s.LogValue())
}

func (s LoginStep) attrs() (attrs []slog.Attr) {
	if s.Flow != "" {
		attrs = append(attrs, slog.String("flow", s.Flow))
	}
	if s.Provider != "" {
		attrs = append(attrs, slog.String("provider", s.Provider))
	}
	if s.Err != nil {
		attrs = append(attrs, slog.String("reason", s.Err.Error()))
	}
	if s.Took != 0 {
		attrs = append(attrs, slog.Duration("took", s.Took))
	}
	return attrs
}

// level of a logout that somebody has asked for, and that may not be one, is Warn.
func (s LoginStep) level() slog.Level {
	if s.Kind == LoggedOut && s.Err != nil {
		return slog.LevelWarn
	}
	return s.Kind.level()
}

// step tells the Trace and the Logger.
func (l *Login) step(ctx context.Context, s LoginStep) {
	if l.cfg.Trace != nil && l.cfg.Trace.Step != nil {
		l.cfg.Trace.Step(ctx, s)
	}
	if l.cfg.Logger != nil && l.cfg.Logger.Enabled(ctx, s.level()) {
		l.cfg.Logger.LogAttrs(ctx, s.level(), string(s.Kind), s.attrs()...) //nolint:sloglint // one of the constants above
	}
}
