package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/claims/ci"
)

// A provider is whose tokens are good for which service accounts: the "provider settings" of
// the document. All of audience, preset and claims must be satisfied.
type provider struct {
	Name            string         `json:"name"`
	URL             string         `json:"url"`
	Audience        string         `json:"audience,omitempty"`
	Preset          string         `json:"preset,omitempty"`
	With            map[string]any `json:"with,omitempty"`
	Claims          map[string]any `json:"claims,omitempty"`
	ServiceAccounts []string       `json:"service_accounts"`
	Force           bool           `json:"force,omitempty"`
}

// issuerURL has no room for what two readers might take for two URLs: user info, queries,
// percent signs, empty segments.
var issuerURL = regexp.MustCompile(`\Ahttps?://[a-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?\z`)

// check completes the settings, and reports what is doubtful about them; what is wrong is
// an error that begins with the name of the setting.
func (p *provider) check(accounts []string) (warnings []string, err error) {
	policy, err := p.policy(true)
	if err == nil {
		policy, err = p.policy(false)
	}
	switch unknown := slices.IndexFunc(p.ServiceAccounts, func(a string) bool { return !slices.Contains(accounts, a) }); {
	case p.Name == "" || len(p.Name) > 100:
		return nil, errors.New("name: write one of 1 to 100 bytes")
	case !utf8.ValidString(p.Name) || strings.ContainsFunc(p.Name, unicode.IsControl):
		return nil, errors.New("name: has a control character, or is not UTF-8: write what can be seen")
	case len(accounts) == 0:
		return nil, errors.New("service_accounts: OIDC provider settings can only be configured if there is at least one service account: create one first")
	case len(p.ServiceAccounts) == 0:
		return nil, errors.New("service_accounts: is empty: name those that tokens of the provider are for")
	case unknown >= 0:
		return nil, fmt.Errorf("service_accounts: %q is none of the organization: create it first, or write one of %s", p.ServiceAccounts[unknown], strings.Join(accounts, ", "))
	case err != nil:
		return nil, err
	case p.Claims["iss"] != nil:
		return nil, errors.New("claims.iss: is what url says: leave it out")
	case strings.HasSuffix(p.URL, "/.well-known/openid-configuration"):
		return nil, errors.New("url: write the part before /.well-known/openid-configuration")
	case !goodPort(p.URL):
		return nil, errors.New("url: has a port that there is none of: write one from 1 to 65535, or none")
	case len(p.URL) > 255 || !issuerURL.MatchString(p.URL):
		return nil, errors.New("url: is not the URL of an issuer: write https://host/path as the provider does in iss, without query, fragment or %")
	}
	return p.lint(policy)
}

func goodPort(issuer string) bool {
	u, err := url.Parse(issuer)
	if err != nil || u.Port() == "" {
		return true // what it may be otherwise, issuerURL says
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && port > 0
}

// An openError says that strangers can satisfy a provider.
type openError struct{ error }

// lint refuses what lets strangers in, unless it is forced. The audience is for neither: a job
// chooses its own.
func (p *provider) lint(policy claims.Policy) (warnings []string, err error) {
	findings := claims.Lint(policy, p.URL)
	for i := range findings { // it says where in the policy; here is where in the settings
		findings[i].Place = "claims"
		if c := findings[i].Claim; p.Claims[c] != nil {
			findings[i].Place += "." + c
		}
	}
	err = findings.Err()
	if policy.IsZero() {
		err = errors.New("claims: there is none besides the audience, which jobs choose, so that whatever the issuer signs would be taken: add some, such as repository_id")
	}
	switch {
	case err != nil && !p.Force:
		return nil, openError{fmt.Errorf("%w; or write force: true", err)}
	case err != nil:
		warnings = append(warnings, "force: the settings are taken although strangers can satisfy them")
	}
	for _, f := range findings {
		warnings = append(warnings, f.String())
	}
	if p.Audience == "" && p.Claims["aud"] == nil {
		warnings = append(warnings, "warning: audience: there is none, so tokens that were made for other services are taken too; have jobs ask for one of your own")
	}
	return warnings, nil
}

// policy is what a token must say; without the audience, it is what says whose token it is.
func (p *provider) policy(withAudience bool) (claims.Policy, error) {
	var all []any
	required := maps.Clone(p.Claims)
	if !withAudience {
		delete(required, "aud")
	} else if p.Audience != "" {
		all = append(all, map[string]any{"claim": "aud", "contains": p.Audience})
	}
	if p.Preset != "" || p.With != nil {
		preset, err := p.preset()
		if err != nil {
			return claims.Policy{}, err
		}
		data, _ := preset.MarshalYAML() // it has conditions
		all = append(all, data)
	}
	if len(required) > 0 {
		if _, err := claims.RequiredClaims(required); err != nil { // it names the place
			return claims.Policy{}, err
		}
		all = append(all, map[string]any{"claims": required})
	}
	if len(all) == 0 {
		return claims.Policy{}, nil
	}
	return claims.PolicyOf(map[string]any{"all": all})
}

// preset reads a policy of package ci, and completes the URL.
func (p *provider) preset() (policy claims.Policy, err error) {
	issuer := ""
	switch p.Preset {
	case "github-actions":
		g := ci.GitHubActions{Issuer: cmp.Or(p.URL, ci.GitHubIssuer)}
		policy, err = presetOf(p.With, &g)
		issuer = g.Issuer
	case "gitlab":
		g := ci.GitLab{Issuer: cmp.Or(p.URL, ci.GitLabIssuer)}
		policy, err = presetOf(p.With, &g)
		issuer = g.Issuer
	case "circleci":
		var c ci.CircleCI
		policy, err = presetOf(p.With, &c)
		issuer = c.Issuer()
	default:
		err = errors.New("preset: write github-actions, gitlab or circleci, or leave with out")
	}
	if p.URL = cmp.Or(p.URL, issuer); err == nil && p.URL != issuer {
		err = fmt.Errorf("url: is not %s, which the preset has: leave it out", issuer)
	}
	return policy, err
}

func presetOf[T any, P interface {
	*T
	Policy() (claims.Policy, error)
}](with map[string]any, preset P) (policy claims.Policy, err error) {
	if err = assign(with, preset); err == nil {
		policy, err = preset.Policy()
	}
	if wrong := (*ci.FieldError)(nil); errors.As(err, &wrong) {
		field, _ := reflect.TypeFor[T]().FieldByName(wrong.Field)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		err = fmt.Errorf("%s: %s", name, wrong.Problem)
	}
	if err != nil {
		return policy, fmt.Errorf("with.%w", err)
	}
	return policy, nil
}
