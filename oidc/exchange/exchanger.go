package exchange

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/oidckit/oidckit/oidc"
)

// A Verifier judges tokens of others: an [oidc.AccessTokenVerifier] of one issuer, or
// [oidc.Issuers] of several. Its errors answer errors.Is for oidckit.ErrInvalidToken or
// oidckit.ErrUnavailable.
type Verifier interface {
	Verify(ctx context.Context, raw string) (*oidc.AccessToken, error)
}

// ExchangerConfig says whose tokens are exchanged for ours.
type ExchangerConfig struct {
	// Issuer mints; required.
	Issuer *Issuer
	// Verifier says which tokens are good at all; required. It must know issuers from its
	// configuration alone.
	Verifier Verifier
	// Rules say which of them are exchanged, and for what. Required, unless RulesFor is set.
	Rules []Rule
	// RulesFor finds rules, in place of Rules.
	RulesFor RuleFunc
	// Refused are issuers whose tokens are not taken although the verifier would: the
	// names of our own that other Issuers of the program have. That of Issuer is among
	// them always.
	Refused []string

	// SubjectTokenTypes are the values of subject_token_type that [Exchanger.Handler] takes.
	// Nil is [oidc.TokenTypeJWT] and [oidc.TokenTypeIDToken].
	SubjectTokenTypes []string

	// InsecureReuse lets a token be exchanged as often as somebody likes, while it is good.
	InsecureReuse bool
	// Replay remembers which tokens were exchanged, for all processes that share it. Nil is
	// a memory of this Exchanger alone.
	Replay oidc.ReplayStore

	// Audit is called with each decision before it is answered. May be nil.
	Audit func(ctx context.Context, record Record)
	// Logger gets a line for each decision: Info for a token that was issued, Warn for a
	// refusal, Error for what could not be judged. Nil is silent.
	Logger *slog.Logger
	// Now tells the time; nil is that of Issuer.
	Now func() time.Time
}

// A Request is a token that is to be exchanged. It prints without the token.
type Request struct {
	// SubjectToken is the token of somebody else; required.
	SubjectToken string
	// Algorithm is the one that the new token must be signed with. Empty is that of the
	// subject token if there is a key for it, else the default of the keys.
	Algorithm string
	// Audience is whom the new token is to be for: some of those that the rule has, or none,
	// which is all of them.
	Audience []string
	// RequestedTokenType is [oidc.TokenTypeJWT], or [oidc.TokenTypeAccessToken] for rules whose
	// Type is [TypeAccessToken]. Empty is what the rule makes.
	RequestedTokenType string
	// Client is who asks, for the log; empty is [ClientOf].
	Client string
	// RulesFor, if not nil, finds the rules in place of those of the Exchanger.
	RulesFor RuleFunc
}

const redactedRequest = "exchange.Request[redacted]"

// Format prints that it is a request, with every verb: it holds a token.
func (r Request) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redactedRequest)) }

// LogValue redacts, in logs.
func (r Request) LogValue() slog.Value { return slog.StringValue(redactedRequest) }

// MarshalText redacts, in JSON.
func (r Request) MarshalText() ([]byte, error) { return []byte(redactedRequest), nil }

// An Issued token, and why it was.
type Issued struct {
	Minted
	// Rule is the name of the rule that decided, Type the "typ" of the new token.
	Rule, Type string
	// Subject is the verified subject token.
	Subject *oidc.AccessToken
}

// A Record is a decision, for an audit. It holds no token.
type Record struct {
	Correlation string // what the client was told, see [CorrelationID]
	Client      string
	Issued      bool
	Err         error  // why not
	Rule        string // its name; empty if none decided

	// Of the subject token, once it is verified; else empty.
	Issuer, Subject string
	Input           string // a hash of the token, the same each time that it comes

	// Of the new token.
	ID               string
	Expiry           time.Time
	Algorithm, KeyID string
}

// An Exchanger takes tokens of others and mints ours. It is safe for concurrent use.
type Exchanger struct {
	cfg   ExchangerConfig
	rules RuleFunc
}

// NewExchanger does no I/O. Errors are about cfg alone; a policy that lets in strangers is
// one that answers errors.As for a *[claims.LintError].
func NewExchanger(cfg ExchangerConfig) (*Exchanger, error) {
	switch {
	case cfg.Issuer == nil || cfg.Issuer.cfg.Keys == nil:
		return nil, errors.New("exchange: ExchangerConfig.Issuer is required: use NewIssuer")
	case cfg.Verifier == nil:
		return nil, errors.New("exchange: ExchangerConfig.Verifier is required")
	case (len(cfg.Rules) == 0) == (cfg.RulesFor == nil):
		return nil, errors.New("exchange: set exactly one of ExchangerConfig.Rules and RulesFor: without a rule, nothing is exchanged")
	case cfg.InsecureReuse && cfg.Replay != nil:
		return nil, errors.New("exchange: ExchangerConfig.Replay has nothing to remember with InsecureReuse: leave one out")
	}
	cfg.Refused = append(slices.Clone(cfg.Refused), cfg.Issuer.Issuer())
	cfg.Rules = slices.Clone(cfg.Rules)
	if err := checkRules(cfg.Rules, cfg.Refused); err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = cfg.Issuer.cfg.Now
	}
	if cfg.Replay == nil {
		cfg.Replay = oidc.NewReplayMemory(cfg.Now)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	x := &Exchanger{cfg: cfg, rules: cfg.RulesFor}
	if x.rules == nil {
		x.rules = func(context.Context, *oidc.AccessToken) ([]Rule, error) { return x.cfg.Rules, nil }
	}
	return x, nil
}

func checkRules(rules []Rule, refused []string) error {
	for i := range rules {
		r := &rules[i]
		if err := r.Check(); err != nil {
			return err
		}
		if slices.Contains(refused, r.Issuer) {
			return r.problem("Issuer is one of our own: its tokens could be renewed for ever")
		}
		if r.InsecureAnyone {
			continue
		}
		if err := r.Lint(); err != nil {
			return err
		}
	}
	return nil
}

// Exchange judges a token and mints another one. It is an *[Error] if there is none, answers
// errors.Is for oidckit.ErrUnavailable if it could not be judged or signed, and otherwise the
// configuration is wrong. The decision is logged.
func (x *Exchanger) Exchange(ctx context.Context, req Request) (*Issued, error) {
	if x == nil || x.cfg.Issuer == nil {
		return nil, errors.New("exchange: Exchanger was not made by NewExchanger")
	}
	e := &attempt{x: x, req: req}
	err := e.run(ctx)
	x.tell(ctx, e.record(ctx, err))
	if err != nil {
		return nil, err
	}
	return &Issued{Minted: *e.minted, Rule: e.rule.Name, Type: cmp.Or(e.rule.Type, defaultType), Subject: e.token}, nil
}
