package oidctest

import (
	"encoding/json"
	"fmt"
	"maps"
)

// Sign returns a compact JWS of exactly these members. header["alg"] selects the
// provider's current key, which is made and published when an algorithm is first
// used, and is Config.Algorithm if the header has no such member; "none" gives an
// empty signature. A "kid" is added unless the header has one; one of an earlier
// key that is still published has that key sign. A header member with the value
// nil is left out. Sign changes neither map, and panics on an unknown algorithm
// (HS* is for [SignHMAC]) or on what JSON cannot express.
func (p *Provider) Sign(header, claims map[string]any) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(fmt.Sprintf("oidctest: Sign: %v", err))
	}
	return p.SignBytes(header, payload)
}

// SignBytes is [Provider.Sign] for a payload that is not a JSON object, or one
// that json.Marshal would not write, such as one with a member twice.
func (p *Provider) SignBytes(header map[string]any, payload []byte) string {
	header = maps.Clone(header)
	if header == nil {
		header = map[string]any{}
	}
	if _, ok := header["alg"]; !ok {
		header["alg"] = p.cfg.Algorithm
	}
	if _, ok := header["kid"]; !ok && header["alg"] != "none" {
		key, err := p.keys.signing(headerAlg(header, p.cfg.Algorithm))
		if err != nil {
			panic(err)
		}
		header["kid"] = key.id
	}
	token, err := p.sign(header, payload, p.cfg.Algorithm, "")
	if err != nil {
		panic(err)
	}
	return token
}

// SignHMAC returns a compact JWS of exactly these members, whose header["alg"] is
// HS256 (also without that member), HS384 or HS512. Any secret will do, a public
// key for instance. A header member with the value nil is left out. It panics on
// another algorithm or on what JSON cannot express.
func SignHMAC(header, claims map[string]any, secret []byte) string {
	header = maps.Clone(header)
	if header == nil {
		header = map[string]any{}
	}
	if _, ok := header["alg"]; !ok {
		header["alg"] = "HS256"
	}
	hash, ok := hmacs[headerAlg(header, "HS256")]
	if !ok {
		panic(fmt.Sprintf("oidctest: SignHMAC: the algorithm %v is not supported", header["alg"]))
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(fmt.Sprintf("oidctest: SignHMAC: %v", err))
	}
	token, err := compact(header, payload, func(input []byte) ([]byte, error) {
		return signHMAC(hash, secret, input), nil
	})
	if err != nil {
		panic(fmt.Sprintf("oidctest: SignHMAC: %v", err))
	}
	return token
}

// AccessToken returns an access token (RFC 9068) as the token endpoint would
// issue it to the first client, for the user and scopes, now. An empty audience
// is the provider's userinfo endpoint. It panics if there is no such user or no
// client, or if an OnAccessToken hook leaves what cannot be signed.
func (p *Provider) AccessToken(username, audience string, scopes ...string) string {
	user := p.users[username]
	if user == nil {
		panic(fmt.Sprintf("oidctest: AccessToken: no user %q", username))
	}
	if len(p.cfg.Clients) == 0 {
		panic("oidctest: AccessToken: no client")
	}
	var resources []string
	if audience != "" {
		resources = []string{audience}
	}
	token, err := p.accessToken(access{
		clientID:  p.cfg.Clients[0].ID,
		user:      user,
		authTime:  p.Now(),
		scopes:    scopes,
		resources: resources,
	})
	if err != nil {
		panic(err)
	}
	return token
}

// sign signs with the key that the header's "alg", or else the default, selects;
// an HS* one takes the secret. It adds nothing to the header.
func (p *Provider) sign(header map[string]any, payload []byte, defaultAlg, secret string) (string, error) {
	alg := headerAlg(header, defaultAlg)
	return compact(header, payload, func(input []byte) ([]byte, error) {
		if alg == "none" {
			return nil, nil
		}
		if hash, ok := hmacs[alg]; ok && secret != "" {
			return signHMAC(hash, []byte(secret), input), nil
		}
		key, err := p.keys.named(alg, header["kid"])
		if err != nil {
			return nil, err
		}
		a := algorithms[alg]
		return a.sign(key.private, a.hash, input)
	})
}

// headerAlg returns the header's "alg", and the default if it has none.
func headerAlg(header map[string]any, defaultAlg string) string {
	if v := header["alg"]; v != nil {
		return fmt.Sprint(v)
	}
	return defaultAlg
}
