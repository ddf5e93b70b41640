package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/exchange"
)

// exchange answers POST /openid/{ACCOUNT}/. Who is refused does not learn why: whether there
// is such an organization, account or provider, and what it asks of tokens, is in the log.
func (s *server) exchange(w http.ResponseWriter, r *http.Request) {
	token, account, err := readRequest(r)
	if err == nil && !slug.MatchString(r.PathValue("ACCOUNT")) {
		err = errRequest
	}
	if err != nil {
		s.logger.WarnContext(r.Context(), "malformed request", slog.String("correlation_id", exchange.CorrelationID(r.Context())), slog.Any("error", err))
		s.refuse(w, r, http.StatusBadRequest)
		return
	}
	issued, err := s.issue(r.Context(), r.PathValue("ACCOUNT"), account, token)
	switch refused := (*exchange.Error)(nil); {
	case err == nil:
		answer(w, http.StatusOK, map[string]string{"token": issued.Compact})
	case errors.Is(err, oidckit.ErrUnavailable):
		w.Header().Set("Retry-After", "1")
		s.refuse(w, r, http.StatusServiceUnavailable)
	case errors.As(err, &refused):
		s.refuse(w, r, http.StatusUnauthorized)
	default:
		s.refuse(w, r, http.StatusInternalServerError)
	}
}

func (s *server) refuse(w http.ResponseWriter, r *http.Request, status int) {
	answer(w, status, map[string]string{
		"detail": "The token could not be exchanged.", "correlation_id": exchange.CorrelationID(r.Context()),
	})
}

var errRequest = errors.New("want oidc_token and service_slug, once each and nothing else, as JSON or as a form in the body")

// readRequest reads the two parameters of an exchange.
func readRequest(r *http.Request) (token, account string, err error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return "", "", err
	}
	fields := url.Values{}
	switch mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); mediaType {
	case "application/json":
		var members map[string]string
		set, parseErr := claims.Parse(body)
		if err = parseErr; err == nil {
			err = set.Decode(&members)
		}
		for name, value := range members {
			fields.Set(name, value)
		}
	case "application/x-www-form-urlencoded":
		fields, err = url.ParseQuery(string(body))
	}
	token, account = fields.Get("oidc_token"), fields.Get("service_slug")
	// A token in the query is in every log by now.
	if err != nil || r.URL.RawQuery != "" || len(fields) != 2 || len(fields["oidc_token"]) != 1 || len(fields["service_slug"]) != 1 || token == "" || !slug.MatchString(account) {
		return "", "", errRequest
	}
	return token, account, nil
}

// issue exchanges a token of one of the providers that are for the account. The token is
// judged before the organization is looked at: how long it takes, and whether its issuer
// answers, tells nobody which organizations, accounts and providers there are. The database is
// asked each time, so that what was changed a moment ago counts.
func (s *server) issue(ctx context.Context, organization, account, token string) (*exchange.Issued, error) {
	log := s.logger.With(slog.String("organization", organization), slog.String("service_account", account))
	x, err := exchange.NewExchanger(exchange.ExchangerConfig{
		Issuer: s.issuer, Verifier: verifier{s}, Logger: log,
		RulesFor: func(ctx context.Context, token *oidc.AccessToken) ([]exchange.Rule, error) {
			rules, err := s.rulesFor(ctx, organization, account, token.Issuer)
			if err == nil {
				explain(ctx, log, rules, token)
			}
			return rules, err
		},
		InsecureReuse: s.replays == nil, Replay: s.replays,
	})
	if err != nil {
		return nil, err
	}
	return x.Exchange(ctx, exchange.Request{SubjectToken: token, Client: exchange.ClientOf(ctx)})
}

// rulesFor returns those of the providers of an account that are for tokens of the issuer.
func (s *server) rulesFor(ctx context.Context, organization, account, issuer string) (rules []exchange.Rule, err error) {
	o, _, err := s.read(ctx, organization)
	if err != nil {
		return nil, err
	}
	for _, p := range o.Providers {
		if p.URL != issuer || !slices.Contains(p.ServiceAccounts, account) {
			continue
		}
		rule, err := s.rule(organization, account, o.ids[account], &p)
		if err != nil {
			return nil, err
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

// rule is what a provider's tokens are exchanged for.
//
// Organizations name their accounts as they like: sub has both names, so that whoever reads
// nothing else does not take the account of one organization for that of another.
func (s *server) rule(organization, account, id string, p *provider) (exchange.Rule, error) {
	policy, err := p.policy(true)
	subject := organization + "/" + account
	return exchange.Rule{
		Name: p.Name, Issuer: p.URL, Policy: policy, InsecureAnyone: p.Force,
		Subject: subject, Audience: []string{s.publicURL}, Type: exchange.TypeAccessToken,
		Claims: map[string]any{
			"client_id": subject, "organization": organization, "service_account": account, "service_account_id": id, "provider": p.Name,
		},
		InsecureOutlive: true, // the job goes on after its own token has ended
	}, err
}

// explain logs what it is that a token lacks, for each provider, if it lacks something for
// all of them.
func explain(ctx context.Context, log *slog.Logger, rules []exchange.Rule, token *oidc.AccessToken) {
	fits := func(r exchange.Rule) bool { return r.Policy.IsZero() || r.Policy.Check(token.Claims) == nil }
	if slices.ContainsFunc(rules, fits) {
		return
	}
	if len(rules) == 0 {
		log.WarnContext(ctx, "no provider of the service account has the issuer of the token", slog.String("correlation_id", exchange.CorrelationID(ctx)))
	}
	for _, r := range rules {
		log.WarnContext(ctx, "the provider is not for the token", slog.String("provider", r.Name), slog.String("correlation_id", exchange.CorrelationID(ctx)),
			slog.Any("policy", r.Policy.Explain(token.Claims)))
	}
}

// jobIssuer returns the issuer of a URL that somebody configured, never one of a token.
func (s *server) jobIssuer(issuer string) (*oidc.Provider, error) {
	if known, ok := s.jobs.Get(issuer); ok {
		return known, nil
	}
	p, err := oidc.NewProvider(oidc.Config{Issuer: issuer, PublicOnly: !*s.cfg.PrivateIssuers, Logger: s.logger, Now: s.now})
	if err != nil {
		return nil, err
	}
	if known, ok, _ := s.jobs.PeekOrAdd(issuer, p); ok {
		return known, nil
	}
	return p, nil
}

// A verifier judges tokens of all issuers that any organization has a provider of.
type verifier struct{ s *server }

func (v verifier) Verify(ctx context.Context, raw string) (*oidc.AccessToken, error) {
	unknown := &oidc.Error{Reason: oidc.ReasonIssuer, Claim: "iss", Err: errors.New("no organization has a provider of it")}
	iss, err := claimedIssuer(raw)
	if err != nil || !issuerURL.MatchString(iss) {
		return nil, cmp.Or(err, error(unknown))
	}
	known, err := v.s.trusts(ctx, iss)
	if err != nil {
		return nil, err
	}
	if !known {
		return nil, unknown
	}
	p, err := v.s.jobIssuer(iss)
	if err != nil {
		return nil, err
	}
	tokens, err := oidc.NewAccessTokenVerifier(p, oidc.AccessTokenConfig{InsecureAllowUntyped: true, InsecureAnyAudience: true})
	if err != nil {
		return nil, err
	}
	return tokens.Verify(ctx, raw)
}

// claimedIssuer reads what nobody has verified: it is good for finding who can.
func claimedIssuer(raw string) (iss string, err error) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return "", &oidc.Error{Reason: oidc.ReasonMalformed}
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", &oidc.Error{Reason: oidc.ReasonMalformed}
	}
	set, err := claims.Parse(payload)
	if err != nil {
		return "", &oidc.Error{Reason: oidc.ReasonMalformed}
	}
	if iss, err = set.String(claims.P("iss")); err != nil {
		return "", &oidc.Error{Reason: oidc.ReasonIssuer, Claim: "iss"}
	}
	return iss, nil
}

// self answers GET /v1/user/self.
func self(w http.ResponseWriter, r *http.Request) {
	p, _ := middleware.PrincipalFrom(r.Context())
	a := accountOf(p.Claims)
	answer(w, http.StatusOK, map[string]any{
		"authenticated": true, "name": a.name, "slug": a.name,
		"organization": a.organization, "provider": a.provider, "expires_at": p.Expiry.UTC(),
	})
}

// An account is whose token it is.
type account struct{ organization, name, id, provider string }

func accountOf(set claims.Set) account {
	text := func(name string) string {
		value, _ := set.String(claims.P(name)) // we wrote it
		return value
	}
	return account{text("organization"), text("service_account"), text("service_account_id"), text("provider")}
}

// living refuses our tokens of service accounts and providers that are gone.
type living struct {
	middleware.TokenVerifier
	s *server
}

func (l living) Verify(ctx context.Context, raw string) (*oidc.AccessToken, error) {
	token, err := l.TokenVerifier.Verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	a := accountOf(token.Claims)
	o, _, err := l.s.read(ctx, a.organization)
	if err == nil && !o.has(a) {
		err = &oidc.Error{Reason: oidc.ReasonRevoked}
	}
	if err != nil {
		return nil, err
	}
	return token, nil
}

// has reports whether the account is still the one that the token was made for, and the
// provider by which it was made still has it.
func (o *organization) has(a account) bool {
	i := o.find(a.provider)
	return i >= 0 && slices.Contains(o.Providers[i].ServiceAccounts, a.name) &&
		slices.Contains(o.ServiceAccounts, a.name) && o.ids[a.name] == a.id
}
