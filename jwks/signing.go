package jwks

import (
	"cmp"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/internal/jwt"
)

// SigningKeyConfig describes a private key of our own.
type SigningKeyConfig struct {
	// Signer signs; required. Only its methods Public and Sign are called, so that the
	// key can be in a KMS or an HSM. It must be safe for concurrent use. The key is RSA
	// of 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521, or Ed25519.
	Signer crypto.Signer `json:"-"`
	// Algorithm is the only one that the key signs with (RFC 7518 section 3.1). Empty means
	// RS256 for RSA, the one of its curve for ECDSA, and EdDSA for Ed25519.
	Algorithm string
	// KeyID is the "kid" that is sent and published. Empty means none: a provider that
	// was given the key without one finds it by its type. [Thumbprint] makes one that
	// can be computed by everybody.
	KeyID string
	// Certificates of the key, leaf first; may be empty. They are published as "x5c",
	// which self_signed_tls_client_auth needs (RFC 8705 section 2.2.2).
	Certificates []*x509.Certificate
	// Thumbprint sends "x5t#S256", the SHA-256 thumbprint of the first of Certificates
	// (RFC 7515 section 4.1.8), by which Microsoft Entra ID finds the key.
	Thumbprint bool
}

// Format prints all but the key with every verb.
func (cfg SigningKeyConfig) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "jwks.SigningKeyConfig(%q, %s)", cfg.KeyID, cfg.Algorithm)
}

// LogValue implements [slog.LogValuer], like Format.
func (cfg SigningKeyConfig) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(cfg)) }

// A SigningKey signs JWTs with one private key and one algorithm, and knows what is
// published of it. It prints without its key, never changes, and is safe for
// concurrent use. A key is for one purpose: the one that authenticates a client signs
// nothing else (RFC 8725 section 3.8).
type SigningKey struct {
	signer func() *jwt.Signer // no printing reaches what a function holds
	config func() SigningKeyConfig
	header string // of each JWT, up to where "typ" stands
	key    Key    // the public one
	jwk    PublicJWK
	public crypto.PublicKey
}

// NewSigningKey returns a key that signs. It calls cfg.Signer.Public once and signs
// nothing. A key that is weak or of an unknown type, or that the algorithm does not
// fit, is a *KeyError; that the certificates are of another key is an error that
// names the field.
func NewSigningKey(cfg SigningKeyConfig) (*SigningKey, error) {
	if cfg.Signer == nil {
		return nil, errors.New("jwks: SigningKeyConfig.Signer is required")
	}
	signer, public, err := newSigner(cfg)
	if err != nil {
		return nil, err
	}
	if err := cfg.check(public); err != nil {
		return nil, err
	}
	alg := interned(signer.Algorithm())
	key, err := NewKey(public, cfg.KeyID, alg)
	if err != nil {
		return nil, err
	}
	cfg.Certificates = slices.Clone(cfg.Certificates)
	return &SigningKey{
		signer: func() *jwt.Signer { return signer },
		config: func() SigningKeyConfig { return cfg },
		header: cfg.header(alg),
		key:    key,
		jwk:    newPublicJWK(public, "sig", alg, cfg.KeyID, cfg.Certificates),
		public: public,
	}, nil
}

func newSigner(cfg SigningKeyConfig) (*jwt.Signer, crypto.PublicKey, error) {
	fixed := fixedKey{cfg.Signer, cfg.Signer.Public()}
	if err := checkPublic(fixed.public); err != nil {
		return nil, nil, err
	}
	alg := cfg.Algorithm
	if alg == "" {
		alg = defaultAlgorithm(fixed.public)
	}
	signer, err := jwt.NewSigner(alg, fixed)
	if err != nil {
		return nil, nil, &KeyError{KeyUnsupported, fmt.Sprintf("SigningKeyConfig.Algorithm: %s does not fit the key, use one of %v", quoted(alg), fitting(fixed.public))}
	}
	return signer, fixed.public, nil
}

// A fixedKey asks its signer for the public key once: it may be on another machine.
type fixedKey struct {
	crypto.Signer
	public crypto.PublicKey
}

func (k fixedKey) Public() crypto.PublicKey { return k.public }

// defaultAlgorithm returns the first that fits, in the order of RFC 7518 section 3.1.
func defaultAlgorithm(public crypto.PublicKey) string {
	if list := fitting(public); len(list) > 0 {
		return list[0]
	}
	return ""
}

func fitting(public crypto.PublicKey) (list []string) {
	for _, alg := range jwt.Asymmetric {
		if jwt.Fits(alg, public) {
			list = append(list, alg)
		}
	}
	return list
}

func quoted(s string) string { return fmt.Sprintf("%.40q", s) }

func (cfg SigningKeyConfig) check(public crypto.PublicKey) error {
	switch {
	case !isHeaderText(cfg.KeyID):
		return errors.New("jwks: SigningKeyConfig.KeyID: use up to 256 printable characters")
	case cfg.Thumbprint && len(cfg.Certificates) == 0:
		return errors.New("jwks: SigningKeyConfig.Thumbprint needs Certificates")
	case len(cfg.Certificates) > 0 && !isOfKey(cfg.Certificates[0], public):
		return errors.New("jwks: SigningKeyConfig.Certificates: the first one must be of the key")
	}
	return nil
}

// isHeaderText is what readers take for a "kid", ours among them.
func isHeaderText(s string) bool {
	control := func(r rune) bool { return r < 0x20 || r == 0x7f }
	return len(s) <= 256 && utf8.ValidString(s) && !strings.ContainsFunc(s, control)
}

func isOfKey(c *x509.Certificate, public crypto.PublicKey) bool {
	k, ok := public.(interface{ Equal(crypto.PublicKey) bool })
	return ok && c != nil && k.Equal(c.PublicKey)
}

// header writes what all headers of a key have in common.
func (cfg SigningKeyConfig) header(alg string) string {
	header := `{"alg":"` + alg + `"`
	if cfg.KeyID != "" {
		kid, _ := json.Marshal(cfg.KeyID) // a string
		header += `,"kid":` + string(kid)
	}
	if cfg.Thumbprint {
		header += `,"x5t#S256":"` + thumbprintOf(cfg.Certificates[0]) + `"`
	}
	return header
}

func thumbprintOf(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// SignJWT returns the compact JWS of a payload, the text of a JSON object, which is
// signed as it is. The header has "alg", "kid" and "x5t#S256" as the key was made,
// and typ (RFC 7515 section 4.1.9) unless it is empty. If the key cannot sign, the
// error answers errors.Is for [oidckit.ErrUnavailable]. A ctx that is done is the
// error; what the key's Sign has begun is waited for.
func (k *SigningKey) SignJWT(ctx context.Context, typ string, payload []byte) (compact string, err error) {
	if k == nil || k.signer == nil {
		return "", errNoSigningKey
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if !isMediaType(typ) {
		return "", errors.New("jwks: the typ is no media type")
	}
	header := make([]byte, 0, len(k.header)+len(typ)+len(`,"typ":""}`))
	header = append(header, k.header...)
	if typ != "" {
		header = append(header, `,"typ":"`...)
		header = append(header, typ...)
		header = append(header, '"')
	}
	compact, err = k.signer().Sign(append(header, '}'), payload)
	if err != nil {
		return "", &oidckit.UnavailableError{What: "signature of our key", Err: err}
	}
	return compact, nil
}

var errNoSigningKey = errors.New("jwks: the signing key was not made by its constructor")

// isMediaType keeps to the characters of RFC 6838 section 4.2: none of them needs an
// escape in JSON.
func isMediaType(typ string) bool {
	for i := range len(typ) {
		c := typ[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("/+-.!#$&^_", c) >= 0:
		default:
			return false
		}
	}
	return len(typ) <= 256
}

// With returns the key with an algorithm and a "kid" where it was made without them; what
// is empty stays as it is. It is an error if the key was made for another algorithm or
// has another "kid", for a key is for one algorithm (RFC 8725 section 3.8), or if the
// algorithm does not fit.
func (k *SigningKey) With(algorithm, kid string) (*SigningKey, error) {
	cfg := k.config()
	switch {
	case algorithm != "" && cfg.Algorithm != "" && !jwt.Same(algorithm, cfg.Algorithm):
		return nil, &KeyError{KeyUnsupported, "the key is for the algorithm " + quoted(cfg.Algorithm) + " alone"}
	case kid != "" && cfg.KeyID != "" && kid != cfg.KeyID:
		return nil, fmt.Errorf("jwks: the key has the KeyID %s already", quoted(cfg.KeyID))
	}
	cfg.Algorithm, cfg.KeyID = cmp.Or(algorithm, cfg.Algorithm), cmp.Or(kid, cfg.KeyID)
	return NewSigningKey(cfg)
}

// Algorithm returns the "alg" that the key signs with.
func (k *SigningKey) Algorithm() string { return k.key.algorithm }

// ID returns the "kid", or nothing.
func (k *SigningKey) ID() string { return k.key.id }

// Public returns the public key: an *rsa.PublicKey, *ecdsa.PublicKey or
// ed25519.PublicKey. It must not be changed.
func (k *SigningKey) Public() crypto.PublicKey { return k.public }

// Key returns what verifies the signatures, for a [Static].
func (k *SigningKey) Key() Key { return k.key }

// JWK returns what is published of the key.
func (k *SigningKey) JWK() PublicJWK { return k.jwk }

// PublicJWKs implements [Publisher].
func (k *SigningKey) PublicJWKs(context.Context) ([]PublicJWK, error) {
	if k == nil || k.signer == nil {
		return nil, errNoSigningKey
	}
	return []PublicJWK{k.jwk}, nil
}

// Certificates returns the certificates of the key, leaf first, or none.
func (k *SigningKey) Certificates() []*x509.Certificate {
	return slices.Clone(k.config().Certificates)
}

// Format prints kid and algorithm with every verb.
func (k *SigningKey) Format(f fmt.State, _ rune) {
	if k == nil {
		_, _ = f.Write([]byte("jwks.SigningKey(nil)"))
		return
	}
	_, _ = fmt.Fprintf(f, "jwks.SigningKey(%q, %s)", k.key.id, k.key.algorithm)
}

// LogValue implements [slog.LogValuer], like Format.
func (k *SigningKey) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(k)) }

// MarshalText implements [encoding.TextMarshaler], like Format: a key is no text.
func (k *SigningKey) MarshalText() ([]byte, error) { return []byte(fmt.Sprint(k)), nil }
