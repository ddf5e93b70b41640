package middleware

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc"
)

// A Session is a logged-in user. It must not be changed, and may be shared. Printing it shows
// the issuer alone. The zero Session is nobody's: its methods return zero values, and errors
// that answer [claims.IsMissing].
type Session struct {
	// A function, for fmt does not ask a Session within another struct how it prints, and would
	// follow a pointer.
	kept    func() *record
	expires time.Time
	mapper  *claims.Mapper

	// Most handlers want no more than who it is.
	tokens func() *oidc.Tokens
	info   func() *oidc.UserInfo
	access func() claims.Set // nil if nobody verifies access tokens
}

func (l *Login) newSession(rec *record) *Session {
	s := &Session{kept: func() *record { return rec }, expires: l.sessions.lastOf(rec), mapper: l.cfg.Mapper}
	s.tokens = sync.OnceValue(s.readTokens)
	s.info = sync.OnceValue(s.readInfo)
	if l.cfg.AccessTokens != nil { // claims that were kept before it was taken away do not count
		s.access = sync.OnceValue(s.readAccess)
	}
	return s
}

func (s *Session) rec() *record {
	if s.kept == nil {
		return &record{}
	}
	return s.kept()
}

// Issuer and Subject together identify the user.
func (s *Session) Issuer() string { return s.rec().issuer }

// Subject identifies the user within Issuer, and there only.
func (s *Session) Subject() string { return s.rec().subject }

// Provider is the ID of the LoginProvider where the user logged in; "" if there is but one Client.
func (s *Session) Provider() string { return s.rec().provider }

// LoggedIn is when the session began.
func (s *Session) LoggedIn() time.Time { return s.rec().began }

// Refreshed is when the provider last said who the user is: the age of the claims. A refresh
// whose answer had no ID token leaves it as it was.
func (s *Session) Refreshed() time.Time { return s.rec().refreshed }

// Expires is when the session ends, whatever happens.
func (s *Session) Expires() time.Time { return s.expires }

// Tokens are those of the login, or of the last refresh. They are shared, and must not be
// changed.
func (s *Session) Tokens() *oidc.Tokens {
	if s.tokens == nil {
		return new(oidc.Tokens)
	}
	return s.tokens()
}

func (s *Session) readTokens() *oidc.Tokens {
	if t, ok := s.rec().readTokens(); ok {
		return t
	}
	return new(oidc.Tokens) // of another version of the module: it ends when it is due
}

// Claims are those of the ID token.
func (s *Session) Claims() claims.Set {
	if id := s.Tokens().IDToken; id != nil {
		return id.Claims
	}
	return claims.Set{}
}

// UserInfo is nil if the provider has no userinfo endpoint, or Login does not ask it. A refresh
// asks again, and there is none if the answer to that cannot be used. In an outage it is as old as
// it was, for LoginConfig.OutageLimit.
func (s *Session) UserInfo() *oidc.UserInfo {
	if s.info == nil {
		return nil
	}
	return s.info()
}

func (s *Session) readInfo() *oidc.UserInfo {
	if s.rec().info == "" {
		return nil
	}
	set, err := claims.Parse([]byte(s.rec().info))
	if err != nil {
		return nil // unreachable: it was a Set when it was kept
	}
	return &oidc.UserInfo{Subject: s.rec().subject, Claims: set}
}

// Identity is what LoginConfig.Mapper makes of the claims of the ID token, the userinfo, and the
// access token if that is verified; without a Mapper, issuer and subject. Errors are those of [claims.Mapper.Identity].
func (s *Session) Identity(ctx context.Context) (*claims.Identity, error) {
	mapper := s.mapper
	if mapper == nil {
		mapper = onlySubject
	}
	from := claims.Sources{IDToken: s.Claims(), AccessToken: s.AccessTokenClaims()}
	if info := s.UserInfo(); info != nil {
		from.UserInfo = info.Claims
	}
	return mapper.Identity(ctx, from)
}

// onlySubject maps nothing.
var onlySubject = func() *claims.Mapper {
	m, err := claims.NewMapper(claims.Mapping{})
	if err != nil {
		panic(err) // unreachable: there is nothing in it
	}
	return m
}()

// String returns the string that path leads to in the ID token; in the userinfo if the ID token
// does not have it; or else in the access token, if LoginConfig.AccessTokens verifies that.
func (s *Session) String(path claims.Path) (string, error) {
	return firstOf(s, func(set claims.Set) (string, error) { return set.String(path) })
}

// Strings returns the strings that path leads to, in the first of the places of [Session.String]
// that has any.
func (s *Session) Strings(path claims.Path) ([]string, error) {
	return firstOf(s, func(set claims.Set) ([]string, error) { return set.Strings(path) })
}

// firstOf reads a claim where it is first: what was signed for the client, what the provider
// said on request, what was meant for an API. What is wrong where it is, is not looked for
// elsewhere.
func firstOf[T any](s *Session, read func(claims.Set) (T, error)) (T, error) {
	value, err := read(s.Claims())
	if info := s.UserInfo(); claims.IsMissing(err) && info != nil {
		value, err = read(info.Claims)
	}
	if s.access != nil && claims.IsMissing(err) {
		return read(s.AccessTokenClaims())
	}
	return value, err
}

// hasSID reports whether sid is "sid" of the ID token or of that of the login: the provider's
// logouts name one or the other.
func (s *Session) hasSID(sid string) bool {
	return sid != "" && (sid == s.rec().sid || sid == s.rec().firstSID)
}

// flow names the session in logs, and the login that led to it.
func (s *Session) flow() string { return s.rec().flow }

// Format prints the issuer with every verb: the rest is personal data, and tokens.
func (s Session) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "middleware.Session(%s)", s.rec().issuer)
}

// LogValue redacts, as Format does.
func (s Session) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }

// SessionFrom returns the session of the request that ctx belongs to. There is
// none unless a [Login] stands in front and the user is logged in.
func SessionFrom(ctx context.Context) (s *Session, ok bool) {
	s, _ = ctx.Value(sessionKey{}).(*Session)
	return s, s != nil
}
