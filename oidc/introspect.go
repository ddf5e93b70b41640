package oidc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/internal/strictjson"
)

// SignedIntrospection asks for answers of the introspection endpoint that the provider has
// signed (RFC 9701). Answers that are not signed are then not taken. With
// ClientConfig.DecryptionKeys, a signed answer may be encrypted besides.
type SignedIntrospection struct {
	// Audience is what the provider calls this program in "aud" of its answers; default
	// ClientConfig.ClientID.
	Audience string
	// Algorithms are the allowed ones; default RS, PS and ES 256, 384 and 512, and EdDSA.
	// HS algorithms need a Provider whose Keys are symmetric, and never stand with others.
	Algorithms []string
}

// An Introspection is what the provider says of an active token (RFC 7662 section 2.2).
// Everything is optional there, so that each field may be its zero value: whoever
// decides by one has to ask for it. It does not hold the token itself.
//
// An active token need not be one for this program, nor an access token: see Audience
// and TokenType.
type Introspection struct {
	Issuer    string // the provider's, or empty
	Subject   string
	ClientID  string // whom the token was issued to
	Username  string // as the provider has it: it identifies nobody
	Audience  []string
	Scopes    []string
	TokenType string // "Bearer", "DPoP", …: of an access token (RFC 6749 section 7.1)
	ID        string // "jti"
	Expiry    time.Time
	IssuedAt  time.Time
	// Bound says that the token is bound to a key (claim "cnf"; RFC 7800). It is no bearer
	// token: without proof of the key, whoever stole it could use it.
	Bound bool
	// Claims are all members of the answer.
	Claims claims.Set
}

// Format prints the issuer with every verb: the rest is personal data.
func (i Introspection) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "oidc.Introspection(%s)", i.Issuer)
}

// LogValue redacts, as Format does.
func (i Introspection) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(i)) }

// Introspect asks the provider about a token (RFC 7662), an opaque one as well as a JWT.
// There is an answer exactly if the token is active. One that is not is an *[Error] with
// [ReasonRevoked]: expired, revoked, unknown and not for us to ask about are all the same
// there. What the answer says of itself is checked besides: another issuer, a time that
// has passed or not yet come, a claim of another type is an *Error too. Whom the token is
// for is the caller's to judge.
//
// A provider that refuses this client is a *[ResponseError]. An answer that does not say
// whether the token is active, or is not signed as [SignedIntrospection] wants it, says
// nothing about the token: it answers errors.Is for oidckit.ErrUnavailable, and
// errors.As finds the *Error of the answer in it.
//
// The option WithParameter("token_type_hint", …) may spare the provider a search. The
// Client needs no RedirectURL.
func (c *Client) Introspect(ctx context.Context, token string, options ...Option) (*Introspection, error) {
	answer, err := c.introspect(ctx, token, options...)
	if err != nil {
		return nil, err
	}
	return c.judgeIntrospection(answer)
}

// introspect returns the answer, of which only its signature is judged.
func (c *Client) introspect(ctx context.Context, token string, options ...Option) (payload, error) {
	if err := checkSendable(token); err != nil {
		return payload{}, err
	}
	form := url.Values{"token": {token}}
	if err := addParameters(form, options); err != nil {
		return payload{}, err
	}
	request := call{to: introspectionEndpoint, form: form}
	if c.introspection != nil {
		request.accept = introspectionJWT
	}
	resp, err := c.post(ctx, request)
	if err != nil {
		return payload{}, err
	}
	if resp.Status != http.StatusOK {
		return payload{}, responseError(resp)
	}
	return c.readIntrospection(ctx, resp)
}

// checkSendable: what no token looks like is refused without asking.
func checkSendable(token string) error {
	if token == "" || len(token) > jwt.MaxSize || !isTokenText(token) {
		return &Error{Reason: ReasonMalformed, Err: errors.New("empty, longer than 16 KiB, or with characters that no token has, as a line break at its end")}
	}
	return nil
}

const introspectionJWT = "application/token-introspection+jwt"

// readIntrospection returns the answer, out of its signature if it has to have one.
func (c *Client) readIntrospection(ctx context.Context, resp *fetch.Response) (payload, error) {
	if c.introspection != nil {
		return c.introspection.read(ctx, resp)
	}
	members, err := object(resp, "introspection", &struct{}{})
	if err != nil {
		return payload{}, err
	}
	return payload{members: members, set: claims.FromVerified(string(resp.Body), members)}, nil
}

// signedAnswers are answers of the introspection endpoint that have a signature.
type signedAnswers struct {
	trust
	audience string
}

// setIntrospection sets how answers of the introspection endpoint are verified.
func (c *Client) setIntrospection() error {
	cfg := c.cfg.SignedIntrospection
	if cfg == nil {
		return nil
	}
	// TLS keeps the answer secret too: encryption is for those who want it besides.
	t, err := newTrust("ClientConfig", trust{
		provider: c.provider, algorithms: cfg.Algorithms, leeway: c.cfg.Leeway, maxAge: fetch.Timeout,
		decryption: c.cfg.DecryptionKeys, plain: len(c.cfg.DecryptionKeys) > 0,
	})
	if err != nil {
		return err
	}
	audience := cfg.Audience
	if audience == "" {
		audience = c.cfg.ClientID
	}
	if !isIdentifier(audience) {
		return errors.New("oidc: ClientConfig.SignedIntrospection.Audience is no name")
	}
	c.introspection = &signedAnswers{trust: t, audience: audience}
	return t.checkAlgorithms("ClientConfig.SignedIntrospection.Algorithms")
}

// read verifies an answer (RFC 9701 section 5). What is wrong with it is not the
// token's fault.
func (a *signedAnswers) read(ctx context.Context, resp *fetch.Response) (payload, error) {
	if !resp.Is(introspectionJWT) {
		return payload{}, unavailable("introspection", fetch.ErrMediaType)
	}
	answer, err := a.verify(ctx, string(resp.Body))
	var refusal *Error
	if errors.As(err, &refusal) {
		return answer, unavailable("introspection", &answerError{refusal})
	}
	return answer, err
}

func (a *signedAnswers) verify(ctx context.Context, raw string) (payload, error) {
	parsed, err := a.open(raw)
	if err != nil {
		return payload{}, err
	}
	defer parsed.Release()
	p := payloadOf(parsed)
	if err := a.judge(parsed, p); err != nil {
		return payload{}, err
	}
	if err := a.checkSignature(ctx, parsed); err != nil {
		return payload{}, err
	}
	value, _ := p.members.Get("token_introspection")
	members, err := strictjson.ParseString(value)
	if err != nil {
		return payload{}, &Error{Reason: ReasonClaim, Claim: "token_introspection", Err: err}
	}
	return payload{members: members, set: claims.FromVerified(value, members)}, nil
}

// judge makes every check but that of the signature. "iss" and "aud" are those of the
// answer; the token's are inside, in "token_introspection".
func (a *signedAnswers) judge(parsed *jwt.Token, p payload) error {
	if err := a.checkAlgorithm(parsed.Algorithm); err != nil {
		return err
	}
	// "typ: [...] MUST be set to 'token-introspection+jwt'": nothing else that the
	// provider signs is an answer, and an answer is nothing else.
	if mediaType(parsed.Type) != "token-introspection+jwt" {
		return &Error{Reason: ReasonType, Claim: "typ"}
	}
	if _, err := a.provider.issuerOf(p); err != nil {
		return err
	}
	aud, err := audience(p)
	if err != nil {
		return err
	}
	if !slices.Contains(aud, a.audience) {
		return &Error{Reason: ReasonAudience, Claim: "aud"}
	}
	// The answer was made for this request, and that takes 10 s at most.
	now := a.provider.now()
	issuedAt, err := notInFuture(p, "iat", now.Add(a.leeway))
	if err != nil {
		return err
	}
	return a.checkAge(issuedAt, now)
}

// answerError says that an answer is at fault, and no token: it does not answer for
// oidckit.ErrInvalidToken as the *Error in it would.
type answerError struct{ refusal *Error }

func (e *answerError) Error() string {
	text := "the answer is refused: " + string(e.refusal.Reason)
	if e.refusal.Claim != "" && e.refusal.Claim != string(e.refusal.Reason) {
		text += " (" + e.refusal.Claim + ")"
	}
	return text
}

// As gives the *Error to errors.As.
func (e *answerError) As(target any) bool {
	refusal, ok := target.(**Error)
	if ok {
		*refusal = e.refusal
	}
	return ok
}

// judgeIntrospection reads what the provider says of the token.
func (c *Client) judgeIntrospection(p payload) (*Introspection, error) {
	switch active, _ := p.members.Get("active"); active {
	case "true":
	case "false":
		return nil, &Error{Reason: ReasonRevoked, Err: errors.New("the provider says that it is not active")}
	default: // "active: REQUIRED. Boolean": a text that says "true" is a mistake
		return nil, unavailable("introspection", errors.New("the answer does not say whether the token is active"))
	}
	i := &Introspection{Claims: p.set, Bound: p.present("cnf")}
	if err := c.readTimes(i, p); err != nil {
		return nil, err
	}
	if err := c.readParties(i, p); err != nil {
		return nil, err
	}
	var err error
	if i.Scopes, err = p.set.Scopes(); err != nil {
		return nil, &Error{Reason: ReasonClaim, Claim: "scope", Err: err}
	}
	return i, nil
}

// readTimes: the provider MUST have looked at them (RFC 7662 section 4), and may have
// kept its answer for too long.
func (c *Client) readTimes(i *Introspection, p payload) (err error) {
	now, leeway := c.provider.now(), c.idTokens.leeway
	if p.present("exp") {
		if i.Expiry, err = p.time("exp"); err != nil {
			return &Error{Reason: ReasonClaim, Claim: "exp", Err: err}
		}
		if !now.Before(i.Expiry.Add(leeway)) {
			return &Error{Reason: ReasonExpired, Claim: "exp"}
		}
	}
	if p.present("nbf") {
		if _, err = notInFuture(p, "nbf", now.Add(leeway)); err != nil {
			return err
		}
	}
	if p.present("iat") {
		i.IssuedAt, err = notInFuture(p, "iat", now.Add(leeway))
	}
	return err
}

func (c *Client) readParties(i *Introspection, p payload) (err error) {
	if p.present("iss") {
		if i.Issuer, err = c.provider.issuerOf(p); err != nil {
			return err
		}
	}
	if p.present("sub") {
		if i.Subject, err = subject(p); err != nil {
			return err
		}
	}
	if p.present("aud") {
		if i.Audience, err = audience(p); err != nil {
			return err
		}
	}
	if p.present("username") {
		if i.Username, err = p.text("username"); err != nil {
			return &Error{Reason: ReasonClaim, Claim: "username", Err: err}
		}
	}
	for name, field := range map[string]*string{"client_id": &i.ClientID, "token_type": &i.TokenType, "jti": &i.ID} {
		if !p.present(name) {
			continue
		}
		if *field, err = identifier(p, name, ReasonClaim); err != nil {
			return err
		}
	}
	return nil
}
