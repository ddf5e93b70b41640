package oidc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/internal/jwe"
	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/internal/strictjson"
	"github.com/oidckit/oidckit/jwks"
)

const mediaJWT = "application/jwt"

// setUserInfo sets how answers of the userinfo endpoint are verified that are signed. They
// may be encrypted if ID tokens are, and need not be: TLS keeps them secret too.
func (c *Client) setUserInfo(keys func(algorithms []string, field string) (jwks.Source, error)) (err error) {
	if c.cfg.UserInfoByForm && c.cfg.DPoP != nil {
		return errors.New("oidc: ClientConfig.UserInfoByForm does not go with DPoP, whose tokens stand in a header (RFC 9449 section 7.1)")
	}
	algorithms, field := c.cfg.UserInfoAlgorithms, "UserInfoAlgorithms"
	if len(algorithms) == 0 {
		algorithms, field = c.idTokens.algorithms, "IDTokenAlgorithms"
	}
	c.userInfo, err = newTrust("ClientConfig", trust{
		provider: c.provider, algorithms: algorithms, leeway: c.cfg.Leeway,
		decryption: c.cfg.DecryptionKeys, plain: len(c.cfg.DecryptionKeys) > 0,
	})
	if err == nil {
		c.userInfo.keys, err = keys(c.userInfo.algorithms, field)
	}
	return err
}

// userInfoTypes are the media types that UserInfo asks for.
func (c *Client) userInfoTypes() string {
	if len(c.cfg.UserInfoAlgorithms) > 0 {
		return mediaJWT
	}
	return "application/json, " + mediaJWT
}

// readUserInfo returns the answer, out of its signature if it has one.
func (c *Client) readUserInfo(ctx context.Context, resp *fetch.Response) (payload, error) {
	if resp.Is(mediaJWT) {
		return c.readUserInfoJWT(ctx, string(resp.Body))
	}
	members, err := object(resp, "userinfo", &struct{}{})
	if err != nil {
		return payload{}, err
	}
	if len(c.cfg.UserInfoAlgorithms) > 0 {
		return payload{}, &Error{Reason: ReasonAlgorithm, Err: errors.New("userinfo is not signed, though ClientConfig.UserInfoAlgorithms are set")}
	}
	return payload{members: members, set: claims.FromVerified(string(resp.Body), members)}, nil
}

// readUserInfoJWT: "The response MAY be encrypted without also being signed" (OpenID
// Connect Core section 5.3.2). It is then worth what plain JSON is, which came over the same
// connection.
func (c *Client) readUserInfoJWT(ctx context.Context, raw string) (payload, error) {
	if jwe.IsEncrypted(raw) && len(c.userInfo.decryption) > 0 && len(c.cfg.UserInfoAlgorithms) == 0 {
		content, err := jwks.DecryptContent(c.userInfo.decryption, raw)
		if err != nil {
			return payload{}, refused(err)
		}
		if bytes.HasPrefix(content, []byte("{")) {
			members, err := strictjson.Parse(content)
			if err != nil {
				return payload{}, &Error{Reason: ReasonMalformed, Err: err}
			}
			return payload{members: members, set: claims.FromVerified(string(content), members)}, nil
		}
	}
	return c.userInfo.verifyStatement(ctx, raw, c.cfg.ClientID)
}

// verifyStatement verifies a JWT that states claims, for one of the audiences: "If
// signed, the UserInfo Response MUST contain the Claims iss (issuer) and aud (audience)"
// (OpenID Connect Core section 5.3.2).
func (t *trust) verifyStatement(ctx context.Context, raw string, audiences ...string) (payload, error) {
	return t.verifyClaims(ctx, raw, func(p payload) error {
		if !p.has("aud") {
			return &Error{Reason: ReasonAudience, Claim: "aud", Err: errNoAudience}
		}
		return checkAudienceIfAny(p, audiences)
	})
}

// checkAudienceIfAny: a statement that says whom it is for is for no one else.
func checkAudienceIfAny(p payload, audiences []string) error {
	if !p.has("aud") {
		return nil
	}
	aud, err := audience(p)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(aud, func(a string) bool { return slices.Contains(audiences, a) }) {
		return &Error{Reason: ReasonAudience, Claim: "aud"}
	}
	return nil
}

// verifyClaims verifies a JWT of the issuer that is no token of another kind, and has
// "exp" or not; check looks at the rest before a key is looked for.
func (t *trust) verifyClaims(ctx context.Context, raw string, check func(payload) error) (payload, error) {
	parsed, err := t.open(raw)
	if err != nil {
		return payload{}, err
	}
	defer parsed.Release()
	p := payloadOf(parsed)
	if err := t.judgeClaims(parsed, p, t.provider.now()); err != nil {
		return payload{}, err
	}
	if err := check(p); err != nil {
		return payload{}, err
	}
	return p, t.checkSignature(ctx, parsed)
}

func (t *trust) judgeClaims(parsed *jwt.Token, p payload, now time.Time) error {
	if err := t.checkAlgorithm(parsed.Algorithm); err != nil {
		return err
	}
	if typ := mediaType(parsed.Type); typ != "" && typ != "jwt" {
		return &Error{Reason: ReasonType, Claim: "typ"}
	}
	if err := checkStatement(p); err != nil {
		return err
	}
	if _, err := t.provider.issuerOf(p); err != nil {
		return err
	}
	if p.has("exp") {
		return t.readTimes(&registered{}, p, now)
	}
	for _, name := range [...]string{"nbf", "iat"} {
		if _, err := notInFuture(p, name, now.Add(t.leeway)); err != nil {
			return err
		}
	}
	return nil
}

// otherKinds are claims of tokens that are no statements about a person: of a security
// event such as a logout token, of an ID token, and of a token that is bound to a key.
var otherKinds = []string{"events", "nonce", "at_hash", "c_hash", "cnf"}

// checkStatement refuses tokens of other kinds: whoever had one, by whatever way, could
// otherwise hand it out as what its issuer says of a person.
func checkStatement(p payload) error {
	for _, name := range otherKinds {
		if p.has(name) {
			return &Error{Reason: ReasonType, Claim: name}
		}
	}
	return checkKind(p)
}

// keysFor returns the keys for algorithms of a field: the provider's, or the client
// secret. A list never holds algorithms of both, so that no public key is taken for a
// secret.
func keysFor(p *Provider, secret string, algorithms []string, field string) (jwks.Source, error) {
	if err := jwks.CheckAlgorithms(algorithms); err != nil {
		return nil, fmt.Errorf("oidc: ClientConfig.%s: %w", field, err)
	}
	if !slices.Contains(jwt.Symmetric, algorithms[0]) {
		return p.keys, nil
	}
	keys, err := jwks.Symmetric([]byte(secret), algorithms...)
	if err != nil {
		return nil, fmt.Errorf("oidc: ClientConfig.ClientSecret: %w", err)
	}
	return keys, nil
}
