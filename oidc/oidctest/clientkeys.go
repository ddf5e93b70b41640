package oidctest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // x5t is defined with it (RFC 7515, section 4.1.7); it only selects a key
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// remoteKeysTTL is for how long the keys at a client's jwks_uri are kept. Those
// that are unknown have them fetched at once.
const remoteKeysTTL = 5 * time.Minute

// remoteKeys are the keys that clients publish at their jwks_uri.
type remoteKeys struct {
	mu   sync.Mutex
	sets map[string]fetchedKeys // by jwks_uri
}

type fetchedKeys struct {
	keys []jose.JSONWebKey
	at   time.Time
}

// parseKeySet reads a JWK Set of public keys.
func parseKeySet(set []byte) ([]jose.JSONWebKey, error) {
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(set, &raw); err != nil {
		return nil, fmt.Errorf("not a JWK Set: %w", err)
	}
	keys := make([]jose.JSONWebKey, 0, len(raw.Keys))
	for i, member := range raw.Keys {
		key, err := parsePublicKey(member)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// privateMembers are those of RFC 7518, section 6, that nobody else may see.
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

func parsePublicKey(raw []byte) (jose.JSONWebKey, error) {
	var named members
	if err := json.Unmarshal(raw, &named); err != nil {
		return jose.JSONWebKey{}, errors.New("not a JSON object")
	}
	for _, name := range privateMembers {
		if _, ok := named[name]; ok {
			return jose.JSONWebKey{}, errors.New("not a public key")
		}
	}
	var key jose.JSONWebKey
	if err := key.UnmarshalJSON(raw); err != nil {
		return jose.JSONWebKey{}, err
	}
	if !key.Valid() || !key.IsPublic() {
		return jose.JSONWebKey{}, errors.New("not a valid public key")
	}
	return key, nil
}

// keysOf returns the public keys of a client. With fresh, those at its jwks_uri
// are fetched again.
func (p *Provider) keysOf(ctx context.Context, c *Client, fresh bool) ([]jose.JSONWebKey, error) {
	if c.JWKSURI == "" {
		if len(c.JWKS) == 0 {
			return nil, nil
		}
		return parseKeySet(c.JWKS)
	}
	p.remote.mu.Lock()
	known, ok := p.remote.sets[c.JWKSURI]
	p.remote.mu.Unlock()
	if ok && !fresh && p.Now().Sub(known.at) < remoteKeysTTL {
		return known.keys, nil
	}
	keys, err := p.fetchKeys(ctx, c.JWKSURI)
	if err != nil {
		return nil, err
	}
	p.remote.mu.Lock()
	defer p.remote.mu.Unlock()
	if p.remote.sets == nil {
		p.remote.sets = map[string]fetchedKeys{}
	}
	p.remote.sets[c.JWKSURI] = fetchedKeys{keys, p.Now()}
	return keys, nil
}

//nolint:gosec // G704: a client says where its keys are: that is what a jwks_uri is
func (p *Provider) fetchKeys(ctx context.Context, uri string) ([]jose.JSONWebKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return nil, err
	}
	resp, err := p.cfg.HTTPClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("oidctest: the jwks_uri answered %s", resp.Status)
	}
	return parseKeySet(body)
}

// Why a token's key was not found.
var (
	errKeyUnknown   = errors.New("no registered key fits")
	errKeyAmbiguous = errors.New("the kid is missing and more than one registered key fits")
)

// selectKey finds the key that a JWS header speaks of, by kid, by the thumbprint
// of a certificate, or because it is the only one that fits.
func selectKey(keys []jose.JSONWebKey, header members) (*jose.JSONWebKey, error) {
	var fitting []jose.JSONWebKey
	for _, key := range keys {
		if signsWith(&key, header.text("alg")) && meant(&key, header) {
			fitting = append(fitting, key)
		}
	}
	switch len(fitting) {
	case 0:
		return nil, errKeyUnknown
	case 1:
		return &fitting[0], nil
	}
	return nil, errKeyAmbiguous
}

// meant tells whether the header means the key by what it names.
func meant(key *jose.JSONWebKey, header members) bool {
	if kid := header.text("kid"); kid != "" && kid != key.KeyID {
		return false
	}
	if want := header.text("x5t#S256"); want != "" && want != encode(thumbprint(key)) {
		return false
	}
	want := header.text("x5t")
	return want == "" || want == encode(thumbprintSHA1(key))
}

// thumbprint is x5t#S256, of the certificate if it is there.
func thumbprint(key *jose.JSONWebKey) []byte {
	if len(key.Certificates) > 0 {
		sum := sha256.Sum256(key.Certificates[0].Raw)
		return sum[:]
	}
	return key.CertificateThumbprintSHA256
}

func thumbprintSHA1(key *jose.JSONWebKey) []byte {
	if len(key.Certificates) > 0 {
		sum := sha1.Sum(key.Certificates[0].Raw) //nolint:gosec // see the import
		return sum[:]
	}
	return key.CertificateThumbprintSHA1
}

// signsWith tells whether a key may sign with the algorithm.
func signsWith(key *jose.JSONWebKey, alg string) bool {
	if key.Use != "" && key.Use != "sig" || key.Algorithm != "" && key.Algorithm != alg {
		return false
	}
	return slices.Contains(algorithmsOf(key.Key), alg)
}

// algorithmsOf are those that a public key can have made a signature with.
func algorithmsOf(key crypto.PublicKey) []string {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	case *ecdsa.PublicKey:
		return []string{map[int]string{256: "ES256", 384: "ES384", 521: "ES512"}[key.Curve.Params().BitSize]}
	case ed25519.PublicKey:
		return []string{"EdDSA"}
	}
	return nil
}

// hasCertificate tells whether a key of the set is of the certificate (RFC 8705,
// section 2.2.2).
func hasCertificate(keys []jose.JSONWebKey, cert *x509.Certificate) bool {
	sum := sha256.Sum256(cert.Raw)
	return slices.ContainsFunc(keys, func(key jose.JSONWebKey) bool {
		return bytes.Equal(thumbprint(&key), sum[:])
	})
}
