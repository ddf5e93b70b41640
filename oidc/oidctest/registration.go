package oidctest

import (
	"crypto/rand"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// registration is a client that registered itself (RFC 7591).
type registration struct {
	client   *Client
	token    string // the registration_access_token
	metadata map[string]any
	issued   time.Time
}

type registrations struct {
	mu   sync.Mutex
	byID map[string]*registration
}

// serveRegistration is the client registration endpoint (RFC 7591, section 3).
func (p *Provider) serveRegistration(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if want := p.cfg.InitialAccessToken; want != "" && !hasBearer(r, want) {
		invalidToken(schemeBearer, "the initial access token is missing or wrong").answer(w)
		return
	}
	metadata, perr := readMetadata(r)
	if perr != nil {
		p.tokenError(w, r, perr)
		return
	}
	client, perr := p.clientOf(metadata, rand.Text(), strings.Repeat(rand.Text(), 3))
	if perr != nil {
		p.tokenError(w, r, perr)
		return
	}
	entry := &registration{client: client, token: rand.Text(), metadata: metadata.values(), issued: p.Now()}
	p.keep(entry)
	p.answer(w, Registration, http.StatusCreated, p.registered(entry))
}

// serveClient is the client configuration endpoint (RFC 7592, section 2).
func (p *Provider) serveClient(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	p.registrations.mu.Lock()
	entry := p.registrations.byID[r.URL.Query().Get("client_id")]
	p.registrations.mu.Unlock()
	// Section 2.1: a client that does not exist is 401 as well.
	if entry == nil || !hasBearer(r, entry.token) {
		invalidToken(schemeBearer, "the registration access token is missing or wrong").answer(w)
		return
	}
	switch r.Method {
	case http.MethodPut:
		p.updateClient(w, r, entry)
	case http.MethodDelete:
		p.deleteClient(entry.client)
		w.WriteHeader(http.StatusNoContent)
	default:
		p.answer(w, ClientConfiguration, http.StatusOK, p.registered(entry))
	}
}

// updateClient replaces the metadata (RFC 7592, section 2.2), and the registration
// access token too, as section 5 suggests.
func (p *Provider) updateClient(w http.ResponseWriter, r *http.Request, old *registration) {
	metadata, perr := readMetadata(r)
	if perr == nil {
		perr = checkUpdate(metadata, old.client)
	}
	var client *Client
	if perr == nil {
		client, perr = p.clientOf(metadata, old.client.ID, strings.Repeat(rand.Text(), 3))
	}
	if perr != nil {
		p.tokenError(w, r, perr)
		return
	}
	if client.Secret != "" && old.client.Secret != "" {
		client.Secret = old.client.Secret
	}
	entry := &registration{client: client, token: rand.Text(), metadata: metadata.values(), issued: old.issued}
	p.keep(entry)
	p.answer(w, ClientConfiguration, http.StatusOK, p.registered(entry))
}

// checkUpdate: RFC 7592, section 2.2: the request has the client_id, no member that
// only the provider sets, and no other secret.
func checkUpdate(metadata members, c *Client) *protocolError {
	if metadata.text("client_id") != c.ID {
		return invalidMetadata("client_id is missing or another client's")
	}
	for _, name := range []string{
		"registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at",
	} {
		if _, ok := metadata[name]; ok {
			return invalidMetadata(name + " cannot be updated")
		}
	}
	if _, ok := metadata["client_secret"]; ok && metadata.text("client_secret") != c.Secret {
		return invalidMetadata("client_secret is not the current one")
	}
	return nil
}

func (p *Provider) keep(entry *registration) {
	p.registrations.mu.Lock()
	defer p.registrations.mu.Unlock()
	if p.registrations.byID == nil {
		p.registrations.byID = map[string]*registration{}
	}
	p.registrations.byID[entry.client.ID] = entry
	p.clients.put(entry.client)
}

// deleteClient ends the client's tokens as well (RFC 7592, section 2.3).
func (p *Provider) deleteClient(c *Client) {
	p.registrations.mu.Lock()
	delete(p.registrations.byID, c.ID)
	p.registrations.mu.Unlock()
	p.clients.remove(c.ID)
	p.grants.revokeClient(c.ID)
}

func (s *grants) revokeClient(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range []map[string]*grant{s.codes, s.refresh, s.access} {
		for _, g := range m {
			if g.client.ID == id {
				g.revoked = true
			}
		}
	}
}

// hasBearer tells whether a request has the token in its Authorization header.
func hasBearer(r *http.Request, want string) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, schemeBearer) && sameSecret(want, token)
}

func invalidMetadata(description string) *protocolError {
	return &protocolError{code: "invalid_client_metadata", description: description}
}

func readMetadata(r *http.Request) (members, *protocolError) {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" {
		return nil, invalidMetadata("the request is not application/json")
	}
	var metadata members
	if err := json.NewDecoder(r.Body).Decode(&metadata); err != nil || metadata == nil {
		return nil, invalidMetadata("the request is not a JSON object")
	}
	if _, ok := metadata["software_statement"]; ok {
		return nil, &protocolError{code: "unapproved_software_statement", description: "software statements are not supported"}
	}
	return metadata, nil
}

// clientOf makes a client of its metadata (RFC 7591, section 2).
func (p *Provider) clientOf(metadata members, id, secret string) (*Client, *protocolError) {
	c := &Client{ID: id}
	if perr := c.read(metadata); perr != nil {
		return nil, perr
	}
	if c.AuthMethod == "" {
		c.AuthMethod = methodBasic
	}
	if c.GrantTypes == nil {
		c.GrantTypes = []string{grantCode}
	}
	if c.needsSecret() {
		c.Secret = secret
	}
	if perr := p.offers(c, metadata); perr != nil {
		return nil, perr
	}
	c.fill(p.cfg.Algorithm)
	if err := c.check("the metadata", map[string]bool{}); err != nil {
		return nil, invalidMetadata(err.Error())
	}
	return c, nil
}

func (c *Client) needsSecret() bool {
	for _, alg := range []string{c.IDTokenAlgorithm, c.UserInfoAlgorithm, c.IntrospectionAlgorithm} {
		if _, symmetric := hmacs[alg]; symmetric {
			return true
		}
	}
	return slices.Contains([]string{methodBasic, methodPost, methodSecretJWT}, c.AuthMethod)
}

// read fills in what the metadata say. Members that it does not know are kept and
// not looked at, as RFC 7591, section 2, allows.
func (c *Client) read(metadata members) *protocolError {
	var signing, scope string
	into := map[string]any{
		"redirect_uris":                              &c.RedirectURIs,
		"post_logout_redirect_uris":                  &c.PostLogoutRedirectURIs,
		"grant_types":                                &c.GrantTypes,
		"token_endpoint_auth_method":                 &c.AuthMethod,
		"token_endpoint_auth_signing_alg":            &signing,
		"scope":                                      &scope,
		"jwks":                                       (*json.RawMessage)(&c.JWKS),
		"jwks_uri":                                   &c.JWKSURI,
		"id_token_signed_response_alg":               &c.IDTokenAlgorithm,
		"id_token_encrypted_response_alg":            &c.IDTokenEncryptionAlgorithm,
		"id_token_encrypted_response_enc":            &c.IDTokenEncryptionMethod,
		"userinfo_signed_response_alg":               &c.UserInfoAlgorithm,
		"userinfo_encrypted_response_alg":            &c.UserInfoEncryptionAlgorithm,
		"userinfo_encrypted_response_enc":            &c.UserInfoEncryptionMethod,
		"introspection_signed_response_alg":          &c.IntrospectionAlgorithm,
		"introspection_encrypted_response_alg":       &c.IntrospectionEncryptionAlgorithm,
		"introspection_encrypted_response_enc":       &c.IntrospectionEncryptionMethod,
		"require_pushed_authorization_requests":      &c.RequirePushedAuthorizationRequests,
		"dpop_bound_access_tokens":                   &c.RequireDPoP,
		"tls_client_certificate_bound_access_tokens": &c.CertificateBoundTokens,
		"tls_client_auth_subject_dn":                 &c.TLSSubjectDN,
		"tls_client_auth_san_dns":                    &c.TLSSANDNS,
		"tls_client_auth_san_uri":                    &c.TLSSANURI,
		"tls_client_auth_san_ip":                     &c.TLSSANIP,
		"tls_client_auth_san_email":                  &c.TLSSANEmail,
		"backchannel_token_delivery_mode":            &c.BackchannelTokenDeliveryMode,
		"backchannel_client_notification_endpoint":   &c.BackchannelNotificationEndpoint,
	}
	for name, raw := range metadata {
		if field, ok := into[name]; ok && json.Unmarshal(raw, field) != nil {
			return invalidMetadata(name + " is malformed")
		}
	}
	if signing != "" {
		c.AssertionAlgorithms = []string{signing}
	}
	if scope != "" {
		c.Scopes = strings.Fields(scope)
	}
	return nil
}

// offers checks that the provider does what the client wants.
func (p *Provider) offers(c *Client, metadata members) *protocolError {
	var responseTypes []string
	if raw, ok := metadata["response_types"]; ok && json.Unmarshal(raw, &responseTypes) != nil {
		return invalidMetadata("response_types is malformed")
	}
	for _, uri := range c.RedirectURIs {
		if !absoluteURI(uri) {
			return &protocolError{code: "invalid_redirect_uri", description: "a redirect_uri is not an absolute URI without a fragment"}
		}
	}
	known := p.grantTypes()
	switch {
	case slices.Contains(c.GrantTypes, grantCode) && len(c.RedirectURIs) == 0:
		return &protocolError{code: "invalid_redirect_uri", description: "redirect_uris is missing"}
	case !subset(responseTypes, []string{"code"}):
		return invalidMetadata("a response_type is not supported")
	case slices.ContainsFunc(c.GrantTypes, func(g string) bool { return known[g] == nil }):
		return invalidMetadata("a grant_type is not supported")
	case !slices.Contains(p.authMethods(), c.AuthMethod):
		return invalidMetadata("the token_endpoint_auth_method is not supported")
	case c.IDTokenAlgorithm != "" && !slices.Contains(p.idTokenAlgorithms(), c.IDTokenAlgorithm):
		return invalidMetadata("the id_token_signed_response_alg is not supported")
	case !subset(c.AssertionAlgorithms, assertionAlgorithms()):
		return invalidMetadata("the token_endpoint_auth_signing_alg is not supported")
	case c.CertificateBoundTokens && !p.cfg.MutualTLS:
		return invalidMetadata("certificate-bound access tokens are not supported")
	}
	return nil
}

// registered is the client information response (RFC 7591, section 3.2.1; RFC 7592,
// section 3).
func (p *Provider) registered(entry *registration) map[string]any {
	c := entry.client
	answer := cloneClaims(entry.metadata)
	answer["client_id"] = c.ID
	answer["client_id_issued_at"] = entry.issued.Unix()
	answer["token_endpoint_auth_method"] = c.AuthMethod
	answer["grant_types"] = slices.Clone(c.GrantTypes)
	answer["response_types"] = []string{"code"}
	answer["id_token_signed_response_alg"] = c.IDTokenAlgorithm
	answer["registration_access_token"] = entry.token
	answer["registration_client_uri"] = p.url(ClientConfiguration) + "?" + url.Values{"client_id": {c.ID}}.Encode()
	delete(answer, "client_secret")
	if c.Secret != "" {
		answer["client_secret"] = c.Secret
		answer["client_secret_expires_at"] = 0 // never
	}
	return answer
}
