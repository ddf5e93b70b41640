package oidctest

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// proofLife is for how long a DPoP proof is good after its iat.
const proofLife = time.Minute

// nonces are those that DPoP proofs must have. The one before the current one
// still counts, so that a proof does not fail because it was under way.
type nonces struct {
	mu                sync.Mutex
	current, previous string
	since             time.Time
}

func (n *nonces) now(now time.Time, ttl time.Duration) (current, previous string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if age := now.Sub(n.since); n.current == "" || age >= ttl || age < 0 {
		n.previous = n.current
		if age >= 2*ttl {
			n.previous = ""
		}
		n.current, n.since = rand.Text(), now
	}
	return n.current, n.previous
}

// RotateDPoPNonce has the provider refuse the nonces it has given out
// (Config.RequireDPoPNonce). The next proof is answered with a new one.
func (p *Provider) RotateDPoPNonce() {
	p.nonces.mu.Lock()
	defer p.nonces.mu.Unlock()
	p.nonces.current, p.nonces.previous = "", ""
}

// offerNonce sends the current nonce with every answer, good or bad (RFC 9449,
// section 8.2).
func (p *Provider) offerNonce(w http.ResponseWriter) {
	if p.cfg.RequireDPoPNonce {
		current, _ := p.nonces.now(p.Now(), p.cfg.DPoPNonceTTL)
		w.Header().Set("DPoP-Nonce", current)
	}
}

func invalidProof(description string) *protocolError {
	return &protocolError{code: "invalid_dpop_proof", description: description}
}

// checkProof judges a DPoP proof (RFC 9449, section 4.3) and returns the
// thumbprint of its key. At a protected resource it must be for the access token.
func (p *Provider) checkProof(r *http.Request, accessToken string) (jkt string, perr *protocolError) {
	proofs := r.Header.Values("DPoP")
	if len(proofs) != 1 {
		return "", invalidProof("there is not exactly one DPoP header")
	}
	header, ok := protectedHeader(proofs[0])
	if !ok {
		return "", invalidProof("the DPoP proof is not a JWT")
	}
	key, problem := proofKey(header)
	if problem != "" {
		return "", invalidProof(problem)
	}
	claims, problem := proofClaims(proofs[0], key)
	if problem != "" {
		return "", invalidProof(problem)
	}
	if problem := p.proofFits(r, claims, accessToken); problem != "" {
		return "", invalidProof(problem)
	}
	if !p.freshNonce(claims.text("nonce")) {
		return "", &protocolError{code: "use_dpop_nonce", description: "the DPoP proof needs the nonce of the DPoP-Nonce header"}
	}
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", invalidProof("the DPoP key has no thumbprint")
	}
	jkt = encode(sum)
	// Only now: a proof that is refused for its nonce was not used.
	if !p.replays.first("proof "+jkt+" "+claims.text("jti"), p.Now().Add(proofLife), p.Now()) {
		return "", invalidProof("jti of the DPoP proof has been used before")
	}
	return jkt, nil
}

// proofKey reads the header of a proof: "alg" and "typ" must be those of one, and
// "jwk" a public key.
func proofKey(header members) (*jose.JSONWebKey, string) {
	if header.text("typ") != "dpop+jwt" {
		return nil, "typ of the DPoP proof is not dpop+jwt"
	}
	if _, ok := algorithms[header.text("alg")]; !ok {
		return nil, "alg of the DPoP proof is not a supported asymmetric algorithm"
	}
	raw, ok := header["jwk"]
	if !ok {
		return nil, "jwk of the DPoP proof is missing"
	}
	key, err := parsePublicKey(raw)
	if err != nil {
		return nil, "jwk of the DPoP proof is " + err.Error()
	}
	if !signsWith(&key, header.text("alg")) {
		return nil, "jwk of the DPoP proof does not fit its alg"
	}
	return &key, ""
}

func proofClaims(proof string, key *jose.JSONWebKey) (members, string) {
	jws, err := jose.ParseSignedCompact(proof, joseAlgorithms())
	if err != nil {
		return nil, "the DPoP proof is not a JWT"
	}
	payload, err := jws.Verify(key.Key)
	if err != nil {
		return nil, "the signature of the DPoP proof is wrong"
	}
	var claims members
	if json.Unmarshal(payload, &claims) != nil {
		return nil, "the DPoP proof is not a JWT"
	}
	return claims, ""
}

// proofFits checks that a proof was made for the request, and just now.
func (p *Provider) proofFits(r *http.Request, claims members, accessToken string) (problem string) {
	now := float64(p.Now().UnixNano()) / 1e9
	iat, there, ok := claims.number("iat")
	switch {
	case claims.text("jti") == "":
		return "jti of the DPoP proof is missing"
	case claims.text("htm") != r.Method:
		return "htm of the DPoP proof is another method"
	case !sameURL(claims.text("htu"), p.requestURL(r)):
		return "htu of the DPoP proof is another URL"
	case !there, !ok:
		return "iat of the DPoP proof is missing or malformed"
	case iat > now:
		return "iat of the DPoP proof is in the future"
	case iat < now-proofLife.Seconds():
		return "iat of the DPoP proof is too old"
	case accessToken != "" && claims.text("ath") != hashOf(accessToken):
		return "ath of the DPoP proof is not of the access token"
	}
	return ""
}

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return encode(sum[:])
}

// sameURL compares after the normalization by scheme of RFC 3986, section 6.2.3.
// A query or fragment, which "htu" must not have (RFC 9449, section 4.2), fits nothing.
func sameURL(htu, want string) bool {
	if strings.ContainsAny(htu, "?#") {
		return false
	}
	got, ok := normalURL(htu)
	expected, _ := normalURL(want)
	return ok && got == expected
}

func normalURL(s string) (string, bool) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil {
		return "", false
	}
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	switch scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	return scheme + "://" + host + path, true
}

func (p *Provider) freshNonce(nonce string) bool {
	if !p.cfg.RequireDPoPNonce {
		return true
	}
	current, previous := p.nonces.now(p.Now(), p.cfg.DPoPNonceTTL)
	return nonce != "" && (nonce == current || nonce == previous)
}
