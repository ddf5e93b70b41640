package oidc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/internal/strictjson"
	"github.com/oidckit/oidckit/jwks"
)

// LogoutTokenConfig is what a relying party trusts to end sessions: together with its
// Provider, the whole policy for the logout tokens of one issuer.
type LogoutTokenConfig struct {
	// ClientID must be in "aud". Required.
	ClientID string

	// Algorithms are the allowed ones; default RS, PS and ES 256, 384 and 512, and
	// EdDSA. HS algorithms need Keys of jwks.Symmetric, and never stand with others.
	Algorithms []string
	// Keys, if not nil, are used in place of the provider's.
	Keys jwks.Source

	// Leeway is how far clocks may differ: default 60 s, at most 5 min.
	Leeway time.Duration
	// MaxAge is how long after "iat" a token is good; default 5 min, at most ten years.
	MaxAge time.Duration

	// DecryptionKeys open encrypted tokens. With them, tokens that are not encrypted
	// are refused.
	DecryptionKeys []jwks.DecryptionKey
	// InsecureAllowUnencrypted accepts both, if there are DecryptionKeys.
	InsecureAllowUnencrypted bool

	// Replay remembers which tokens came before, for all processes that get tokens of one
	// provider. Nil is a memory of this verifier alone, for 65,536 tokens that are still
	// good: if it is full, tokens cannot be judged.
	Replay ReplayStore
}

// A LogoutToken is a verified logout token: whose sessions have ended at the provider
// (OpenID Connect Back-Channel Logout 1.0 section 2.4). Subject, SessionID or both are
// there; with a SessionID, that session alone has ended.
type LogoutToken struct {
	Issuer    string
	Subject   string // "sub", may be empty; unique within Issuer only
	SessionID string // "sid", may be empty
	Audience  []string
	ID        string // "jti": a token is good once
	IssuedAt  time.Time
	Expiry    time.Time
	Claims    claims.Set
}

// Format prints the issuer with every verb: the rest is personal data.
func (t LogoutToken) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "oidc.LogoutToken(%s)", t.Issuer)
}

// LogValue redacts, as Format does.
func (t LogoutToken) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(t)) }

// A LogoutTokenVerifier verifies the logout tokens that one provider sends to one
// client. It is safe for concurrent use.
type LogoutTokenVerifier struct {
	trust
	clientID string
	replay   ReplayStore
}

// NewLogoutTokenVerifier returns a verifier for logout tokens. It does no I/O; errors
// are about cfg alone. Who has a Client calls [Client.NewLogoutTokenVerifier].
func NewLogoutTokenVerifier(p *Provider, cfg LogoutTokenConfig) (*LogoutTokenVerifier, error) {
	if cfg.MaxAge == 0 {
		cfg.MaxAge = 5 * time.Minute
	}
	t, err := newTrust("LogoutTokenConfig", trust{
		provider: p, keys: cfg.Keys, algorithms: cfg.Algorithms, leeway: cfg.Leeway, maxAge: cfg.MaxAge,
		decryption: cfg.DecryptionKeys, plain: cfg.InsecureAllowUnencrypted,
	})
	if err != nil {
		return nil, err
	}
	if err := t.checkAlgorithms("LogoutTokenConfig.Algorithms"); err != nil {
		return nil, err
	}
	if !isIdentifier(cfg.ClientID) {
		return nil, errors.New("oidc: LogoutTokenConfig.ClientID is required")
	}
	if cfg.Replay == nil {
		cfg.Replay = &replayMemory{now: p.now}
	}
	return &LogoutTokenVerifier{trust: t, clientID: cfg.ClientID, replay: cfg.Replay}, nil
}

// NewLogoutTokenVerifier returns a verifier for the logout tokens of this client, which are
// signed and encrypted as its ID tokens are (OpenID Connect Back-Channel Logout 1.0 section
// 2.4): what cfg leaves zero is the client's. ClientID is best left empty, and no other than
// the client's. Keys and Algorithms go together, as do DecryptionKeys and
// InsecureAllowUnencrypted: those of the client are taken if cfg has neither. It does no I/O;
// errors are about cfg alone.
func (c *Client) NewLogoutTokenVerifier(cfg LogoutTokenConfig) (*LogoutTokenVerifier, error) {
	if c == nil || c.idTokens == nil {
		return nil, errors.New("oidc: Client was not made by NewClient")
	}
	if cfg.ClientID != "" && cfg.ClientID != c.cfg.ClientID {
		return nil, errors.New("oidc: LogoutTokenConfig.ClientID is that of another client: leave it empty")
	}
	cfg.ClientID = c.cfg.ClientID
	if len(cfg.Algorithms) == 0 && cfg.Keys == nil {
		cfg.Algorithms, cfg.Keys = c.idTokens.algorithms, c.idTokens.keys
	}
	if len(cfg.DecryptionKeys) == 0 && !cfg.InsecureAllowUnencrypted {
		cfg.DecryptionKeys, cfg.InsecureAllowUnencrypted = c.idTokens.decryption, c.idTokens.plain
	}
	cfg.Leeway = cmp.Or(cfg.Leeway, c.idTokens.leeway)
	return NewLogoutTokenVerifier(c.provider, cfg)
}

// Verify verifies a logout token, the form parameter "logout_token" of the request
// (OpenID Connect Back-Channel Logout 1.0 sections 2.5 and 2.6), and that it did not come
// before: the second time it is refused with [ReasonReplayed]. So whoever cannot end the
// sessions at once has to remember whose they are; the same token will not tell again.
//
// An error is an *[Error] if the token is at fault, and answers errors.Is for
// oidckit.ErrUnavailable if it could not be judged, because of the keys or of
// LogoutTokenConfig.Replay. A nil or zero verifier refuses everything.
func (v *LogoutTokenVerifier) Verify(ctx context.Context, raw string) (*LogoutToken, error) {
	if v == nil || v.provider == nil {
		return nil, errors.New("oidc: LogoutTokenVerifier was not made by NewLogoutTokenVerifier")
	}
	parsed, err := v.open(raw)
	if err != nil {
		return nil, err
	}
	defer parsed.Release()
	p := payloadOf(parsed)
	token, err := v.judge(parsed, p)
	if err != nil {
		return nil, err
	}
	if err := v.checkSignature(ctx, parsed); err != nil {
		return nil, err
	}
	if err := v.checkReplay(ctx, token); err != nil {
		return nil, err
	}
	return token, nil
}

// checkReplay comes last: nobody but the provider fills the memory. A token is remembered
// for as long as it would be accepted, and a second more, for stores that know no
// fractions. One that several clients are the audience of may come to each of them.
func (v *LogoutTokenVerifier) checkReplay(ctx context.Context, t *LogoutToken) error {
	until := earlier(t.Expiry, t.IssuedAt.Add(v.maxAge)).Add(v.leeway)
	first, err := v.replay.Once(ctx, replayKey("logout_token", t.Issuer, v.clientID, t.ID), until.Add(time.Second))
	switch {
	case err != nil:
		return unavailable("memory of logout tokens", err)
	case !first:
		return &Error{Reason: ReasonReplayed, Claim: "jti"}
	}
	return nil
}

func (v *LogoutTokenVerifier) judge(parsed *jwt.Token, p payload) (*LogoutToken, error) {
	if err := v.checkAlgorithm(parsed.Algorithm); err != nil {
		return nil, err
	}
	// "logout+jwt" is recommended, not required; "events" is what makes one.
	if !slices.Contains([]string{"logout+jwt", "jwt", ""}, mediaType(parsed.Type)) {
		return nil, &Error{Reason: ReasonType, Claim: "typ"}
	}
	if !isLogout(p) {
		return nil, &Error{Reason: ReasonType, Claim: "events"}
	}
	// "A nonce Claim MUST NOT be present": it would be an ID token.
	if p.has("nonce") {
		return nil, &Error{Reason: ReasonType, Claim: "nonce"}
	}
	r, err := v.readRegistered(p, v.provider.now(), true)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(r.audience, v.clientID) {
		return nil, &Error{Reason: ReasonAudience, Claim: "aud"}
	}
	token := &LogoutToken{
		Issuer: r.issuer, Audience: r.audience, IssuedAt: r.issuedAt, Expiry: r.expiry, Claims: p.set,
	}
	return token, token.readSession(p)
}

func (t *LogoutToken) readSession(p payload) (err error) {
	if t.ID, err = identifier(p, "jti", ReasonClaim); err != nil {
		return err
	}
	if p.has("sub") {
		if t.Subject, err = subject(p); err != nil {
			return err
		}
	}
	if p.has("sid") {
		if t.SessionID, err = identifier(p, "sid", ReasonClaim); err != nil {
			return err
		}
	}
	if t.Subject == "" && t.SessionID == "" {
		return &Error{Reason: ReasonSubject, Claim: "sub", Err: errors.New("neither sub nor sid")}
	}
	return nil
}

// logoutEvent is the member of "events" that makes a logout token.
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

func isLogout(p payload) bool {
	events, _ := p.members.Get("events")
	event, ok := strictjson.Member(events, logoutEvent)
	return ok && strictjson.Kind(event) == '{'
}
