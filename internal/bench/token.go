package bench

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Claims are those of a token.
type Claims map[string]any

// Subject is who every token is about.
const Subject = "9f2f9c1e-2f0b-4b5e-8a8e-5b3a2f1d6c70"

// lifetime outlasts the longest run: what is measured is not expiry.
const lifetime = 6 * time.Hour

// Small returns the claims that RFC 9068 requires of an access token, and a scope;
// id becomes the "jti".
func Small(issuer string, id int) Claims {
	now := time.Now()
	return Claims{
		"iss": issuer, "sub": Subject, "aud": []string{Audience}, "client_id": "reports-web",
		"exp": now.Add(lifetime).Unix(), "nbf": now.Add(-time.Minute).Unix(), "iat": now.Add(-time.Minute).Unix(),
		"jti": "1d0b7a4e-5f1c-4c9b-9d57-" + fmt.Sprintf("%012d", id), "scope": "openid profile reports:read",
	}
}

// Large returns claims as a provider makes them that puts roles and groups into
// its tokens: 1.2 KB.
func Large(issuer string, id int) Claims {
	c := Small(issuer, id)
	maps.Copy(c, Claims{
		"auth_time": time.Now().Add(-time.Hour).Unix(), "acr": "urn:mace:incommon:iap:silver",
		"sid": "7a0c1a56-3c8b-4f0e-9b57-6f7f0d0b9b11", "session_state": "7a0c1a56-3c8b-4f0e-9b57-6f7f0d0b9b11",
		"scope": "openid profile email offline_access reports:read reports:write",
		"name":  "Ana María Núñez", "given_name": "Ana María", "family_name": "Núñez",
		"preferred_username": "ana.nunez", "email": "ana.nunez@example.com", "email_verified": true, "locale": "es-ES",
		"realm_access": map[string]any{"roles": []string{"default-roles-example", "offline_access", "uma_authorization", "auditor"}},
		"resource_access": map[string]any{
			"reports": map[string]any{"roles": []string{"reader", "writer", "approver"}},
			"account": map[string]any{"roles": []string{"manage-account", "manage-account-links", "view-profile"}},
		},
		"groups":       []string{"/staff", "/staff/finance", "/staff/finance/controlling", "/projects/aurora"},
		"organization": map[string]any{"example-iberia": map[string]any{"id": "c1f3a7d2-90f4-4d0b-8a55-4a8f0a8b7f10", "department": "Controlling", "cost_center": "4711-0815"}},
		"updated_at":   time.Now().Add(-24 * time.Hour).Unix(), "zoneinfo": "Europe/Madrid", "phone_number": "+34 555 0100",
	})
	return c
}

// Sizes are those of the tokens.
func Sizes() []string { return []string{"large", "small"} }

// SizedClaims returns Large or Small.
func SizedClaims(size, issuer string, id int) Claims {
	if size == "small" {
		return Small(issuer, id)
	}
	return Large(issuer, id)
}

// Sign returns an access token (RFC 9068) of the key.
func (k *Key) Sign(c Claims) (string, error) {
	return k.SignAs(k.Algorithm, k.ID, c)
}

// SignAs is Sign for a header of any algorithm and kid.
func (k *Key) SignAs(algorithm, kid string, c Claims) (string, error) {
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.SignatureAlgorithm(algorithm), Key: k.private},
		(&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", kid),
	)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// SignUnknown returns a token of a key that is in no set, with a new kid each time.
func (k *Key) SignUnknown(c Claims, n int) (string, error) {
	return k.SignAs(k.Algorithm, "unknown-"+strconv.Itoa(n), c)
}
