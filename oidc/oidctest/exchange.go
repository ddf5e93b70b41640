package oidctest

import (
	"crypto/rand"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// The token types of RFC 8693, section 3.
const (
	typeAccessToken  = "urn:ietf:params:oauth:token-type:access_token"  //nolint:gosec // a name
	typeRefreshToken = "urn:ietf:params:oauth:token-type:refresh_token" //nolint:gosec // a name
	typeIDToken      = "urn:ietf:params:oauth:token-type:id_token"      //nolint:gosec // a name
	typeJWT          = "urn:ietf:params:oauth:token-type:jwt"
)

// party is the subject or the actor of a token exchange.
type party struct {
	subject  string
	user     *User // nil for one who is no user of ours
	scopes   []string
	authTime time.Time
	claims   members // nil for a refresh token
}

// exchange is the token exchange (RFC 8693, section 2): impersonation without an
// actor_token, delegation with one.
func (p *Provider) exchange(t *tokenRequest) (map[string]any, *protocolError) {
	subject, perr := p.party(t, "subject_token")
	if perr != nil {
		return nil, perr
	}
	act, perr := p.actor(t, subject)
	if perr != nil {
		return nil, perr
	}
	a := access{
		clientID: t.client.ID, user: subject.user, subject: subject.subject,
		authTime: subject.authTime, binding: t.binding, act: act,
	}
	if a.scopes, perr = t.exchangedScopes(subject); perr != nil {
		return nil, perr
	}
	if a.resources, perr = t.exchangedAudience(); perr != nil {
		return nil, perr
	}
	return p.exchanged(t, a)
}

// exchanged issues the requested_token_type.
func (p *Provider) exchanged(t *tokenRequest, a access) (map[string]any, *protocolError) {
	requested := t.v.get("requested_token_type")
	switch requested {
	case "":
		requested = typeAccessToken
	case typeAccessToken:
	case typeJWT:
		a.readable = true
	case typeIDToken:
		return p.exchangedIDToken(t, a)
	default:
		return nil, invalidRequest("the requested_token_type is not supported")
	}
	token, err := p.accessToken(a)
	if err != nil {
		return nil, unsignable(err)
	}
	response := p.bearer(token, a.scopes, a.binding)
	response["issued_token_type"] = requested
	return response, nil
}

func (p *Provider) exchangedIDToken(t *tokenRequest, a access) (map[string]any, *protocolError) {
	if a.user == nil {
		return nil, invalidRequest("there is no user to identify")
	}
	g := &grant{client: t.client, user: a.user, authTime: a.authTime, sid: rand.Text()}
	token, err := p.idToken(t.Context(), g, "", a.scopes, "")
	if err != nil {
		return nil, unsignable(err)
	}
	// Section 2.2.1: N_A "if the security token is not an access token".
	return map[string]any{
		"access_token": token, "issued_token_type": typeIDToken, "token_type": "N_A",
		"expires_in": int64(p.cfg.IDTokenTTL / time.Second),
	}, nil
}

// party reads the subject_token or actor_token. Section 2.2.2: one that is not
// valid is an invalid_request.
func (p *Provider) party(t *tokenRequest, name string) (*party, *protocolError) {
	token, kind := t.v.get(name), t.v.get(name+"_type")
	switch {
	case token == "":
		return nil, invalidRequest(name + " is missing")
	case kind == "":
		return nil, invalidRequest(name + "_type is missing")
	}
	switch kind {
	case typeAccessToken:
		if claims, ok := p.accessClaims(token); ok {
			return p.partyOf(claims), nil
		}
	case typeIDToken:
		if claims, ok := p.idTokenClaims(token); ok {
			return p.partyOf(claims), nil
		}
	case typeRefreshToken:
		if g, perr := p.grants.find(token, t.client, p.Now()); perr == nil {
			return &party{subject: g.user.Subject, user: g.user, scopes: g.scopes, authTime: g.authTime}, nil
		}
	case typeJWT:
		if claims, ok := p.accessClaims(token); ok {
			return p.partyOf(claims), nil
		}
		claims, problem := p.trusted(token, name, false)
		if problem == "" && claims.text("sub") != "" {
			return p.partyOf(claims), nil
		}
	default:
		return nil, invalidRequest(name + "_type is not supported")
	}
	return nil, invalidRequest(name + " is not valid")
}

func (p *Provider) partyOf(claims members) *party {
	subject := claims.text("sub")
	authTime := p.Now()
	if t, there, ok := claims.number("auth_time"); there && ok {
		authTime = time.Unix(int64(t), 0)
	}
	return &party{
		subject: subject, user: p.person(subject), scopes: strings.Fields(claims.text("scope")),
		authTime: authTime, claims: claims,
	}
}

// idTokenClaims returns the claims of an ID token of ours that has not expired.
func (p *Provider) idTokenClaims(token string) (claims members, ok bool) {
	typ, payload, ok := p.verify(token)
	if !ok || typ != "JWT" || json.Unmarshal(payload, &claims) != nil || claims.text("iss") != p.cfg.Issuer {
		return nil, false
	}
	exp, _, ok := claims.number("exp")
	return claims, ok && float64(p.Now().Unix()) < exp
}

// actor returns the "act" claim (section 4.1), in which the actor before this one
// is nested.
func (p *Provider) actor(t *tokenRequest, subject *party) (map[string]any, *protocolError) {
	if t.v.get("actor_token") == "" {
		if t.v.get("actor_token_type") != "" {
			// Section 2.1: it "MUST NOT be included when the actor_token parameter is
			// not included".
			return nil, invalidRequest("actor_token_type is there without actor_token")
		}
		return nil, nil
	}
	actor, perr := p.party(t, "actor_token")
	if perr != nil {
		return nil, perr
	}
	if raw, ok := subject.claims["may_act"]; ok {
		var may members
		if json.Unmarshal(raw, &may) != nil || may.text("sub") != actor.subject {
			return nil, invalidRequest("may_act of the subject_token names another actor")
		}
	}
	act := map[string]any{"sub": actor.subject}
	if raw, ok := subject.claims["act"]; ok {
		act["act"] = raw
	}
	return act, nil
}

// exchangedScopes never widens what the subject_token allowed.
func (t *tokenRequest) exchangedScopes(subject *party) ([]string, *protocolError) {
	asked, perr := t.client.allowedScopes(t.v.get("scope"))
	switch {
	case perr != nil:
		return nil, perr
	case asked == nil:
		return slices.DeleteFunc(slices.Clone(subject.scopes), func(s string) bool {
			return t.client.Scopes != nil && !slices.Contains(t.client.Scopes, s)
		}), nil
	case len(subject.scopes) > 0 && !subset(asked, subject.scopes):
		return nil, &protocolError{code: "invalid_scope", description: "the subject_token does not have the scope"}
	}
	return asked, nil
}

// exchangedAudience joins what section 2.1 lets a client ask for by URI and by name.
func (t *tokenRequest) exchangedAudience() ([]string, *protocolError) {
	targets, perr := t.client.allowedResources(t.v)
	if perr != nil {
		return nil, perr
	}
	for _, audience := range t.v["audience"] {
		if t.client.Audiences != nil && !slices.Contains(t.client.Audiences, audience) {
			return nil, invalidTarget("the client may not ask for this audience")
		}
		if audience != "" && !slices.Contains(targets, audience) {
			targets = append(targets, audience)
		}
	}
	return targets, nil
}
