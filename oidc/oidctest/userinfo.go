package oidctest

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// serveUserInfo is the userinfo endpoint (OpenID Connect Core 1.0, section 5.3).
// It takes the access token in the Authorization header or in a form.
func (p *Provider) serveUserInfo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	p.offerNonce(w)
	token, problem := p.judge(r, p.url(UserInfo), true)
	if problem != nil {
		problem.answer(w)
		return
	}
	user, scheme := p.people[token.text("sub")], boundTo(token).tokenType()
	scopes := strings.Fields(token.text("scope"))
	switch {
	case user == nil:
		invalidToken(scheme, "the access token is of no user").answer(w)
		return
	case !slices.Contains(scopes, scopeOpenID):
		refused := resourceError{status: http.StatusForbidden, scheme: scheme, code: "insufficient_scope", scope: scopeOpenID}
		refused.answer(w)
		return
	}
	claims := userClaims(user, scopes)
	p.hooks.changeUserInfo(claims)
	c := p.client(token.text("client_id"))
	if c == nil || c.UserInfoAlgorithm == "" && c.UserInfoEncryptionAlgorithm == "" {
		p.answer(w, UserInfo, http.StatusOK, claims)
		return
	}
	p.hooks.changeAnswer(UserInfo, claims)
	answer, err := p.userInfoToken(r.Context(), c, claims)
	if err != nil {
		p.tokenError(w, r, unsignable(err))
		return
	}
	w.Header().Set("Content-Type", "application/jwt")
	_, _ = w.Write([]byte(answer)) // the other side may have gone
}

// userInfoToken is the answer as a JWT: signed, or encrypted, or signed and then
// encrypted (OpenID Connect Core 1.0, section 5.3.2).
func (p *Provider) userInfoToken(ctx context.Context, c *Client, claims map[string]any) (string, error) {
	if c.UserInfoAlgorithm == "" {
		plain, err := json.Marshal(claims)
		if err != nil {
			return "", err
		}
		return p.encrypt(ctx, c, c.UserInfoEncryptionAlgorithm, c.UserInfoEncryptionMethod, "", plain)
	}
	claims["iss"], claims["aud"] = p.cfg.Issuer, c.ID
	token, err := p.signedAnswer(UserInfo, c.UserInfoAlgorithm, "JWT", c, claims)
	if err != nil {
		return "", err
	}
	return p.sealed(ctx, c, c.UserInfoEncryptionAlgorithm, c.UserInfoEncryptionMethod, token)
}

// stringOrList reads an "aud" (RFC 7519, section 4.1.3).
func stringOrList(raw json.RawMessage) []string {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}
	}
	var many []string
	if json.Unmarshal(raw, &many) != nil {
		return nil
	}
	return many
}

// verify checks that a compact JWS was signed with a published key of ours.
func (p *Provider) verify(token string) (typ string, payload []byte, ok bool) {
	jws, err := jose.ParseSignedCompact(token, joseAlgorithms())
	if err != nil {
		return "", nil, false
	}
	payload, ok = p.keys.verifies(jws)
	typ, _ = jws.Signatures[0].Protected.ExtraHeaders[jose.HeaderType].(string)
	return typ, payload, ok
}

func joseAlgorithms() []jose.SignatureAlgorithm {
	algs := make([]jose.SignatureAlgorithm, 0, len(algorithms))
	for alg := range algorithms {
		algs = append(algs, jose.SignatureAlgorithm(alg))
	}
	return algs
}
