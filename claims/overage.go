package claims

import (
	"context"
	"net/url"
	"strings"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/internal/strictjson"
)

// An OverageReason is how it shows that a list is not, or not whole, in a token.
type OverageReason string

// The reasons an [OverageError] can have.
const (
	// OverageElsewhere: "_claim_names" says that another source has the claim (OpenID
	// Connect Core section 5.6.2), as Entra ID does for more than 200 groups.
	OverageElsewhere OverageReason = "with another source"
	// OverageHasGroups: "hasgroups" stands for the groups, as in Entra ID's tokens of
	// the implicit flow.
	OverageHasGroups OverageReason = "left out"
	// OverageCut: the list is as long as the provider writes at most. See [Limit].
	OverageCut OverageReason = "probably cut off"
)

// An OverageError says that a person is in more groups than the provider writes into a
// token. It is never to be taken for "no groups". It answers errors.Is for
// [oidckit.ErrForbidden]: who asks is known, what that person may do is not, and the
// next token will say no more. A [GroupResolver] can find out.
type OverageError struct {
	Claim  string // the path, as [Path.String] writes it
	Reason OverageReason
	// Source is the name that the source has in the token ("src1"), if it has one.
	Source string
	// Endpoint is the URL that the token names for the claim, if it does. It was signed
	// by the issuer and not checked otherwise: send no credentials to a host that the
	// configuration does not name.
	Endpoint string
}

// Error names the claim, and the host of the endpoint, but no value of a claim besides.
func (e *OverageError) Error() string {
	text := "claims: " + e.Claim + " is " + string(e.Reason)
	if host := e.host(); host != "" {
		text += " at " + host
	}
	return text
}

// host is the host of the endpoint, if it looks like one.
func (e *OverageError) host() string {
	u, err := url.Parse(e.Endpoint)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || len(u.Hostname()) > 253 {
		return ""
	}
	// Before Go 1.26 anything may stand in brackets, which Hostname takes away.
	if strings.HasPrefix(u.Host, "[") || strings.Trim(strings.ToLower(u.Hostname()), "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" {
		return ""
	}
	return u.Hostname()
}

// Is reports whether target is [oidckit.ErrForbidden].
func (e *OverageError) Is(target error) bool { return target == oidckit.ErrForbidden }

// A GroupResolver finds out what a token leaves out: for Entra ID, by asking Microsoft
// Graph with a token of the program's own.
type GroupResolver interface {
	// ResolveGroups returns all that belongs to the claim that overage names, for the
	// person of set, the token or answer in which it is missing. None at all is an
	// empty list. An error fails the login: one that answers errors.Is for
	// [oidckit.ErrUnavailable] if the source did not answer.
	ResolveGroups(ctx context.Context, set Set, overage *OverageError) ([]string, error)
}

// overage reports whether the list at p is somewhere else than in the token. first is
// the value of the first name of p, if there is one. A token that has the list and says
// besides that it is elsewhere is not believed to have it whole.
func (s *Set) overage(p Path, first string) error {
	claim := p.segments[0]
	names, _ := s.object.Get("_claim_names")
	if source, ok := member(names, claim); ok && strictjson.Kind(source) != 'n' {
		return s.elsewhere(p, source)
	}
	// In Microsoft's reference of claims the value itself is the name of the source.
	if name, ok := strictjson.String(first); ok {
		sources, _ := s.object.Get("_claim_sources")
		if _, ok := member(sources, name); ok {
			return s.elsewhere(p, first)
		}
	}
	if claim == "groups" && s.hasGroups() {
		return &OverageError{Claim: p.String(), Reason: OverageHasGroups}
	}
	if first == "" {
		return s.absent(p)
	}
	return nil
}

func (s *Set) elsewhere(p Path, source string) error {
	e := &OverageError{Claim: p.String(), Reason: OverageElsewhere}
	e.Source, _ = strictjson.String(source)
	sources, _ := s.object.Get("_claim_sources")
	described, _ := member(sources, e.Source)
	endpoint, _ := member(described, "endpoint")
	e.Endpoint, _ = strictjson.String(endpoint)
	return e
}

// hasGroups takes whatever does not say no for a yes.
func (s *Set) hasGroups() bool {
	value, ok := s.object.Get("hasgroups")
	text, _ := strictjson.String(value)
	return ok && value != "false" && value != "null" && text != "false"
}

// absent looks for other signs of a list that is not there: members such as
// "groups:src1", whose value is the link to the groups, and a "_claim_names" that
// cannot be read.
func (s *Set) absent(p Path) error {
	if names, ok := s.object.Get("_claim_names"); ok && strictjson.Kind(names) != '{' && strictjson.Kind(names) != 'n' {
		return wrongType(P("_claim_names"), names, "an object")
	}
	for name, value := range s.object.All() {
		rest, ok := strings.CutPrefix(name, p.segments[0])
		if source, link := strings.CutPrefix(rest, ":"); ok && link && strings.HasPrefix(source, "src") {
			endpoint, _ := strictjson.String(value)
			return &OverageError{Claim: p.String(), Reason: OverageElsewhere, Source: source, Endpoint: endpoint}
		}
	}
	return nil
}
