package oidc

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// tenantPlaceholder stands in the issuer of Entra ID's metadata for many tenants.
const tenantPlaceholder = "{tenantid}"

// issuerPolicy says which "iss" the tokens of one provider have.
type issuerPolicy struct {
	exact     []string // the issuer and its aliases; none if there is a template
	before    string   // the template is before + tenant + after
	after     string
	tenants   []string
	anyTenant bool
	claim     string // names the tenant
}

func newIssuerPolicy(cfg Config) (issuerPolicy, error) {
	before, after, template := strings.Cut(cfg.Issuer, tenantPlaceholder)
	if !template {
		if len(cfg.Tenants) > 0 || cfg.InsecureAnyTenant || cfg.TenantClaim != "" {
			return issuerPolicy{}, fmt.Errorf("oidc: Config.Tenants, InsecureAnyTenant and TenantClaim go with an Issuer that has the placeholder %s", tenantPlaceholder)
		}
		if !allIdentifiers(cfg.IssuerAliases) {
			return issuerPolicy{}, errors.New("oidc: Config.IssuerAliases has an empty name, or one with control characters")
		}
		return issuerPolicy{exact: append([]string{cfg.Issuer}, cfg.IssuerAliases...)}, nil
	}
	policy := issuerPolicy{
		before: before, after: after,
		tenants: slices.Clone(cfg.Tenants), anyTenant: cfg.InsecureAnyTenant, claim: cfg.TenantClaim,
	}
	if policy.claim == "" {
		policy.claim = "tid"
	}
	switch {
	case strings.Contains(after, tenantPlaceholder):
		return issuerPolicy{}, fmt.Errorf("oidc: Config.Issuer: %s stands there twice", tenantPlaceholder)
	case len(cfg.IssuerAliases) > 0:
		return issuerPolicy{}, fmt.Errorf("oidc: Config.IssuerAliases do not go with an Issuer that has %s", tenantPlaceholder)
	case (len(policy.tenants) == 0) != policy.anyTenant:
		return issuerPolicy{}, errors.New("oidc: Config.Tenants must list whom to trust, unless InsecureAnyTenant is set")
	case slices.ContainsFunc(policy.tenants, func(t string) bool { return !isTenant(t) }):
		return issuerPolicy{}, errors.New("oidc: Config.Tenants has an entry that is no tenant")
	case slices.ContainsFunc(policy.tenants, func(t string) bool { return slices.Contains(manyTenants, t) }):
		return issuerPolicy{}, fmt.Errorf("oidc: Config.Tenants: %q stand for many tenants and are in no token; list the ids of tenants", manyTenants)
	}
	return policy, nil
}

// manyTenants are what Entra ID writes in URLs in place of a tenant.
var manyTenants = []string{"common", "organizations", "consumers"}

// isTenant: one segment of a path, so that a tenant cannot write another issuer.
func isTenant(s string) bool { return isIdentifier(s) && !strings.ContainsAny(s, "/?#{}") }

// overlaps reports whether two templates may be of one issuer.
func (p *issuerPolicy) overlaps(o *issuerPolicy) bool {
	if p.before != o.before || p.after != o.after {
		return false
	}
	shared := slices.ContainsFunc(p.tenants, func(t string) bool { return slices.Contains(o.tenants, t) })
	return p.anyTenant || o.anyTenant || shared
}

func (p *issuerPolicy) isTemplate() bool { return len(p.exact) == 0 }

// mayBe reports whether iss can be of this provider: reason enough to let its
// verifier judge the token, and no more.
func (p *issuerPolicy) mayBe(iss string) bool {
	if !p.isTemplate() {
		return slices.Contains(p.exact, iss)
	}
	rest, ok := strings.CutPrefix(iss, p.before)
	tenant, ok2 := strings.CutSuffix(rest, p.after)
	return ok && ok2 && isTenant(tenant) && (p.anyTenant || slices.Contains(p.tenants, tenant))
}

// TrustsIssuer reports whether what was issued by iss can be the provider's: it is Config.Issuer,
// one of IssuerAliases, or that of one of Tenants. It is for what was verified once, and kept
// while the configuration changed; no token is verified by it.
func (p *Provider) TrustsIssuer(iss string) bool { return p.issuers.mayBe(iss) }

// issuerOf reads "iss" and judges it. With a template, it must be the one that the
// tenant of the same token makes of it: neither of the two claims counts alone.
func (p *Provider) issuerOf(claims payload) (string, error) {
	iss, err := identifier(claims, "iss", ReasonIssuer)
	if err != nil {
		return "", err
	}
	if !p.issuers.mayBe(iss) {
		return "", &Error{Reason: ReasonIssuer, Claim: "iss", Err: slashHint(iss, p.issuer)}
	}
	if !p.issuers.isTemplate() {
		return iss, nil
	}
	tenant, err := identifier(claims, p.issuers.claim, ReasonIssuer)
	if err != nil {
		return "", err
	}
	if iss != p.issuers.before+tenant+p.issuers.after {
		return "", &Error{Reason: ReasonIssuer, Claim: p.issuers.claim}
	}
	return iss, nil
}

// slashHint tells the one mistake of configuration that nobody sees.
func slashHint(got, configured string) error {
	if strings.TrimSuffix(got, "/") == strings.TrimSuffix(configured, "/") {
		return errors.New("it differs from Config.Issuer in the final slash only")
	}
	return nil
}
