package jwks

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A PublicJWK is the text of a JWK with a public key (RFC 7517 section 4). Only this
// package makes one, and only of public keys: there is none with a private member,
// and none of a secret. The zero PublicJWK is no key.
type PublicJWK struct{ text string }

func (j PublicJWK) isZero() bool { return j.text == "" }

// String returns the JSON object.
func (j PublicJWK) String() string { return j.text }

// MarshalJSON returns the JSON object.
func (j PublicJWK) MarshalJSON() ([]byte, error) {
	if j.text == "" {
		return []byte("null"), nil
	}
	return []byte(j.text), nil
}

// The members of a public JWK. It has no place for a private one.
type publicMembers struct {
	KeyType    string   `json:"kty"`
	Use        string   `json:"use"`
	Algorithm  string   `json:"alg,omitempty"`
	KeyID      string   `json:"kid,omitempty"`
	Curve      string   `json:"crv,omitempty"`
	X          string   `json:"x,omitempty"`
	Y          string   `json:"y,omitempty"`
	N          string   `json:"n,omitempty"`
	E          string   `json:"e,omitempty"`
	Chain      [][]byte `json:"x5c,omitempty"` // in base64, not base64url (RFC 7517 section 4.7)
	Thumbprint string   `json:"x5t#S256,omitempty"`
}

// newPublicJWK writes a key that was checked. It is nothing for any other.
func newPublicJWK(public crypto.PublicKey, use, alg, kid string, chain []*x509.Certificate) PublicJWK {
	m := publicMembers{Use: use, Algorithm: alg, KeyID: kid}
	if !m.setNumbers(public) {
		return PublicJWK{}
	}
	for _, c := range chain {
		m.Chain = append(m.Chain, c.Raw)
	}
	if len(chain) > 0 {
		m.Thumbprint = thumbprintOf(chain[0])
	}
	text, _ := json.Marshal(m) // strings and bytes
	return PublicJWK{string(text)}
}

func (m *publicMembers) setNumbers(public crypto.PublicKey) bool {
	b64 := base64.RawURLEncoding.EncodeToString
	switch k := public.(type) {
	case *rsa.PublicKey:
		m.KeyType, m.N, m.E = "RSA", b64(k.N.Bytes()), b64(big.NewInt(int64(k.E)).Bytes())
		return true
	case *ecdsa.PublicKey:
		return m.setPoint(k)
	case ed25519.PublicKey: // RFC 8037 section 2
		m.KeyType, m.Curve, m.X = "OKP", "Ed25519", b64(k)
		return true
	}
	return false
}

// setPoint: both coordinates are as long as the field (RFC 7518 section 6.2.1.2).
func (m *publicMembers) setPoint(k *ecdsa.PublicKey) bool {
	point, err := k.Bytes() // 4, x, y
	if err != nil {
		return false
	}
	half := 1 + len(point)/2
	m.KeyType, m.Curve = "EC", curveName(k.Curve)
	m.X, m.Y = base64.RawURLEncoding.EncodeToString(point[1:half]), base64.RawURLEncoding.EncodeToString(point[half:])
	return true
}

func curveName(curve elliptic.Curve) string { return curve.Params().Name }

// Thumbprint returns the SHA-256 thumbprint of a public key (RFC 7638), in base64url:
// a "kid" that everybody who has the key can compute. Errors are of type *KeyError.
func Thumbprint(public crypto.PublicKey) (string, error) {
	if err := checkPublic(public); err != nil {
		return "", err
	}
	sum, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	if err != nil {
		return "", errUnsupported
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// A Publisher has public keys that others are to know: [SigningKey], [SigningKeys],
// [DecryptionKey] and the key files of package keystore. It must be safe for
// concurrent use.
type Publisher interface {
	PublicJWKs(ctx context.Context) ([]PublicJWK, error)
}

// PublicJWKs implements [Publisher]: "use" is "enc", and "alg" is there if the key has
// only one. A shared secret has no public half, and nothing is published of it.
func (k DecryptionKey) PublicJWKs(context.Context) ([]PublicJWK, error) {
	bare := k.key()
	public, alg := bare.Public(), ""
	if len(bare.Algorithms) == 1 {
		alg = bare.Algorithms[0]
	}
	if public == nil {
		return nil, nil
	}
	return []PublicJWK{newPublicJWK(public, "enc", alg, bare.ID, nil)}, nil
}

// PublicSet returns the JWK Set (RFC 7517 section 5) of all keys of the publishers,
// in their order: to be served, or to be registered as "jwks".
func PublicSet(ctx context.Context, publishers ...Publisher) ([]byte, error) {
	set := struct {
		Keys []PublicJWK `json:"keys"`
	}{Keys: []PublicJWK{}}
	for _, p := range publishers {
		keys, err := p.PublicJWKs(ctx)
		if err != nil {
			return nil, err
		}
		set.Keys = append(set.Keys, slices.DeleteFunc(slices.Clone(keys), PublicJWK.isZero)...)
	}
	text, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("jwks: %w", err)
	}
	return text, nil
}

// PublishedFor is how long caches may keep what [Handler] serves.
const PublishedFor = 5 * time.Minute

// Handler serves the public keys of publishers as a JWK Set, at the URL that is
// registered as jwks_uri:
//
//	mux.Handle("/jwks.json", jwks.Handler(keys))
//
// It answers GET and HEAD, with an ETag, for [PublishedFor] of caching, and for
// scripts of every origin: the keys are public. Each request is answered with the
// keys of the moment. If a publisher fails, the answer is 503.
func Handler(publishers ...Publisher) http.Handler {
	return published(append([]Publisher(nil), publishers...))
}

type published []Publisher

func (p published) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	set, err := PublicSet(r.Context(), p...)
	if err != nil {
		h.Set("Cache-Control", "no-store")
		h.Set("Retry-After", "1")
		http.Error(w, "the keys cannot be published at the moment", http.StatusServiceUnavailable)
		return
	}
	sum := sha256.Sum256(set)
	h.Set("Content-Type", "application/jwk-set+json") // RFC 7517 section 8.5.2
	h.Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(PublishedFor.Seconds())))
	h.Set("ETag", `"`+base64.RawURLEncoding.EncodeToString(sum[:])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(set))
}
