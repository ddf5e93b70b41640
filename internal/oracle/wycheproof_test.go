package oracle_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/jwks"
)

type vectorFile struct {
	NumberOfTests int
	TestGroups    []vectorGroup
}

type vectorGroup struct {
	PublicKeyDer hexBytes
	PublicKeyJwk json.RawMessage
	KeyJwk       json.RawMessage // the same in the files of RSASSA-PKCS1-v1_5
	Sha          string
	SLen         int
	Tests        []vector
}

type vector struct {
	TcID    int
	Comment string
	Flags   []string
	Key     hexBytes
	Msg     hexBytes
	Sig     hexBytes
	Tag     hexBytes // what Sig is for a MAC
	Result  string
}

type hexBytes []byte

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *hexBytes) UnmarshalText(text []byte) (err error) {
	*b, err = hex.DecodeString(string(text))
	return err
}

func (g vectorGroup) jwk() []byte { return slices.Concat(g.PublicKeyJwk, g.KeyJwk) }

// key is an *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey, or the
// *jwt.Secret of one vector.
func (g vectorGroup) key(t *testing.T, v vector) any {
	t.Helper()
	if g.PublicKeyDer == nil {
		return jwt.NewSecret(v.Key)
	}
	key, err := x509.ParsePKIXPublicKey(g.PublicKeyDer)
	require.NoError(t, err)
	return key
}

// primitives are the files about the algorithms of RFC 7518 section 3.1 and RFC 8037.
var primitives = map[string]string{
	"ecdsa_secp256r1_sha256_p1363": "ES256",
	"ecdsa_secp384r1_sha384_p1363": "ES384",
	"ecdsa_secp521r1_sha512_p1363": "ES512",
	"ecdsa_secp256r1_webcrypto":    "ES256",
	"ecdsa_secp384r1_webcrypto":    "ES384",
	"ecdsa_secp521r1_webcrypto":    "ES512",
	"ed25519":                      "EdDSA",
	"hmac_sha256":                  "HS256",
	"hmac_sha384":                  "HS384",
	"hmac_sha512":                  "HS512",
	"rsa_signature_2048_sha256":    "RS256",
	"rsa_signature_2048_sha384":    "RS384",
	"rsa_signature_2048_sha512":    "RS512",
	"rsa_signature_3072_sha256":    "RS256",
	"rsa_signature_3072_sha384":    "RS384",
	"rsa_signature_3072_sha512":    "RS512",
	"rsa_signature_4096_sha256":    "RS256",
	"rsa_signature_4096_sha384":    "RS384",
	"rsa_signature_4096_sha512":    "RS512",
	"rsa_signature_8192_sha256":    "RS256",
	"rsa_signature_8192_sha384":    "RS384",
	"rsa_signature_8192_sha512":    "RS512",
	"rsa_pss_2048_sha256_mgf1_32":  "PS256",
	"rsa_pss_2048_sha384_mgf1_48":  "PS384",
	"rsa_pss_3072_sha256_mgf1_32":  "PS256",
	"rsa_pss_4096_sha256_mgf1_32":  "PS256",
	"rsa_pss_4096_sha384_mgf1_48":  "PS384",
	"rsa_pss_4096_sha512_mgf1_64":  "PS512",
}

// Signatures that are valid and refused, each for what it has of the following.
const (
	shortSecret  = "the secret is shorter than the hash (RFC 7518 section 3.2)"
	truncatedTag = "the tag is cut short, which JWS knows nothing of (RFC 7518 section 3.2)"
)

// why returns the reason why a valid vector must be refused, and "".
func (v vector) why(alg string) string {
	size := jwt.Hash(alg).Size()
	switch {
	case v.Key != nil && len(v.Key) < size:
		return shortSecret
	case v.Key != nil && len(v.Tag) < size:
		return truncatedTag
	}
	return ""
}

func TestJ07_Wycheproof(t *testing.T) {
	t.Parallel()
	for _, name := range slices.Sorted(maps.Keys(primitives)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var file vectorFile
			readVectors(t, name, &file)
			checkPrimitive(t, primitives[name], file)
		})
	}
}

func checkPrimitive(t *testing.T, alg string, file vectorFile) {
	t.Helper()
	total, accepted, counts, listed := 0, 0, map[string]int{}, map[string]int{}
	for _, g := range file.TestGroups {
		for _, v := range g.Tests {
			total++
			err := jwt.VerifySignature(alg, g.key(t, v), v.Msg, slices.Concat(v.Sig, v.Tag))
			why := v.why(alg)
			switch {
			case v.Result == "valid" && why == "":
				require.NoError(t, err, "%d: %s %v", v.TcID, v.Comment, v.Flags)
				accepted++
			case v.Result == "valid":
				listed[why]++
				fallthrough
			default: // "invalid"; and "acceptable", which is what is accepted for the sake of old signers
				requireRefused(t, err, why == shortSecret, "%d: %s %v", v.TcID, v.Comment, v.Flags)
			}
			counts[v.Result]++
		}
	}
	t.Log(counts, accepted, "accepted", listed)
	require.Equal(t, file.NumberOfTests, total)
	require.NotZero(t, accepted)
	require.NotZero(t, counts["invalid"])
}

func requireRefused(t *testing.T, err error, misfit bool, message string, args ...any) {
	t.Helper()
	var e *jwt.Error
	require.ErrorAs(t, err, &e, append([]any{message}, args...)...)
	want := jwt.BadSigning
	if misfit {
		want = jwt.KeyMisfit
	}
	require.Equal(t, want, e.Reason, append([]any{message}, args...)...)
}

// otherHashes are signatures that are good for another hash, salt or curve than
// the algorithm says: to it, none of them is a signature.
var otherHashes = map[string][]string{
	"ecdsa_secp256r1_sha512_p1363":    {"ES256", "ES384", "ES512"},
	"ecdsa_secp384r1_sha512_p1363":    {"ES256", "ES384", "ES512"},
	"ecdsa_secp256r1_shake128_p1363":  {"ES256"},
	"ecdsa_secp224r1_sha256_p1363":    {"ES256", "ES384", "ES512"},
	"ecdsa_secp256r1_sha256":          {"ES256"}, // in ASN.1
	"ecdsa_secp384r1_sha384":          {"ES384"},
	"ecdsa_secp521r1_sha512":          {"ES512"},
	"rsa_signature_2048_sha224":       {"RS256", "RS384", "RS512", "PS256"},
	"rsa_signature_2048_sha256":       {"RS384", "RS512", "PS256"},
	"rsa_signature_2048_sha512_256":   {"RS256", "RS512"},
	"rsa_signature_2048_sha3_256":     {"RS256", "PS256"},
	"rsa_pss_2048_sha256_mgf1_0":      {"PS256", "RS256"},
	"rsa_pss_2048_sha256_mgf1sha1_20": {"PS256"},
	"rsa_pss_2048_sha1_mgf1_20":       {"PS256", "PS384", "PS512"},
	"rsa_pss_2048_sha512_256_mgf1_32": {"PS256", "PS512"},
	"rsa_pss_4096_sha512_mgf1_32":     {"PS512"},
	"rsa_pss_2048_sha256_mgf1_32":     {"PS384", "PS512", "RS256"},
	"ed25519":                         {"RS256", "ES256", "HS256"},
	"hmac_sha1":                       {"HS256"},
	"hmac_sha3_256":                   {"HS256", "HS384", "HS512"},
	"hmac_sha512_256":                 {"HS256", "HS512"},
}

func TestJ09_WycheproofOfOtherAlgorithms(t *testing.T) {
	t.Parallel()
	for _, name := range slices.Sorted(maps.Keys(otherHashes)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var file vectorFile
			readVectors(t, name, &file)
			valid := 0
			for _, g := range file.TestGroups {
				for _, v := range g.Tests {
					if v.Result != "valid" {
						continue // some are made by the very algorithm that is asked for
					}
					valid++
					for _, alg := range otherHashes[name] {
						err := jwt.VerifySignature(alg, g.key(t, v), v.Msg, slices.Concat(v.Sig, v.Tag))
						require.Error(t, err, "%s %d: %s", alg, v.TcID, v.Comment)
					}
				}
			}
			require.NotZero(t, valid)
		})
	}
}

// PSS with another salt length, hash or mask than the algorithm says (RFC 7518
// section 3.5: the salt is as long as the hash).
func TestJ09_WycheproofPSSParameters(t *testing.T) {
	t.Parallel()
	var file struct {
		TestGroups []struct {
			vectorGroup
			MgfSha string
		}
	}
	readVectors(t, "rsa_pss_misc", &file)
	fit := map[string]string{"SHA-256": "PS256", "SHA-384": "PS384", "SHA-512": "PS512"}
	accepted, refused := 0, 0
	for _, g := range file.TestGroups {
		for _, v := range g.Tests {
			for _, alg := range []string{"PS256", "PS384", "PS512"} {
				err := jwt.VerifySignature(alg, g.key(t, v), v.Msg, v.Sig)
				if fit[g.Sha] == alg && g.MgfSha == g.Sha && g.SLen == jwt.Hash(alg).Size() && v.Result == "valid" {
					require.NoError(t, err, "%s %d", alg, v.TcID)
					accepted++
					continue
				}
				require.Error(t, err, "%s %d: %s, %s, salt %d", alg, v.TcID, g.Sha, g.MgfSha, g.SLen)
				refused++
			}
		}
	}
	t.Log(accepted, "accepted,", refused, "refused")
	require.NotZero(t, accepted)
	require.NotZero(t, refused)
}

// The keys of the vectors stand there as JWKs too.
func TestK01_WycheproofKeys(t *testing.T) {
	t.Parallel()
	for _, name := range slices.Sorted(maps.Keys(primitives)) {
		var file vectorFile
		readVectors(t, name, &file)
		for _, g := range file.TestGroups {
			if len(g.jwk()) > 0 {
				requireSameKey(t, g, name)
			}
		}
	}
}

func requireSameKey(t *testing.T, g vectorGroup, name string) {
	t.Helper()
	got, err := jwks.ParseKey(g.jwk())
	require.NoError(t, err, "%s: %s", name, g.jwk())
	want, err := jwks.NewKey(g.key(t, vector{}), got.ID(), got.Algorithm())
	require.NoError(t, err)
	require.Equal(t, want, got, name)
	require.Equal(t, "none", got.ID())
}

// otherKeys returns the keys in a file that cannot verify a JWS, and fails where
// there are none.
func otherKeys(t *testing.T, name string) (all []json.RawMessage) {
	t.Helper()
	var file struct {
		TestGroups []struct {
			PublicKeyJwk, PrivateKeyJwk, KeyJwk json.RawMessage
			Tests                               []struct{ Public, Private json.RawMessage }
		}
	}
	readVectors(t, name, &file)
	add := func(key json.RawMessage) {
		if isOther(key) {
			all = append(all, key)
		}
	}
	for _, g := range file.TestGroups {
		add(g.PublicKeyJwk)
		add(g.PrivateKeyJwk)
		add(g.KeyJwk)
		for _, v := range g.Tests {
			add(v.Public)
			add(v.Private)
		}
	}
	require.NotEmpty(t, all)
	return all
}

// isOther reports whether a key is private or of a type that has no signatures
// here. Some stand in their file for what must not be mixed up with its own.
func isOther(key json.RawMessage) bool {
	var j struct{ Crv, D string }
	if json.Unmarshal(key, &j) != nil { // none, or in another form
		return false
	}
	return j.D != "" || !slices.Contains([]string{"P-256", "P-384", "P-521", "Ed25519"}, j.Crv)
}

// Keys of other kinds and private ones are left out, and a key beside them stays usable.
func TestK02_WycheproofKeysOfOtherKinds(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"x25519_jwk", "x448_jwk", "ed448", "ecdsa_secp256k1_sha256_p1363", "rsa_oaep_2048_sha256_mgf1sha256", "rsa_pkcs1_2048",
	} {
		for _, key := range otherKeys(t, name) {
			_, err := jwks.ParseKey(key)
			require.Error(t, err, "%s: %s", name, key)
			requireLeftOut(t, key)
		}
	}
}

func requireLeftOut(t *testing.T, key json.RawMessage) {
	t.Helper()
	set, err := jwks.ParseSet(slices.Concat([]byte(`{"keys":[`), key, []byte(`,`+goodJWK+`]}`)))
	require.NoError(t, err)
	require.Len(t, set.Keys, 1)
	require.Equal(t, "good", set.Keys[0].ID())
	require.Len(t, set.Skipped, 1)
	_, err = jwks.ParseSet(slices.Concat([]byte(`{"keys":[`), key, []byte(`]}`)))
	require.ErrorIs(t, err, jwks.ErrNoUsableKey)
}

const goodJWK = `{"kty":"OKP","crv":"Ed25519","kid":"good","x":"fU0Of2FTpptiQrUiq77mhf2kQg-INLEIw72uNp71Sfo"}`

// The files about ECDH have points that are not on their curve.
func TestK01_WycheproofPoints(t *testing.T) {
	t.Parallel()
	for name, curve := range map[string]string{
		"ecdh_secp256r1_webcrypto": "P-256", "ecdh_secp384r1_webcrypto": "P-384", "ecdh_secp521r1_webcrypto": "P-521",
	} {
		var file struct {
			TestGroups []struct {
				Tests []struct {
					TcID    int
					Comment string
					Public  json.RawMessage
					Private json.RawMessage
					Result  string
				}
			}
		}
		readVectors(t, name, &file)
		counts := map[string]int{}
		for _, g := range file.TestGroups {
			for _, v := range g.Tests {
				if !strings.Contains(string(v.Public), `"`+curve+`"`) {
					continue // a good key of another curve
				}
				counts[v.Result]++
				_, err := jwks.ParseKey(v.Public)
				require.Equal(t, v.Result == "valid", err == nil, "%s %d: %s, %s: %v", name, v.TcID, v.Comment, v.Public, err)
				_, err = jwks.ParseKey(v.Private)
				require.Error(t, err)
			}
		}
		t.Log(curve, counts)
		require.NotZero(t, counts["valid"])
		require.NotZero(t, counts["invalid"])
	}
}

// A key of the right type is what the checks above are about, and not one that fits nothing.
func TestWycheproofKeysAreOfTheirType(t *testing.T) {
	t.Parallel()
	for name, alg := range primitives {
		var file vectorFile
		readVectors(t, name, &file)
		for _, g := range file.TestGroups {
			switch g.key(t, g.Tests[0]).(type) {
			case *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey:
				require.True(t, jwt.Fits(alg, g.key(t, g.Tests[0])), name)
			case *jwt.Secret:
			default:
				require.NoError(t, errors.New("a key of no known type"), name)
			}
		}
	}
}
