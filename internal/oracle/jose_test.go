package oracle_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/jwks"
)

// A case is one compact JWS and one document of keys. They are of the classes of
// the JOSE files of Wycheproof, with what is not in those.
type joseCase struct {
	name       string
	document   string
	token      string
	algorithms []string
	want       string // why it is refused, as refusal names it, or "" where it is not
}

// refusal names why VerifyCompact refused something.
func refusal(err error) string {
	var (
		token    *jwks.Error
		key      *jwks.KeyError
		notFound *jwks.KeyNotFoundError
	)
	switch {
	case err == nil:
		return ""
	case errors.As(err, &token):
		return "token: " + string(token.Reason)
	case errors.As(err, &notFound):
		return "no key"
	case errors.As(err, &key):
		return "key: " + string(key.Reason)
	case errors.Is(err, jwks.ErrNoUsableKey):
		return "no usable key"
	case strings.Contains(err.Error(), "lgorithm"):
		return "algorithms"
	}
	return err.Error()
}

const (
	noKey        = "no key"
	badSignature = "token: " + string(jwks.ReasonSignature)
	badHeader    = "token: " + string(jwks.ReasonHeader)
	badAlgorithm = "token: " + string(jwks.ReasonAlgorithm)
	malformed    = "token: " + string(jwks.ReasonMalformed)
)

func TestJ01_JOSECases(t *testing.T) {
	t.Parallel()
	all := joseCases()
	require.NotEmpty(t, all)
	accepted := 0
	for _, c := range all {
		got, err := jwks.VerifyCompact([]byte(c.document), c.token, c.algorithms...)
		assert.Equal(t, c.want, refusal(err), "%s\n%s\n%s\n%v", c.name, c.document, c.token, err)
		if err != nil {
			require.Nil(t, got, "an error comes without a payload")
			continue
		}
		accepted++
		require.Equal(t, decoded(strings.Split(c.token, ".")[1]), string(got))
	}
	require.Greater(t, accepted, 20)
	require.Greater(t, len(all)-accepted, 100)
}

func joseCases() (all []joseCase) {
	for _, group := range []func() []joseCase{
		validCases, noneCases, confusionCases, pssCases, ecdsaCases, curveCases, headerCases, formCases, keyCases, weakKeyCases, setCases,
	} {
		all = append(all, group()...)
	}
	return all
}

// publicJWK writes the public key of an algorithm, with more members if they are given.
func publicJWK(alg string, members ...string) string { return jwkOf(keys()[alg].public, members...) }

func jwkOf(key any, members ...string) string {
	data := must(json.Marshal(jose.JSONWebKey{Key: key}))
	return strings.TrimSuffix(string(data), "}") + strings.Join(append([]string{""}, members...), ",") + "}"
}

func setOf(members ...string) string { return `{"keys":[` + strings.Join(members, ",") + `]}` }

func validCases() (all []joseCase) {
	for _, alg := range everyAlgorithm {
		for _, p := range []string{payload, `{}`, `[]`, `null`, "no JSON", "\x00\xff"} {
			all = append(all, joseCase{"valid", publicJWK(alg), signed(alg, `{"alg":"$alg"}`, p), []string{alg}, ""})
		}
		all = append(all,
			joseCase{"valid, in a set", setOf(publicJWK(alg, `"kid":"k"`)), signed(alg, `{"alg":"$alg","kid":"k"}`, payload), []string{alg}, ""},
			joseCase{"another kid", setOf(publicJWK(alg, `"kid":"k"`)), signed(alg, `{"alg":"$alg","kid":"K"}`, payload), []string{alg}, noKey},
			joseCase{"another payload", publicJWK(alg), replaced(signed(alg, header, payload), 1, b64(payload+" ")), []string{alg}, badSignature},
			joseCase{"another header", publicJWK(alg), replaced(signed(alg, header, payload), 0, b64(`{"alg":"`+alg+`","typ":"JWT"}`)), []string{alg}, badSignature},
			joseCase{"signature of zeros", publicJWK(alg), replaced(signed(alg, header, payload), 2, b64(strings.Repeat("\x00", 64))), []string{alg}, badSignature},
			joseCase{"empty payload", publicJWK(alg), signed(alg, header, ""), []string{alg}, malformed},
		)
	}
	return all
}

func replaced(raw string, segment int, with string) string {
	parts := strings.Split(raw, ".")
	parts[segment] = with
	return strings.Join(parts, ".")
}

func noneCases() (all []joseCase) {
	for _, alg := range []string{"none", "None", "NONE", "nOnE", "none ", " none", "null", "n\\u006fne", "nоne"} {
		for _, sig := range []string{"", "AA", b64("none"), b64(string(make([]byte, 256)))} {
			raw := b64(`{"alg":"`+alg+`"}`) + "." + b64(payload) + "." + sig
			want := badAlgorithm
			if sig == "" {
				want = malformed
			}
			all = append(all,
				joseCase{"alg " + alg, publicJWK("RS256"), raw, []string{"RS256"}, want},
				joseCase{"alg " + alg + ", a secret", publicJWK("HS256"), raw, []string{"HS256"}, want})
		}
	}
	for _, h := range []string{`{}`, `{"alg":null}`, `{"alg":""}`, `{"alg":0}`, `{"alg":[]}`, `{"alg":["RS256"]}`, `{"alg":{}}`, `{"alg":true}`, `{"Alg":"RS256"}`, `{"ALG":"RS256"}`} {
		all = append(all, joseCase{h, publicJWK("RS256"), sign("RS256", h, payload), []string{"RS256"}, badHeader})
	}
	for _, h := range []string{`{"alg":"rs256"}`, `{"alg":"RS256 "}`, `{"alg":"RS 256"}`, `{"alg":"RS1"}`, `{"alg":"ES256K"}`, `{"alg":"RSA-OAEP"}`, `{"alg":"ML-DSA-44"}`, `{"alg":"RS512"}`, `{"alg":"PS256"}`} {
		all = append(all, joseCase{h, publicJWK("RS256"), sign("RS256", h, payload), []string{"RS256"}, badAlgorithm})
	}
	for _, list := range [][]string{nil, {}, {"none"}, {""}, {"RS256", "none"}, {"RS256", "HS256"}, {"HS256", "ES256"}, {"rs256"}, {"dir"}} {
		all = append(all, joseCase{"allow list", publicJWK("RS256"), signed("RS256", header, payload), list, "algorithms"})
	}
	return all
}

// confusionCases are HMACs keyed by what everybody knows: the public key.
func confusionCases() (all []joseCase) {
	for _, alg := range []string{"RS256", "PS512", "ES256", "ES512", "EdDSA"} {
		key, document := keys()[alg].public, publicJWK(alg)
		der := must(x509.MarshalPKIXPublicKey(key))
		text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
		spellings := [][]byte{der, text, bytes.TrimSpace(text), []byte(document), bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))}
		switch k := key.(type) {
		case *rsa.PublicKey:
			spellings = append(spellings, x509.MarshalPKCS1PublicKey(k), k.N.Bytes())
		case *ecdsa.PublicKey:
			point := must(k.Bytes())
			spellings = append(spellings, point, point[1:])
		case ed25519.PublicKey:
			spellings = append(spellings, k)
		}
		for _, secret := range spellings {
			for _, hs := range jwt.Symmetric {
				input := b64(`{"alg":"`+hs+`"}`) + "." + b64(payload)
				raw := input + "." + b64(string(mac(hs, secret, []byte(input))))
				all = append(all,
					joseCase{"public key as a secret", document, raw, []string{alg}, badAlgorithm},
					joseCase{"public key as a secret, asked for", document, raw, []string{hs}, "key: " + string(jwks.KeyUnsupported)})
			}
		}
		all = append(all, joseCase{"secret for a public key", publicJWK("HS256"), signed(alg, header, payload), []string{alg}, "key: " + string(jwks.KeySymmetric)})
	}
	return all
}

func pssCases() (all []joseCase) {
	for _, alg := range []string{"PS256", "PS384", "PS512"} {
		key := keys()[alg].private.(*rsa.PrivateKey)
		input := b64(`{"alg":"`+alg+`"}`) + "." + b64(payload)
		withSalt := func(alg string, salt int) string {
			sum := digest(alg, []byte(input))
			return input + "." + b64(string(must(rsa.SignPSS(rand.Reader, key, jwt.Hash(alg), sum, &rsa.PSSOptions{SaltLength: salt}))))
		}
		size := jwt.Hash(alg).Size()
		all = append(all, joseCase{"salt as long as the hash", publicJWK(alg), withSalt(alg, size), []string{alg}, ""})
		for _, salt := range []int{1, 20, size - 1, size + 1, 100, rsa.PSSSaltLengthAuto} {
			all = append(all, joseCase{fmt.Sprint("salt of ", salt), publicJWK(alg), withSalt(alg, salt), []string{alg}, badSignature})
		}
		rs := "RS" + alg[2:]
		all = append(all,
			joseCase{"PKCS1 for PSS", publicJWK(alg), sign(rs, `{"alg":"`+alg+`"}`, payload), []string{alg}, badSignature},
			joseCase{"PSS for PKCS1", publicJWK(rs), sign(alg, `{"alg":"`+rs+`"}`, payload), []string{rs}, badSignature},
			joseCase{"the key is for another algorithm", publicJWK(alg, `"alg":"`+rs+`"`), signed(alg, header, payload), []string{alg, rs}, noKey},
			joseCase{"the key is for this algorithm", publicJWK(alg, `"alg":"`+alg+`"`), signed(alg, header, payload), []string{rs, alg}, ""})
	}
	for _, alg := range []string{"PS384", "PS512"} {
		all = append(all, joseCase{"another hash", publicJWK("PS256"), sign(alg, `{"alg":"PS256"}`, payload), []string{"PS256"}, badSignature})
	}
	return all
}

func ecdsaCases() (all []joseCase) {
	for _, alg := range []string{"ES256", "ES384", "ES512"} {
		key := keys()[alg].private.(*ecdsa.PrivateKey)
		raw := signed(alg, header, payload)
		sig := decoded(strings.Split(raw, ".")[2])
		half := len(sig) / 2
		r, s := sig[:half], sig[half:]
		n := key.Params().N
		number := func(v *big.Int) string { return string(v.FillBytes(make([]byte, half))) }
		zero, one, order := number(new(big.Int)), number(big.NewInt(1)), number(n)
		input := raw[:strings.LastIndexByte(raw, '.')]
		der := must(key.Sign(rand.Reader, digest(alg, []byte(input)), jwt.Hash(alg)))
		for name, forged := range map[string]string{
			"r and s zero": zero + zero, "r zero": zero + s, "s zero": r + zero, "r is n": order + s, "s is n": r + order, "both n": order + order, "both one": one + one,
			"exchanged": s + r, "DER": string(der), "short": sig[1:], "shorter": sig[:len(sig)-1], "long": sig + "\x00", "zero before r": "\x00" + sig, "zeros": "\x00" + r + "\x00" + s, "r": r,
		} {
			all = append(all, joseCase{name, publicJWK(alg), replaced(raw, 2, b64(forged)), []string{alg}, badSignature})
		}
		// J08: the other signature that everybody can make of this one is valid, too: no
		// token may be known by its text.
		other := number(new(big.Int).Sub(n, new(big.Int).SetBytes([]byte(s))))
		all = append(all, joseCase{"n-s", publicJWK(alg), replaced(raw, 2, b64(r+other)), []string{alg}, ""})
	}
	return all
}

func curveCases() (all []joseCase) {
	names := []string{"ES256", "ES384", "ES512", "EdDSA", "RS256"}
	for _, of := range names {
		for _, says := range names {
			if of != says {
				all = append(all, joseCase{of + " says " + says, publicJWK(of), sign(of, `{"alg":"`+says+`"}`, payload), []string{says}, noKey})
			}
		}
	}
	// A curve of the right size that is another one, and points that are on none.
	p256 := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	x, y := point(p256)
	good := signed("ES256", header, payload)
	for _, j := range []string{
		`{"kty":"EC","crv":"secp256k1","x":"` + x + `","y":"` + y + `"}`, `{"kty":"EC","crv":"P-384","x":"` + x + `","y":"` + y + `"}`,
		`{"kty":"EC","crv":"P-256","x":"` + y + `","y":"` + x + `"}`, `{"kty":"EC","crv":"P-256","x":"` + x + `"}`, `{"kty":"EC","crv":"P-256","x":"","y":""}`,
		`{"kty":"EC","x":"` + x + `","y":"` + y + `"}`, `{"kty":"OKP","crv":"Ed25519","x":"AA"}`, `{"kty":"OKP","crv":"X25519","x":"` + x + `"}`, `{"kty":"OKP","crv":"Ed448","x":"` + x + `"}`,
		`{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}`, `{"crv":"P-256","x":"` + x + `","y":"` + y + `"}`, `{"kty":"ec","crv":"P-256","x":"` + x + `","y":"` + y + `"}`, `{"kty":"EC","crv":"p-256","x":"` + x + `","y":"` + y + `"}`,
		`{"kty":"EC","crv":"P-256","x":"AA` + x + `","y":"` + y + `"}`,
	} {
		all = append(all, joseCase{"no key: " + j, setOf(j), good, []string{"ES256"}, "no usable key"})
	}
	return append(all, joseCase{"another key", jwkOf(&p256.PublicKey), good, []string{"ES256"}, badSignature})
}

func point(k *ecdsa.PrivateKey) (x, y string) {
	p := must(k.PublicKey.Bytes())[1:]
	return b64(string(p[:len(p)/2])), b64(string(p[len(p)/2:]))
}

func headerCases() (all []joseCase) {
	for _, h := range []string{
		`"crit":[]`, `"crit":["exp"],"exp":1`, `"crit":["b64"],"b64":true`, `"crit":["b64"],"b64":false`, `"crit":"b64"`, `"crit":null`, `"b64":true`, `"b64":false`, `"zip":"DEF"`, `"cty":"JWT"`, `"cty":"json"`,
		`"jwk":` + goodJWK, `"jwk":null`, `"kid":1`, `"kid":["k"]`, `"kid":"a\u0000b"`, `"kid":"` + strings.Repeat("k", 1000) + `"`, `"typ":1`,
		`"alg":"ES256"`, `"alg":"none"`, `"\u0061lg":"none"`, `"x":{"a":1,"a":1}`, `"x":"\ud800"`, `"ALG":"ES256"`, `"Kid":"k"`,
	} {
		all = append(all, joseCase{h, publicJWK("ES256"), signed("ES256", `{"alg":"ES256",`+h+`}`, payload), []string{"ES256"}, badHeader})
	}
	for _, h := range []string{`"jku":"https://evil.example"`, `"x5u":"https://evil.example"`, `"x5c":["AA=="]`, `"x5t":"AA"`, `"typ":"JWT"`, `"iss":"x"`, `"x":null`} {
		all = append(all, joseCase{h, publicJWK("ES256"), signed("ES256", `{"alg":"ES256",`+h+`}`, payload), []string{"ES256"}, ""})
	}
	// J11: signed with a key that the token brings along.
	mallory := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	for _, h := range []string{`"jwk":` + jwkOf(&mallory.PublicKey), `"jku":"https://evil.example"`, `"x5c":["AA=="]`} {
		want := badSignature
		if strings.HasPrefix(h, `"jwk"`) {
			want = badHeader
		}
		all = append(all, joseCase{h, publicJWK("ES256"), signedBy(mallory, `{"alg":"ES256",`+h+`}`, payload), []string{"ES256"}, want})
	}
	return all
}

func signedBy(key *ecdsa.PrivateKey, header, payload string) string {
	input := b64(header) + "." + b64(payload)
	r, s, err := ecdsa.Sign(rand.Reader, key, digest("ES256", []byte(input)))
	if err != nil {
		panic(err)
	}
	return input + "." + b64(string(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)))
}

// formCases are other serializations than the compact one, and what is none.
func formCases() (all []joseCase) {
	raw := signed("ES256", header, payload)
	for mutant := range reshaped(raw) {
		want := malformed
		switch {
		case len(mutant) > 16<<10:
			want = "token: " + string(jwks.ReasonTooLarge)
		case strings.Count(mutant, ".") == 4:
			want = "token: " + string(jwks.ReasonEncrypted)
		}
		if mutant == strings.ToUpper(raw) || mutant == strings.ToLower(raw) {
			continue // what becomes of it is luck; that it is refused is tested elsewhere
		}
		all = append(all, joseCase{"form", publicJWK("ES256"), mutant, []string{"ES256"}, want})
	}
	p := strings.Split(raw, ".")
	all = append(all, joseCase{"detached", publicJWK("ES256"), p[0] + ".." + p[2], []string{"ES256"}, malformed})
	for _, alphabet := range []*base64.Encoding{base64.URLEncoding, base64.StdEncoding} {
		text := alphabet.EncodeToString([]byte(`{"alg":"ES256","x":"` + "\x7f\x7f?>~~" + `"}`))
		if strings.ContainsAny(text, "=+/") {
			input := text + "." + p[1]
			all = append(all, joseCase{"alphabet", publicJWK("ES256"), input + "." + b64(string(signature("ES256", []byte(input)))), []string{"ES256"}, malformed})
		}
	}
	return all
}

func keyCases() (all []joseCase) {
	raw := signed("ES256", `{"alg":"$alg","kid":"k"}`, payload)
	one := func(want string, members ...string) {
		all = append(all, joseCase{strings.Join(members, ","), publicJWK("ES256", members...), raw, []string{"ES256"}, want})
	}
	one("", `"kid":"k"`)
	one("", `"kid":"k"`, `"use":"sig"`)
	one("", `"kid":"k"`, `"key_ops":["verify"]`, `"alg":"ES256"`)
	one("")
	one(noKey, `"kid":"K"`)
	one("", `"kid":""`) // as if it had none
	one("key: "+string(jwks.KeyUse), `"use":"enc"`)
	one("key: "+string(jwks.KeyUse), `"key_ops":["encrypt"]`)
	one("key: "+string(jwks.KeyUse), `"key_ops":[]`)
	one("key: "+string(jwks.KeyUnsupported), `"alg":"ES384"`)
	one("key: "+string(jwks.KeyUnsupported), `"alg":"ECDH-ES"`)
	one("key: "+string(jwks.KeyPrivate), `"d":"AA"`)
	one("key: "+string(jwks.KeyPrivate), `"d":null`)
	return all
}

func weakKeyCases() (all []joseCase) {
	raw := signed("RS256", header, payload)
	n := keys()["RS256"].public.(*rsa.PublicKey).N
	shorter := new(big.Int).SetBit(new(big.Int).Rsh(n, 1024), 0, 1)
	long := new(big.Int).Add(new(big.Int).Lsh(n, 8000), big.NewInt(1))
	even := new(big.Int).Sub(n, big.NewInt(1))
	weak, unusable := "key: "+string(jwks.KeyWeak), "key: "+string(jwks.KeyMalformed)
	for _, c := range []struct {
		name string
		n    *big.Int
		e    int64
		want string
	}{
		{"1024 bits", shorter, 65537, weak},
		{"2047 bits", new(big.Int).Rsh(n, 1), 65537, weak},
		{"10048 bits", long, 65537, weak},
		{"e=1", n, 1, weak},
		{"e=2", n, 2, weak},
		{"even e", n, 65536, weak},
		{"even n", even, 65537, weak},
		{"ROCA", roca(), 65537, weak},
		{"another e", n, 3, badSignature},
	} {
		document := `{"kty":"RSA","n":"` + b64(string(c.n.Bytes())) + `","e":"` + b64(string(big.NewInt(c.e).Bytes())) + `"}`
		all = append(all, joseCase{c.name, document, raw, []string{"RS256"}, c.want})
	}
	for _, alg := range jwt.Symmetric {
		for _, size := range []int{0, 1, 16, jwt.Hash(alg).Size() - 1} {
			secret := expand("short", size)
			input := b64(`{"alg":"`+alg+`"}`) + "." + b64(payload)
			want := weak
			if size >= 32 { // long enough for HS256, to which it is not bound
				want = noKey
			}
			if size == 0 {
				want = unusable
			}
			all = append(all, joseCase{"short secret for " + alg, `{"kty":"oct","k":"` + b64(string(secret)) + `"}`, input + "." + b64(string(mac(alg, secret, []byte(input)))), []string{alg}, want})
		}
	}
	return all
}

// roca has the fingerprint of CVE-2017-15361: it is a power of 65537 modulo each small prime.
func roca() *big.Int {
	product := big.NewInt(1)
	for p := int64(2); p < 170; p++ {
		if big.NewInt(p).ProbablyPrime(20) {
			product.Mul(product, big.NewInt(p))
		}
	}
	n := new(big.Int).Exp(big.NewInt(65537), big.NewInt(1234567), product)
	k := new(big.Int).Lsh(big.NewInt(3), 2046)
	k.Div(k, product)
	return n.Add(n, k.Mul(k, product))
}

func setCases() []joseCase {
	es, rs := publicJWK("ES256", `"kid":"k"`), publicJWK("RS256", `"kid":"k"`)
	decoy := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	raw := signed("ES256", `{"alg":"$alg","kid":"k"}`, payload)
	without := signed("ES256", `{"alg":"$alg"}`, payload)
	return []joseCase{
		{"two keys of one kid, of two types", setOf(rs, es), raw, []string{"ES256"}, ""},
		{"two keys of one kid and type", setOf(jwkOf(&decoy.PublicKey, `"kid":"k"`), es), raw, []string{"ES256"}, ""},
		{"no kid, two keys", setOf(jwkOf(&decoy.PublicKey, `"kid":"a"`), es), without, []string{"ES256"}, ""},
		{"no kid, keys of others alone", setOf(jwkOf(&decoy.PublicKey, `"kid":"a"`)), without, []string{"ES256"}, badSignature},
		{"a kid that nobody has, one key without", setOf(publicJWK("ES256")), raw, []string{"ES256"}, ""},
		{"a kid that nobody has, two keys without", setOf(publicJWK("ES256"), jwkOf(&decoy.PublicKey)), raw, []string{"ES256"}, noKey},
		{"a secret beside", setOf(`{"kty":"oct","kid":"k","k":"`+b64(string(secret()))+`"}`, es), raw, []string{"ES256"}, ""},
		{"a secret beside, and a token of it", setOf(`{"kty":"oct","kid":"k","k":"`+b64(string(secret()))+`"}`, es), signed("HS256", `{"alg":"$alg","kid":"k"}`, payload), []string{"ES256"}, badAlgorithm},
		{"a private key beside", setOf(publicJWK("ES256", `"kid":"k"`, `"d":"AA"`), es), raw, []string{"ES256"}, ""},
		{"a broken member beside", setOf(`null`, `1`, `"x"`, `{}`, `{"kty":"EC"}`, es), raw, []string{"ES256"}, ""},
		{"nothing", setOf(), raw, []string{"ES256"}, "no usable key"},
		{"broken members alone", setOf(`null`, `{}`), raw, []string{"ES256"}, "no usable key"},
	}
}
