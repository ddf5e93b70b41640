package oidc_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
	"github.com/stretchr/testify/require"
)

const (
	reports     = api + "/reports"
	boundToken  = marker + ".access.token"
	nonceSecret = clientauth.Secret(marker + "-key-of-nonces-that-is-long-enough")
)

// A prover makes proofs, good ones by the client's own DPoP, all others by hand.
type prover struct {
	t    testing.TB
	key  crypto.Signer
	jkt  string
	good *oidc.DPoP
	jti  int
	now  time.Time
}

func newProver(t testing.TB, key crypto.Signer) *prover {
	t.Helper()
	jkt, err := jwks.Thumbprint(key.Public())
	require.NoError(t, err)
	return &prover{t: t, key: key, jkt: jkt, good: newDPoP(t, key), now: start}
}

func (p *prover) request(proofs ...string) oidc.ProofRequest {
	return oidc.ProofRequest{Proofs: proofs, Method: http.MethodGet, URL: reports, AccessToken: boundToken, JWKThumbprint: p.jkt}
}

// proof is a good proof of the client's.
func (p *prover) proof() string {
	p.t.Helper()
	req := httptest.NewRequestWithContext(p.t.Context(), http.MethodGet, reports, nil)
	require.NoError(p.t, oidc.Prove(p.good, req, boundToken))
	return req.Header.Get("DPoP")
}

// publicJSON is the public key as a JWK.
func publicJSON(t testing.TB, key crypto.PublicKey) object {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKey{Key: key})
	require.NoError(t, err)
	var members object
	require.NoError(t, json.Unmarshal(text, &members))
	return members
}

// made is a proof that is good but for the changes.
func (p *prover) made(header, claims object) string {
	p.t.Helper()
	p.jti++
	hash := sha256.Sum256([]byte(boundToken))
	header = with(object{"typ": "dpop+jwt", "alg": "ES256", "jwk": publicJSON(p.t, p.key.Public())}, header)
	claims = with(object{
		"jti": fmt.Sprint("made-", p.jti), "htm": http.MethodGet, "htu": reports, "iat": p.now.Unix(),
		"ath": base64.RawURLEncoding.EncodeToString(hash[:]),
	}, claims)
	return p.sign(header, claims)
}

// sign signs anything, in the algorithm of the key and not of the header.
func (p *prover) sign(header, claims any) string {
	p.t.Helper()
	var alg jose.SignatureAlgorithm
	switch k := p.key.(type) {
	case *ecdsa.PrivateKey:
		alg = map[int]jose.SignatureAlgorithm{256: jose.ES256, 384: jose.ES384, 521: jose.ES512}[k.Params().BitSize]
	case *rsa.PrivateKey:
		alg = jose.RS256
	default:
		alg = jose.EdDSA
	}
	return signWith(p.t, alg, p.key, header, claims)
}

// signWith has go-jose sign, and puts a header of our own in place of its.
func signWith(t testing.TB, alg jose.SignatureAlgorithm, key any, header, claims any) string {
	t.Helper()
	head, err := json.Marshal(header)
	require.NoError(t, err)
	body, err := json.Marshal(claims)
	require.NoError(t, err)
	signing := &headerSwap{key: jose.JSONWebKey{Key: key}, alg: alg, header: base64.RawURLEncoding.EncodeToString(head)}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: signing}, nil)
	require.NoError(t, err)
	jws, err := signer.Sign(body)
	require.NoError(t, err)
	compact, err := jws.CompactSerialize()
	require.NoError(t, err)
	return signing.header + compact[strings.IndexByte(compact, '.'):]
}

// A headerSwap signs what go-jose would, with another header.
type headerSwap struct {
	key    jose.JSONWebKey
	alg    jose.SignatureAlgorithm
	header string
}

func (h *headerSwap) Public() *jose.JSONWebKey        { return &jose.JSONWebKey{} }
func (h *headerSwap) Algs() []jose.SignatureAlgorithm { return []jose.SignatureAlgorithm{h.alg} }
func (h *headerSwap) SignPayload(input []byte, alg jose.SignatureAlgorithm) ([]byte, error) {
	_, body, _ := bytes.Cut(input, []byte("."))
	signed := append([]byte(h.header+"."), body...)
	return rawSignature(h.key.Key, alg, signed)
}

// rawSignature is the signature of a JWS over any bytes.
func rawSignature(key any, alg jose.SignatureAlgorithm, signed []byte) ([]byte, error) {
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		hash := map[jose.SignatureAlgorithm]crypto.Hash{jose.ES256: crypto.SHA256, jose.ES384: crypto.SHA384, jose.ES512: crypto.SHA512}[alg]
		digest := hash.New()
		digest.Write(signed)
		r, s, err := ecdsa.Sign(rand.Reader, k, digest.Sum(nil))
		if err != nil {
			return nil, err
		}
		size := (k.Params().BitSize + 7) / 8
		return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...), nil
	case *rsa.PrivateKey:
		digest := sha256.Sum256(signed)
		if alg == jose.PS256 {
			return rsa.SignPSS(rand.Reader, k, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
		return rsa.SignPKCS1v15(nil, k, crypto.SHA256, digest[:])
	case crypto.Signer:
		return k.Sign(nil, signed, crypto.Hash(0))
	}
	return nil, errors.New("a key of another kind")
}

func newProofVerifier(t testing.TB, configure ...func(*oidc.ProofVerifierConfig)) *oidc.ProofVerifier {
	t.Helper()
	cfg := oidc.ProofVerifierConfig{Now: func() time.Time { return start }}
	for _, f := range configure {
		f(&cfg)
	}
	v, err := oidc.NewProofVerifier(cfg)
	require.NoError(t, err)
	return v
}

// check holds for every proof: there is a thumbprint exactly if there is no error, and no
// error tells anything.
func check(t testing.TB, v *oidc.ProofVerifier, r oidc.ProofRequest) error {
	t.Helper()
	jkt, err := v.Verify(t.Context(), r)
	if err == nil {
		require.Equal(t, r.JWKThumbprint, jkt)
		return nil
	}
	require.Empty(t, jkt)
	tellsNothing(t, err)
	for _, proof := range r.Proofs {
		require.False(t, len(proof) > 40 && strings.Contains(err.Error(), proof))
	}
	return err
}

func TestP08_ProofsOfTheClientAreGood(t *testing.T) {
	t.Parallel()
	v := newProofVerifier(t)
	for name, key := range map[string]crypto.Signer{
		"P-256": ecKey(t, elliptic.P256()), "P-384": ecKey(t, elliptic.P384()), "P-521": ecKey(t, elliptic.P521()),
		"Ed25519": edKey(t), "RSA": rsaKey(),
	} {
		p := newProver(t, key)
		require.Equal(t, p.good.Thumbprint(), p.jkt, name)
		require.NoError(t, check(t, v, p.request(p.proof())), name)
	}
}

func TestP08_AlgorithmsAndKeysOfProofs(t *testing.T) {
	t.Parallel()
	p := newProver(t, ecKey(t, elliptic.P256()))
	other := ecKey(t, elliptic.P256())
	jwk := publicJSON(t, p.key.Public())
	private, err := json.Marshal(jose.JSONWebKey{Key: p.key})
	require.NoError(t, err)
	for name, tt := range map[string]struct {
		header object
		reason oidc.Reason
		claim  string
	}{
		"no alg":                       {object{"alg": nil}, oidc.ReasonProof, ""},
		"alg renamed":                  {object{"alg": nil, "alg2": "ES256"}, oidc.ReasonProof, ""},
		"none":                         {object{"alg": "none"}, oidc.ReasonProof, "alg"},
		"HS256":                        {object{"alg": "HS256"}, oidc.ReasonProof, "alg"},
		"RS256 is off":                 {object{"alg": "RS256"}, oidc.ReasonProof, "alg"},
		"of another curve":             {object{"alg": "ES384"}, oidc.ReasonProof, ""},
		"in another case":              {object{"alg": "es256"}, oidc.ReasonProof, "alg"},
		"no jwk":                       {object{"jwk": nil}, oidc.ReasonProof, ""},
		"jwk null":                     {object{"jwk": null}, oidc.ReasonProof, ""},
		"jwk is a text":                {object{"jwk": "x"}, oidc.ReasonProof, ""},
		"jwk private":                  {object{"jwk": json.RawMessage(private)}, oidc.ReasonProof, "jwk"},
		"jwk with an empty d":          {object{"jwk": with(jwk, object{"d": ""})}, oidc.ReasonProof, "jwk"},
		"jwk symmetric":                {object{"jwk": object{"kty": "oct", "k": "c2VjcmV0"}}, oidc.ReasonProof, "jwk"},
		"jwk for encryption":           {object{"jwk": with(jwk, object{"use": "enc"})}, oidc.ReasonProof, "jwk"},
		"jwk of another alg":           {object{"jwk": with(jwk, object{"alg": "ES384"})}, oidc.ReasonProof, "jwk"},
		"jwk not on the curve":         {object{"jwk": with(jwk, object{"x": jwk["y"]})}, oidc.ReasonProof, "jwk"},
		"jwk of secp256k1":             {object{"jwk": with(jwk, object{"crv": "secp256k1"})}, oidc.ReasonProof, "jwk"},
		"jwk of another key":           {object{"jwk": publicJSON(t, other.Public())}, oidc.ReasonBinding, "cnf"},
		"RSA of 1024 bits":             {object{"jwk": object{"kty": "RSA", "e": "AQAB", "n": strings.Repeat("v", 171)}}, oidc.ReasonProof, "jwk"},
		"crit":                         {object{"crit": []string{"x"}, "x": 1}, oidc.ReasonProof, ""},
		"P11: no typ":                  {object{"typ": nil}, oidc.ReasonProof, "typ"},
		"P11: another typ":             {object{"typ": "dpop+jwt+wrongyousee"}, oidc.ReasonProof, "typ"},
		"P11: an ID token":             {object{"typ": "JWT"}, oidc.ReasonProof, "typ"},
		"P11: typ in capitals":         {object{"typ": "DPOP+JWT"}, oidc.ReasonProof, "typ"},
		"P11: an access token":         {object{"typ": "at+jwt"}, oidc.ReasonProof, "typ"},
		"P11: typ with application":    {object{"typ": "application/dpop+jwt"}, oidc.ReasonProof, "typ"},
		"jwk named in capitals, as is": {object{"jwk": nil, "JWK": jwk}, oidc.ReasonProof, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := *p
			p.t = t
			requireRefused(t, check(t, newProofVerifier(t), p.request(p.made(tt.header, nil))), tt.reason, tt.claim)
		})
	}
}

func TestP11_OnlyProofsAreProofs(t *testing.T) {
	t.Parallel()
	p := newProver(t, ecKey(t, elliptic.P256()))
	for _, typ := range []any{nil, null, "", "JWT", "at+jwt", "logout+jwt", "dpop+jwt ", "dpop"} {
		err := check(t, newProofVerifier(t), p.request(p.made(object{"typ": typ}, nil)))
		require.ErrorIs(t, err, oidckit.ErrInvalidToken, typ)
	}
}

// What stands beside is for others: it chooses no key, and is never fetched.
func TestP08_ExtraMembersAreAccepted(t *testing.T) {
	t.Parallel()
	p := newProver(t, ecKey(t, elliptic.P256()))
	v := newProofVerifier(t)
	jwk := publicJSON(t, p.key.Public())
	for name, proof := range map[string]string{
		"header":             p.made(object{"x": "y", "z": object{"a": []int{1}}}, nil),
		"kid, jku, x5c, x5u": p.made(object{"kid": "x", "jku": "https://evil.example/", "x5u": "https://evil.example", "x5c": []string{"x"}}, nil),
		"kid of the key":     p.made(object{"kid": "x", "jwk": with(jwk, object{"kid": "y", "use": "sig"})}, nil),
		"jwk":                p.made(object{"jwk": with(jwk, object{"alg": "ES256", "x": jwk["x"], "extra": 1})}, nil),
		"claims":             p.made(nil, object{"x": "y", "aud": "z", "sub": 1}),
		"nbf and exp":        p.made(nil, object{"nbf": start.Unix(), "exp": start.Unix() + 300}),
	} {
		require.NoError(t, check(t, v, p.request(proof)), name)
	}
	for name, claims := range map[string]object{
		"nbf": {"nbf": start.Unix() + 60}, "exp": {"exp": start.Unix() - 60},
	} {
		requireRefused(t, check(t, v, p.request(p.made(nil, claims))), oidc.ReasonProof, name)
	}
}

func TestP08_RS256HasToBeNamed(t *testing.T) {
	t.Parallel()
	p := newProver(t, rsaKey())
	proof := p.made(object{"alg": "RS256"}, nil)
	requireRefused(t, check(t, newProofVerifier(t), p.request(proof)), oidc.ReasonProof, "alg")
	named := newProofVerifier(t, func(c *oidc.ProofVerifierConfig) { c.Algorithms = []string{"RS256"} })
	require.NoError(t, check(t, named, p.request(proof)))
	requireRefused(t, check(t, named, p.request(p.made(object{"alg": "PS256"}, nil))), oidc.ReasonProof, "alg")
}

func TestP08_SignatureOfAProof(t *testing.T) {
	t.Parallel()
	p := newProver(t, ecKey(t, elliptic.P256()))
	v := newProofVerifier(t)
	thief := newProver(t, ecKey(t, elliptic.P256()))
	good := p.made(nil, nil)
	for name, proof := range map[string]string{
		"forged":         forgeSignature(good),
		"by another key": thief.made(object{"jwk": publicJSON(t, p.key.Public())}, nil),
		"changed":        swapBody(good, p.made(nil, object{"x": 1})),
	} {
		requireRefused(t, check(t, v, p.request(proof)), oidc.ReasonProof, "")
		_ = name
	}
	require.NoError(t, check(t, v, p.request(good)), "what was refused used nothing up")
}

// swapBody puts the payload of one token into another.
func swapBody(token, of string) string {
	a, b := strings.Split(token, "."), strings.Split(of, ".")
	return a[0] + "." + b[1] + "." + a[2]
}

func TestP12_ThumbprintHasOneSpelling(t *testing.T) {
	t.Parallel()
	// A key one of whose coordinates begins with a zero.
	var key *ecdsa.PrivateKey
	for key == nil {
		k := ecKey(t, elliptic.P256())
		point, err := k.PublicKey.Bytes()
		require.NoError(t, err)
		if point[1] == 0 {
			key = k
		}
	}
	p := newProver(t, key)
	v := newProofVerifier(t)
	require.NoError(t, check(t, v, p.request(p.made(nil, nil))))
	jwk := publicJSON(t, key.Public())
	x, err := base64.RawURLEncoding.DecodeString(jwk["x"].(string))
	require.NoError(t, err)
	for name, spelling := range map[string][]byte{"without the zero": x[1:], "with another": append([]byte{0}, x...)} {
		proof := p.made(object{"jwk": with(jwk, object{"x": base64.RawURLEncoding.EncodeToString(spelling)})}, nil)
		requireRefused(t, check(t, v, p.request(proof)), oidc.ReasonProof, "jwk")
		_ = name
	}
	padded := p.made(object{"jwk": with(jwk, object{"x": jwk["x"].(string) + "="})}, nil)
	requireRefused(t, check(t, v, p.request(padded)), oidc.ReasonProof, "jwk")
}

func TestP09_OneProofOfReasonableSize(t *testing.T) {
	t.Parallel()
	p := newProver(t, ecKey(t, elliptic.P256()))
	v := newProofVerifier(t)
	large := p.made(nil, object{"x": strings.Repeat("x", 8<<10)})
	fits := p.made(nil, object{"x": strings.Repeat("x", 5<<10)})
	for name, proofs := range map[string][]string{
		"none": nil, "empty": {""}, "two": {p.made(nil, nil), p.made(nil, nil)}, "in one": {p.made(nil, nil) + "," + p.made(nil, nil)},
		"the same twice": {fits, fits}, "large": {large}, "a megabyte": {strings.Repeat(".", 1<<20)}, "no JWT": {"x"}, "JSON": {`{"payload":""}`},
		"two parts": {"a.b"}, "five parts": {"a.b.c.d.e"}, "padding": {p.made(nil, nil) + "="}, "space": {" " + p.made(nil, nil)},
	} {
		requireRefused(t, check(t, v, p.request(proofs...)), oidc.ReasonProof, "")
		_ = name
	}
	require.NoError(t, check(t, v, p.request(fits)))
}

func TestP07_Method(t *testing.T) {
	t.Parallel()
	p := newProver(t, ecKey(t, elliptic.P256()))
	v := newProofVerifier(t)
	for _, htm := range []any{nil, null, "", "PUT", "get", "Get", "GET ", 1, []string{"GET"}} {
		requireRefused(t, check(t, v, p.request(p.made(nil, object{"htm": htm}))), oidc.ReasonProof, "htm")
	}
	r := p.request(p.made(nil, object{"htm": "PUT"}))
	r.Method = http.MethodPut
	require.NoError(t, check(t, v, r))
}

func TestP06_Target(t *testing.T) {
	t.Parallel()
	p := newProver(t, ecKey(t, elliptic.P256()))
	v := newProofVerifier(t)
	for name, tt := range map[string]struct {
		htu, url string
		good     bool
	}{
		"the same":                    {reports, reports, true},
		"query and fragment":          {reports + "?a=b#c", reports, true},
		"both with a query":           {reports + "?a=b", reports + "?c=d", true},
		"request with a query":        {reports, reports + "?c=d", true},
		"scheme and host in capitals": {"HTTPS://API.EXAMPLE/reports", reports, true},
		"default port":                {"https://api.example:443/reports", reports, true},
		"empty port":                  {"https://api.example:/reports", reports, true},
		"default port, configured":    {reports, "https://API.example:443/reports", true},
		"unreserved encoded":          {"https://api.example/%7Ealice/%72eports", "https://api.example/~alice/reports", true},
		"case of an escape":           {"https://api.example/a%2fb", "https://api.example/a%2Fb", true},
		"no path":                     {"https://api.example", "https://api.example/", true},
		"http":                        {"http://api.example:80/", "http://api.example", true},
		"IPv6":                        {"https://[2001:DB8::1]:443/", "https://[2001:db8::1]/", true},

		"missing":                  {"", reports, false},
		"another path":             {api + "/others", reports, false},
		"another host":             {"https://evil.example/reports", reports, false},
		"another scheme":           {"http://api.example/reports", reports, false},
		"another port":             {"https://api.example:8443/reports", reports, false},
		"port of the other scheme": {"https://api.example:80/reports", reports, false},
		"trailing slash":           {reports + "/", reports, false},
		"path in capitals":         {api + "/Reports", reports, false},
		"double slash":             {api + "//reports", reports, false},
		"dot segments":             {api + "/x/../reports", reports, false},
		"dots encoded":             {api + "/x/%2e%2e/reports", reports, false},
		"slash encoded":            {api + "/a%2Fb", api + "/a/b", false},
		"encoded twice":            {api + "/%2572eports", api + "/%72eports", false},
		"broken escape":            {api + "/%7", reports, false},
		"userinfo":                 {"https://alice@api.example/reports", reports, false},
		"host in userinfo":         {"https://api.example@evil.example/reports", reports, false},
		"host with a dot":          {"https://api.example./reports", reports, false},
		"look-alike":               {"https://api.ехample/reports", reports, false},
		"relative":                 {"/reports", reports, false},
		"without scheme":           {"//api.example/reports", reports, false},
		"opaque":                   {"https:api.example/reports", reports, false},
		"only colons":              {"https://::443/reports", reports, false},
		"no host":                  {"https:///reports", reports, false},
		"another kind":             {"urn:api.example:reports", reports, false},
		"space":                    {reports + " ", reports, false},
		"backslash":                {`https://api.example\@evil.example/reports`, reports, false},
		"control character":        {reports + "\n", reports, false},
		"long":                     {reports + "?" + strings.Repeat("x", 4<<10), reports, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProver(t, p.key)
			r := p.request(p.made(nil, object{"htu": tt.htu}))
			r.URL = tt.url
			err := check(t, newProofVerifier(t), r)
			if tt.good {
				require.NoError(t, err)
				return
			}
			requireRefused(t, err, oidc.ReasonProof, "htu")
		})
	}
	for _, htu := range []any{nil, null, 1, []string{reports}} {
		requireRefused(t, check(t, v, p.request(p.made(nil, object{"htu": htu}))), oidc.ReasonProof, "htu")
	}
}

func TestP10_HashOfTheToken(t *testing.T) {
	t.Parallel()
	p := newProver(t, ecKey(t, elliptic.P256()))
	v := newProofVerifier(t)
	hash := func(text string) []byte { sum := sha256.Sum256([]byte(text)); return sum[:] }
	for name, ath := range map[string]any{
		"missing": nil, "null": null, "empty": "", "of another": encode(hash("another")), "of nothing": encode(hash("")),
		"padded": base64.URLEncoding.EncodeToString(hash(boundToken)), "the left half": encode(hash(boundToken)[:16]),
		"hexadecimal": fmt.Sprintf("%x", hash(boundToken)), "the token": boundToken, "a number": 1,
	} {
		requireRefused(t, check(t, v, p.request(p.made(nil, object{"ath": ath}))), oidc.ReasonProof, "ath")
		_ = name
	}
	r := p.request(p.made(nil, nil))
	r.AccessToken += "x"
	requireRefused(t, check(t, v, r), oidc.ReasonProof, "ath")
}

func TestP04_TimeOfAProof(t *testing.T) {
	t.Parallel()
	p := newProver(t, ecKey(t, elliptic.P256()))
	v := newProofVerifier(t)
	long := newProofVerifier(t, func(c *oidc.ProofVerifierConfig) { c.MaxAge, c.Leeway = 5*time.Minute, time.Minute })
	for iat, want := range map[int64][2]bool{
		0: {true, true}, 10: {true, true}, -10: {true, true}, 15: {true, true}, 16: {false, true}, -60: {true, true}, -61: {false, true},
		60: {false, true}, 61: {false, false}, -300: {false, true}, -301: {false, false}, 3600: {}, -3600: {},
	} {
		for i, v := range []*oidc.ProofVerifier{v, long} {
			err := check(t, v, p.request(p.made(nil, object{"iat": start.Unix() + iat})))
			if want[i] {
				require.NoError(t, err, iat)
			} else {
				requireRefused(t, err, oidc.ReasonProof, "iat")
			}
		}
	}
	for _, iat := range []any{nil, null, fmt.Sprint(start.Unix()), -1, json.RawMessage("1e400"), true} {
		requireRefused(t, check(t, v, p.request(p.made(nil, object{"iat": iat}))), oidc.ReasonProof, "iat")
	}
}

func TestP03_ReplayedProof(t *testing.T) {
	t.Parallel()
	now := start
	p := newProver(t, ecKey(t, elliptic.P256()))
	v := newProofVerifier(t, func(c *oidc.ProofVerifierConfig) { c.Now = func() time.Time { return now } })
	proof := p.made(nil, object{"jti": "one"})
	require.NoError(t, check(t, v, p.request(proof)))
	requireRefused(t, check(t, v, p.request(proof)), oidc.ReasonReplayed, "jti")
	requireRefused(t, check(t, v, p.request(p.made(nil, object{"jti": "one", "iat": now.Unix() - 1}))), oidc.ReasonReplayed, "jti")
	require.NoError(t, check(t, v, p.request(p.made(nil, object{"jti": "two"}))))
	other := newProver(t, ecKey(t, elliptic.P256()))
	require.NoError(t, check(t, v, other.request(other.made(nil, object{"jti": "one"}))), "of another key")
	for _, jti := range []any{nil, null, "", 1, "a\x00b"} {
		requireRefused(t, check(t, v, p.request(p.made(nil, object{"jti": jti}))), oidc.ReasonProof, "jti")
	}

	// It is remembered for as long as it is good, also if it was made in the future.
	early := p.made(nil, object{"iat": now.Unix() + 15})
	require.NoError(t, check(t, v, p.request(early)))
	now = now.Add(75 * time.Second)
	requireRefused(t, check(t, v, p.request(early)), oidc.ReasonReplayed, "jti")
	now = now.Add(1)
	requireRefused(t, check(t, v, p.request(early)), oidc.ReasonProof, "iat")
}

func TestP03_ReplayOfOneProofAtTheSameTime(t *testing.T) {
	t.Parallel()
	p := newProver(t, ecKey(t, elliptic.P256()))
	v := newProofVerifier(t)
	request := p.request(p.made(nil, nil))
	var wg sync.WaitGroup
	good := make(chan bool, 32)
	for range cap(good) {
		wg.Go(func() {
			if _, err := v.Verify(t.Context(), request); err == nil {
				good <- true
			}
		})
	}
	wg.Wait()
	require.Len(t, good, 1)
}

// P03: another replica sees a proof again only if they share a memory.
func TestP03_SharedReplayStore(t *testing.T) {
	t.Parallel()
	store := &sharedStore{}
	shared := func(c *oidc.ProofVerifierConfig) { c.Replay = store }
	p := newProver(t, ecKey(t, elliptic.P256()))
	proof := p.made(nil, nil)
	require.NoError(t, check(t, newProofVerifier(t, shared), p.request(proof)))
	requireRefused(t, check(t, newProofVerifier(t, shared), p.request(proof)), oidc.ReasonReplayed, "jti")

	broken := newProofVerifier(t, func(c *oidc.ProofVerifierConfig) { c.Replay = brokenStore{} })
	requireUnavailable(t, check(t, broken, p.request(p.made(nil, nil))))
}

// P03, P16: full is no leave to forget; one key cannot fill it for all.
func TestP16_MemoryOfProofsIsBounded(t *testing.T) {
	t.Parallel()
	now := start
	v := newProofVerifier(t, func(c *oidc.ProofVerifierConfig) { c.MaxProofs, c.Now = 32, func() time.Time { return now } })
	flood := newProver(t, edKey(t))
	for range 4 {
		require.NoError(t, check(t, v, flood.request(flood.made(object{"alg": "EdDSA"}, nil))))
	}
	requireUnavailable(t, check(t, v, flood.request(flood.made(object{"alg": "EdDSA"}, nil))))
	var first string
	provers := []*prover{}
	for range 28 {
		p := newProver(t, edKey(t))
		proof := p.made(object{"alg": "EdDSA"}, nil)
		require.NoError(t, check(t, v, p.request(proof)), "the same jti, of another key")
		provers, first = append(provers, p), proof
	}
	late := newProver(t, edKey(t))
	requireUnavailable(t, check(t, v, late.request(late.made(object{"alg": "EdDSA"}, nil))))
	requireRefused(t, check(t, v, provers[27].request(first)), oidc.ReasonReplayed, "jti")

	now = now.Add(76*time.Second - 1)
	late.now, flood.now = now, now
	requireUnavailable(t, check(t, v, late.request(late.made(object{"alg": "EdDSA"}, nil))))
	now = now.Add(1)
	require.NoError(t, check(t, v, late.request(late.made(object{"alg": "EdDSA"}, nil))))
	require.NoError(t, check(t, v, flood.request(flood.made(object{"alg": "EdDSA"}, nil))))
}

func TestP05_ServerNonces(t *testing.T) {
	t.Parallel()
	now := start
	at := func(c *oidc.ProofVerifierConfig) { c.RequireNonce, c.Now = true, func() time.Time { return now } }
	keyed := func(keys ...clientauth.Secret) func(*oidc.ProofVerifierConfig) {
		return func(c *oidc.ProofVerifierConfig) { c.NonceKeys = keys }
	}
	v := newProofVerifier(t, at, keyed(nonceSecret))
	p := newProver(t, ecKey(t, elliptic.P256()))
	ask := func(v *oidc.ProofVerifier, nonce any) error {
		p.now = now
		return check(t, v, p.request(p.made(nil, object{"nonce": nonce})))
	}
	nonce := v.Nonce()
	require.Len(t, nonce, 32)
	require.NoError(t, ask(v, nonce))
	require.NoError(t, ask(v, nonce), "good more than once")
	raw, err := base64.RawURLEncoding.DecodeString(nonce)
	require.NoError(t, err)
	tampered := bytes.Clone(raw)
	tampered[7]++
	for name, bad := range map[string]any{
		"missing": nil, "null": null, "empty": "", "forged": strings.Repeat("A", 32), "another time": encode(tampered), "cut": nonce[:31],
		"padded": nonce + "=", "longer": nonce + "AAAA", "a number": 1, "of another server": newProofVerifier(t, at).Nonce(),
	} {
		requireRefused(t, ask(v, bad), oidc.ReasonProofNonce, "nonce")
		_ = name
	}
	require.NoError(t, ask(newProofVerifier(t, at, keyed(nonceSecret)), nonce), "of a replica")

	// Rotation: the next key makes them, the one before still checks.
	next := nonceSecret + "-next"
	rotated := newProofVerifier(t, at, keyed(next, nonceSecret))
	require.NoError(t, ask(rotated, nonce))
	require.NoError(t, ask(newProofVerifier(t, at, keyed(next)), rotated.Nonce()))
	requireRefused(t, ask(newProofVerifier(t, at, keyed(next)), nonce), oidc.ReasonProofNonce, "nonce")

	// Its end, and a new one: never less than three quarters of the lifetime.
	now = start.Add(90 * time.Second)
	require.NoError(t, ask(v, nonce))
	require.NotEqual(t, nonce, v.Nonce())
	now = start.Add(2 * time.Minute)
	requireRefused(t, ask(v, nonce), oidc.ReasonProofNonce, "nonce")
	ahead := func(d time.Duration) string { // of a replica whose clock is fast
		return newProofVerifier(t, at, keyed(nonceSecret), func(c *oidc.ProofVerifierConfig) { c.Now = func() time.Time { return now.Add(d) } }).Nonce()
	}
	require.NoError(t, ask(v, ahead(30*time.Second)))
	requireRefused(t, ask(v, ahead(time.Minute)), oidc.ReasonProofNonce, "nonce")

	require.Empty(t, newProofVerifier(t).Nonce(), "none is asked for")
	require.Empty(t, (*oidc.ProofVerifier)(nil).Nonce())
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", v, v, *v), marker)
}

// P04: with nonces, nobody makes proofs for tomorrow; time is judged all the same.
func TestP04_NonceIsNoLeaveForOldProofs(t *testing.T) {
	t.Parallel()
	v := newProofVerifier(t, func(c *oidc.ProofVerifierConfig) { c.RequireNonce = true })
	p := newProver(t, ecKey(t, elliptic.P256()))
	requireRefused(t, check(t, v, p.request(p.made(nil, object{"nonce": v.Nonce(), "iat": start.Unix() - 3600}))), oidc.ReasonProof, "iat")
}

func TestProofVerifier_RefusesConfig(t *testing.T) {
	t.Parallel()
	for field, change := range map[string]func(*oidc.ProofVerifierConfig){
		"Algorithms":      func(c *oidc.ProofVerifierConfig) { c.Algorithms = []string{"ES256", "HS256"} },
		"Algorithms none": func(c *oidc.ProofVerifierConfig) { c.Algorithms = []string{"none"} },
		"MaxAge":          func(c *oidc.ProofVerifierConfig) { c.MaxAge = 5*time.Minute + 1 },
		"MaxAge -":        func(c *oidc.ProofVerifierConfig) { c.MaxAge = -1 },
		"Leeway":          func(c *oidc.ProofVerifierConfig) { c.Leeway = time.Minute + 1 },
		"NonceLifetime":   func(c *oidc.ProofVerifierConfig) { c.NonceLifetime = time.Second },
		"NonceKeys":       func(c *oidc.ProofVerifierConfig) { c.RequireNonce, c.NonceKeys = true, []clientauth.Secret{"short"} },
		"NonceKeys alone": func(c *oidc.ProofVerifierConfig) { c.NonceKeys = []clientauth.Secret{nonceSecret} },
		"MaxProofs -":     func(c *oidc.ProofVerifierConfig) { c.MaxProofs = -1 },
		"MaxProofs":       func(c *oidc.ProofVerifierConfig) { c.MaxProofs, c.Replay = 1, &sharedStore{} },
	} {
		var cfg oidc.ProofVerifierConfig
		change(&cfg)
		_, err := oidc.NewProofVerifier(cfg)
		name, _, _ := strings.Cut(field, " ")
		require.ErrorContains(t, err, "ProofVerifierConfig."+name, field)
		require.NotContains(t, err.Error(), marker)
	}
}

// A mistake of the program is no fault of the proof: it must not look like one.
func TestProofVerifier_MistakesOfTheProgram(t *testing.T) {
	t.Parallel()
	p := newProver(t, ecKey(t, elliptic.P256()))
	good := p.request(p.made(nil, nil))
	for name, change := range map[string]func(*oidc.ProofRequest){
		"URL": func(r *oidc.ProofRequest) { r.URL = "" }, "relative": func(r *oidc.ProofRequest) { r.URL = "/reports" },
		"Method": func(r *oidc.ProofRequest) { r.Method = "" }, "AccessToken": func(r *oidc.ProofRequest) { r.AccessToken = "" },
		"JWKThumbprint": func(r *oidc.ProofRequest) { r.JWKThumbprint = "" },
	} {
		r := good
		change(&r)
		err := check(t, newProofVerifier(t), r)
		require.Error(t, err, name)
		require.NotErrorIs(t, err, oidckit.ErrInvalidToken, name)
	}
	for _, v := range []*oidc.ProofVerifier{nil, {}} {
		err := check(t, v, good)
		require.Error(t, err)
		require.NotErrorIs(t, err, oidckit.ErrInvalidToken)
	}
}

// Whatever is accepted names the right things, and is accepted once.
func FuzzProofIsForOneRequest(f *testing.F) {
	p := newProver(f, fixedKey(f))
	f.Add(p.made(nil, nil))
	f.Add(p.made(object{"typ": "JWT"}, nil))
	f.Add(p.made(nil, object{"htu": "https://api.example:443/%72eports?x"}))
	f.Add(p.made(object{"jwk": object{"kty": "oct", "k": "AAAA"}}, nil))
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, proof string) {
		v := newProofVerifier(t)
		err := check(t, v, p.request(proof))
		if err != nil {
			require.ErrorIs(t, err, oidckit.ErrInvalidToken)
			return
		}
		got := readProof(t, http.Header{"Dpop": {proof}})
		require.Equal(t, p.jkt, got.jkt)
		require.Equal(t, http.MethodGet, got.claims["htm"])
		requireRefused(t, check(t, v, p.request(proof)), oidc.ReasonReplayed, "jti")
	})
}

// Normalization settles: what is normal stays so, has no query, and none is missed.
func FuzzNormalTargetIsNormal(f *testing.F) {
	for _, seed := range []string{"https://api.example/%7e", "HTTPS://API.EXAMPLE:443/~?x#y", "https://api.example/a%2fb%", "http://[::1]:80", "http://0%bb", "http://[::1%25a]/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		normal, ok := oidc.NormalTarget(text)
		if !ok {
			return
		}
		require.False(t, strings.ContainsAny(normal, "?# "), normal)
		again, ok := oidc.NormalTarget(normal)
		require.True(t, ok, normal)
		require.Equal(t, normal, again)
		if plain, _, _ := strings.Cut(text, "#"); !strings.Contains(plain, "?") && len(plain) < 1000 {
			with, ok := oidc.NormalTarget(plain + "?query#fragment")
			require.True(t, ok)
			require.Equal(t, normal, with)
		}
	})
}

func BenchmarkProof(b *testing.B) {
	p := newProver(b, ecKey(b, elliptic.P256()))
	v := newProofVerifier(b)
	proofs := make([]string, b.N)
	for i := range proofs {
		proofs[i] = p.made(nil, nil)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for _, proof := range proofs {
		if _, err := v.Verify(b.Context(), p.request(proof)); err != nil && !errors.Is(err, oidckit.ErrUnavailable) {
			b.Fatal(err)
		}
	}
}

// fixedKey is the same in every process: fuzzing runs in others.
func fixedKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{1}, 32))
	require.NoError(t, err)
	return key
}

// M09: whoever sends a request chose its path, and gets no 500 for it.
func TestM09_PathsThatNoProofCanBeFor(t *testing.T) {
	t.Parallel()
	p := newProver(t, ecKey(t, elliptic.P256()))
	for _, path := range []string{"/" + strings.Repeat("a", 8<<10), ":x", "/%zz", "/\x00"} {
		r := p.request(p.made(nil, nil))
		r.URL = "https://api.example" + path
		requireRefused(t, check(t, newProofVerifier(t), r), oidc.ReasonProof, "htu")
	}
}

// G10: a request for a proof prints neither token nor proof.
func TestG10_ProofRequestsPrintNothing(t *testing.T) {
	t.Parallel()
	r := oidc.ProofRequest{Proofs: []string{marker}, AccessToken: marker, URL: "https://api.example/" + marker, Method: "GET"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		require.NotContains(t, fmt.Sprintf(verb, r), marker)
		require.NotContains(t, fmt.Sprintf(verb, &r), marker)
	}
	text, err := json.Marshal(r)
	require.NoError(t, err)
	require.NotContains(t, string(text), marker)
}
