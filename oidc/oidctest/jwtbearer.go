package oidctest

// jwtBearer issues an access token for an assertion of a trusted issuer (RFC 7523,
// section 2.1).
func (p *Provider) jwtBearer(t *tokenRequest) (map[string]any, *protocolError) {
	if t.v.get("assertion") == "" {
		return nil, invalidRequest("assertion is missing")
	}
	claims, problem := p.trusted(t.v.get("assertion"), "the assertion", true)
	if problem != "" {
		return nil, &protocolError{code: "invalid_grant", description: problem}
	}
	subject := claims.text("sub")
	if subject == "" {
		return nil, &protocolError{code: "invalid_grant", description: "sub of the assertion is missing"}
	}
	return p.plainToken(t, access{
		clientID: t.client.ID, user: p.person(subject), subject: subject, authTime: p.Now(), binding: t.binding,
	})
}

// plainToken issues an access token alone, for the scope and resources asked for.
func (p *Provider) plainToken(t *tokenRequest, a access) (_ map[string]any, perr *protocolError) {
	if a.scopes, perr = t.client.allowedScopes(t.v.get("scope")); perr != nil {
		return nil, perr
	}
	if a.resources, perr = t.client.allowedResources(t.v); perr != nil {
		return nil, perr
	}
	token, err := p.accessToken(a)
	if err != nil {
		return nil, unsignable(err)
	}
	return p.bearer(token, a.scopes, a.binding), nil
}

// person finds a user by Subject or Username: issuers know one or the other.
func (p *Provider) person(name string) *User {
	if user := p.people[name]; user != nil {
		return user
	}
	return p.users[name]
}
