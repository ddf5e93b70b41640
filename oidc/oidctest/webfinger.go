package oidctest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// issuerRelation is the "rel" of an issuer (OpenID Connect Discovery 1.0, section 2).
const issuerRelation = "http://openid.net/specs/connect/1.0/issuer"

// serveWebFinger tells who the issuer of a user is (RFC 7033, section 4). It knows
// acct: URIs of its users, by Username at its own host or by Email, and URLs at
// its own host.
func (p *Provider) serveWebFinger(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	resource := query["resource"]
	if len(resource) != 1 || resource[0] == "" {
		// Section 4.2: "If the "resource" parameter is absent or malformed [...] the
		// WebFinger resource MUST indicate that the request is bad as per [...] 400".
		http.Error(w, "there is not exactly one resource", http.StatusBadRequest)
		return
	}
	if !p.knows(resource[0]) {
		http.Error(w, "the resource is not known", http.StatusNotFound)
		return
	}
	links := []any{}
	if rels := query["rel"]; len(rels) == 0 || slices.Contains(rels, issuerRelation) {
		links = append(links, map[string]any{"rel": issuerRelation, "href": p.cfg.Issuer})
	}
	answer := map[string]any{"subject": resource[0], "links": links}
	p.hooks.changeAnswer(WebFinger, answer)
	w.Header().Set("Access-Control-Allow-Origin", "*") // section 5
	writeJSON(w, http.StatusOK, "application/jrd+json", answer)
}

func (p *Provider) knows(resource string) bool {
	u, err := url.Parse(resource)
	if err != nil {
		return false
	}
	host := strings.TrimPrefix(strings.TrimPrefix(p.origin, "https://"), "http://")
	if u.Scheme != "acct" {
		return (u.Scheme == "https" || u.Scheme == "http") && u.Host == host
	}
	account := strings.TrimPrefix(resource, "acct:")
	if name, ok := strings.CutSuffix(account, "@"+host); ok && p.users[name] != nil {
		return true
	}
	for _, user := range p.cfg.Users {
		if user.Email != "" && user.Email == account {
			return true
		}
	}
	return false
}
