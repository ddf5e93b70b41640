package oidc

import (
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oidckit/oidckit/internal/jwt"
)

// DPoPConfig says what a [DPoP] proves possession of.
type DPoPConfig struct {
	// Signer is the private key, wherever it is: only Public and Sign are called. Required:
	// ECDSA on P-256, P-384 or P-521, Ed25519, or RSA of 2048 to 8192 bits. Make it for this
	// purpose alone, and keep it as long as the refresh tokens of a public client, which
	// are bound to it.
	Signer crypto.Signer
	// Algorithm signs the proofs. Empty means ES256, ES384 or ES512 by the curve, EdDSA, or
	// PS256. RS256, which FAPI 2.0 does not allow, has to be named.
	Algorithm string
	// Now tells the time; nil means the clock of the provider that the client belongs to.
	Now func() time.Time
}

// A DPoP makes proofs of possession of a key (RFC 9449), and remembers the last nonce of
// each server that asks for nonces, of 128 servers at most. It is safe for concurrent use
// if its Signer is. Clients may share it, though servers can then tell that they belong
// together.
type DPoP struct {
	// sign is a function so that no printing reaches the key.
	sign   func(header, payload []byte) (string, error)
	header []byte // the same for all proofs
	jkt    string
	now    func() time.Time // nil means the one of whoever makes the request
	nonces nonces
}

// NewDPoP returns what makes proofs with the key of cfg. Errors name the field.
func NewDPoP(cfg DPoPConfig) (*DPoP, error) {
	if cfg.Signer == nil {
		return nil, errors.New("oidc: DPoPConfig.Signer is required")
	}
	public := cfg.Signer.Public()
	algorithm := cmp.Or(cfg.Algorithm, proofAlgorithm(public))
	if algorithm == "" {
		return nil, errors.New("oidc: DPoPConfig.Signer: its key must be ECDSA on P-256, P-384 or P-521, Ed25519, or RSA of 2048 to 8192 bits")
	}
	// "MUST NOT be none or an identifier for a symmetric algorithm" (section 4.2).
	if !slices.Contains(jwt.Asymmetric, algorithm) || !jwt.Fits(algorithm, public) {
		return nil, fmt.Errorf("oidc: DPoPConfig.Algorithm %q does not fit the key of Signer: leave it empty for the one that does", cfg.Algorithm)
	}
	signer, err := jwt.NewSigner(algorithm, cfg.Signer)
	if err != nil {
		return nil, fmt.Errorf("oidc: DPoPConfig.Signer: %w", err)
	}
	key, err := publicJWK(public)
	if err != nil {
		return nil, fmt.Errorf("oidc: DPoPConfig.Signer: %w", err)
	}
	d := &DPoP{sign: signer.Sign, jkt: digest(key), now: cfg.Now, nonces: newNonces()}
	d.header = []byte(`{"typ":"dpop+jwt","alg":"` + algorithm + `","jwk":` + key + `}`)
	return d, nil
}

// proofAlgorithm returns the default for a key, or "".
func proofAlgorithm(public crypto.PublicKey) string {
	for _, algorithm := range [...]string{"ES256", "ES384", "ES512", "EdDSA", "PS256"} {
		if jwt.Fits(algorithm, public) {
			return algorithm
		}
	}
	return ""
}

// Thumbprint returns the SHA-256 thumbprint of the public key (RFC 7638): "jkt" of the
// tokens that are bound to it (RFC 9449 section 6.1).
func (d DPoP) Thumbprint() string { return d.jkt }

// prove puts a fresh proof into a request (RFC 9449 section 4.2), with "ath" exactly if it
// carries an access token (section 7), and with the last nonce of the request's origin.
// now is the clock of whoever makes the request.
func (d *DPoP) prove(req *http.Request, accessToken string, now func() time.Time) error {
	if d.sign == nil {
		return errors.New("oidc: ClientConfig.DPoP was not made by NewDPoP")
	}
	target, err := proofTarget(req)
	if err != nil {
		return err
	}
	if d.now != nil {
		now = d.now
	}
	nonce := d.nonces.of(req.URL)
	p := make([]byte, 0, 192+len(target)+len(nonce))
	p = append(p, `{"jti":"`...)
	p = append(p, rand.Text()...) // 130 random bits: "at least 96 bits" (section 4.2)
	p = append(p, `","htm":"`...)
	p = append(p, cmp.Or(req.Method, http.MethodGet)...)
	p = append(p, `","htu":"`...)
	p = append(p, target...)
	p = append(p, `","iat":`...)
	p = strconv.AppendInt(p, now().Unix(), 10)
	if accessToken != "" {
		hash := sha256.Sum256([]byte(accessToken))
		p = append(p, `,"ath":"`...)
		p = base64.RawURLEncoding.AppendEncode(p, hash[:])
		p = append(p, '"')
	}
	if nonce != "" {
		p = append(p, `,"nonce":"`...)
		p = append(p, nonce...)
		p = append(p, '"')
	}
	proof, err := d.sign(d.header, append(p, '}'))
	if err != nil { // the key fits; what keeps it does not answer
		return unavailable("DPoP proof", err)
	}
	req.Header.Set("DPoP", proof)
	return nil
}

// proofTarget returns "htu": the URL as the server sees it, "without query and fragment
// parts", and normalized in what says the same (RFC 3986 sections 6.2.2.1 and 6.2.3). The
// path is the one that is sent, byte by byte: a server that normalizes it gets the
// same, and one that compares it as it is, too. All of it can stand in a JSON string.
func proofTarget(req *http.Request) (string, error) {
	u := *req.URL
	u.Host = cmp.Or(req.Host, u.Host)
	target := origin(&u) + cmp.Or(u.EscapedPath(), "/")
	plain := func(s string) bool {
		return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' || r == '\\' })
	}
	if u.Opaque != "" || u.Host == "" || u.Path != "" && u.Path[0] != '/' || !plain(target) || !plain(req.Method) {
		return "", errNoTarget
	}
	return target, nil
}

var errNoTarget = errors.New("oidc: DPoP: the request needs an absolute URL, of ASCII characters, and a method")

// Format prints the thumbprint of the key, with every verb.
func (d DPoP) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "oidc.DPoP(%s)", d.jkt) }

// MarshalText returns the thumbprint of the key.
func (d DPoP) MarshalText() ([]byte, error) { return []byte(d.jkt), nil }

// LogValue is the thumbprint of the key.
func (d DPoP) LogValue() slog.Value { return slog.StringValue(d.jkt) }
