package oracle_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/jwks"
)

// A joseFile has tokens and the keys for them, each a JWK or a JWK Set.
type joseFile struct {
	NumberOfTests int
	TestGroups    []joseGroup
}

type joseGroup struct {
	Comment string
	Public  json.RawMessage // missing for secrets
	Private json.RawMessage
	Tests   []joseVector
}

type joseVector struct {
	TcID     int
	Comment  string
	Jws, Jwe *joseText // the one or the other
	Pt       *hexBytes
	Result   string
}

// joseText is a serialization, as a string or, if it is in JSON, as an object.
type joseText string

// UnmarshalJSON implements json.Unmarshaler.
func (s *joseText) UnmarshalJSON(data []byte) error {
	if data[0] == '"' {
		return json.Unmarshal(data, (*string)(s))
	}
	*s = joseText(data)
	return nil
}

// symmetric reports whether the keys are secrets, or have one among them.
func (g joseGroup) symmetric() bool { return g.Public == nil }

func (g joseGroup) document() []byte {
	if g.symmetric() {
		return g.Private
	}
	return g.Public
}

// families returns the algorithms of the kind of the keys, and those of the other.
func (g joseGroup) families() (own, other []string) {
	if g.symmetric() {
		return jwt.Symmetric, jwt.Asymmetric
	}
	return jwt.Asymmetric, jwt.Symmetric
}

// named are the algorithms that the keys name, of those that there are here.
func (g joseGroup) named() (all []string) {
	own, _ := g.families()
	for _, alg := range own {
		if bytes.Contains(g.document(), fmt.Appendf(nil, "%q", alg)) {
			all = append(all, alg)
		}
	}
	return all
}

// A deviation is a vector whose result is not what Wycheproof says, and what it is.
type deviation struct {
	refusal string // or "" for what is accepted
	why     string
}

const (
	emptyPayload = "valid, and refused: nothing is signed that could be a token (J16)"
	wrongAlg     = "valid, and refused: a defect of the vector, whose key names another algorithm than the token (J05)"
	noSuchAlg    = `valid, and refused: a defect of the vector, whose key is for "ES521", which there is not (RFC 7518 section 3.1)`
	notBase64url = `valid, and refused: a defect of the vector, which has a "?" in it (RFC 7515 section 2); one that says this of the signature is invalid`
	samePadding  = "invalid, and accepted: a defect of the vector, which is 357, that is valid, without the padding it is named for"
	oneKid       = "invalid, and accepted: each key of that kid is tried (K04), and the other one here is no canonical base64url; Wycheproof calls it ambiguous"
)

var deviations = map[string]map[int]deviation{
	"json_web_signature": {
		259: {malformed, emptyPayload}, 264: {malformed, emptyPayload}, 268: {malformed, emptyPayload},
		272: {malformed, emptyPayload}, 320: {malformed, emptyPayload}, 325: {malformed, emptyPayload},
		346: {noKey, wrongAlg}, 350: {noKey, wrongAlg},
		347: {unsupportedKey, noSuchAlg}, 351: {unsupportedKey, noSuchAlg},
		372: {malformed, notBase64url}, 373: {malformed, notBase64url},
		367: {"", samePadding}, 370: {"", samePadding},
	},
	"json_web_key":    {4: {"", oneKid}},
	"json_web_crypto": {},
}

const (
	unsupportedKey = "key: " + string(jwks.KeyUnsupported)
	malformedKey   = "key: " + string(jwks.KeyMalformed)
	privateKeys    = "key: " + string(jwks.KeyPrivate)
	secretKey      = "key: " + string(jwks.KeySymmetric)
	weakKey        = "key: " + string(jwks.KeyWeak)
	wrongUse       = "key: " + string(jwks.KeyUse)
	noUsableKey    = "no usable key"
)

// refusals are how many vectors are refused for what: one that is refused for
// something else than what is wrong with it would say nothing.
var refusals = map[string]map[string]int{
	"json_web_signature": {
		"": 36, badSignature: 292, malformed: 55, badHeader: 1, badAlgorithm: 1,
		noKey: 10, unsupportedKey: 2, wrongUse: 4,
	},
	"json_web_key":    {"": 6, badSignature: 1, noUsableKey: 18, unsupportedKey: 1},
	"json_web_crypto": {"": 4, badSignature: 7, malformed: 31, badHeader: 1, badAlgorithm: 1, noKey: 3, weakKey: 1, unsupportedKey: 1},
}

func TestJ01_WycheproofJWS(t *testing.T) {
	t.Parallel()
	for name := range deviations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			counts, met := map[string]int{}, map[int]deviation{}
			eachJWS(t, name, func(g joseGroup, v joseVector) {
				got := g.verdict(t, v)
				counts[got]++
				if (got == "") != (v.Result == "valid") {
					met[v.TcID] = deviation{got, deviations[name][v.TcID].why}
				}
			})
			require.Equal(t, deviations[name], met)
			require.Equal(t, refusals[name], counts)
		})
	}
}

// eachJWS calls f for each JWS of a file, and fails where the file is not complete.
func eachJWS(t *testing.T, name string, f func(joseGroup, joseVector)) {
	t.Helper()
	var file joseFile
	readVectors(t, name, &file)
	total := 0
	for _, g := range file.TestGroups {
		for _, v := range g.Tests {
			total++
			require.Contains(t, []string{"valid", "invalid"}, v.Result)
			if v.Jws != nil {
				f(g, v)
			}
		}
	}
	require.Equal(t, file.NumberOfTests, total)
}

// verdict is why a vector is refused where each algorithm of the kind of its keys is
// allowed. It must not depend on whether those are all of them or what the keys
// name. With algorithms of the other kind, or the private key, nothing is accepted.
func (g joseGroup) verdict(t *testing.T, v joseVector) string {
	t.Helper()
	own, other := g.families()
	payload, err := jwks.VerifyCompact(g.document(), string(*v.Jws), own...)
	if err == nil {
		require.Equal(t, decoded(strings.Split(string(*v.Jws), ".")[1]), string(payload))
	}
	named := g.named()
	require.True(t, err != nil || named != nil, v.TcID)
	if named != nil {
		_, byName := jwks.VerifyCompact(g.document(), string(*v.Jws), named...)
		require.Equal(t, err == nil, byName == nil, "%d: %v", v.TcID, byName)
	}
	for _, document := range [][]byte{g.Public, g.Private} {
		_, crossed := jwks.VerifyCompact(document, string(*v.Jws), other...)
		require.Error(t, crossed, "%d", v.TcID)
	}
	_, private := jwks.VerifyCompact(g.Private, string(*v.Jws), jwt.Asymmetric...)
	require.Error(t, private, "%d", v.TcID)
	return refusal(err)
}

// What a vector is called a defect for is all that is wrong with it.
func TestJ05_WycheproofDefectsRepaired(t *testing.T) {
	t.Parallel()
	repairs := map[string]*strings.Replacer{
		wrongAlg:     strings.NewReplacer(`"PS256"`, `"PS384"`),
		noSuchAlg:    strings.NewReplacer(`"ES521"`, `"ES512"`),
		notBase64url: strings.NewReplacer("?", ""),
	}
	const name = "json_web_signature"
	repaired, texts := 0, map[int]joseText{}
	eachJWS(t, name, func(g joseGroup, v joseVector) {
		texts[v.TcID] = *v.Jws
		repair := repairs[deviations[name][v.TcID].why]
		if repair == nil {
			return
		}
		repaired++
		own, _ := g.families()
		_, err := jwks.VerifyCompact([]byte(repair.Replace(string(g.document()))), repair.Replace(string(*v.Jws)), own...)
		require.NoError(t, err, v.TcID)
	})
	require.Equal(t, 6, repaired)
	require.Equal(t, texts[357], texts[367])
	require.Equal(t, texts[357], texts[370])
}

// What is wrong with a set is wrong with a key in it; and a place for public keys
// has no private ones and no secrets.
func TestK02_WycheproofSets(t *testing.T) {
	t.Parallel()
	counts, public := map[string]int{}, map[string]int{}
	eachJWS(t, "json_web_key", func(g joseGroup, v joseVector) {
		own, _ := g.families()
		for _, member := range membersOf(t, g.document()) {
			_, err := jwks.VerifyCompact(member, string(*v.Jws), own...)
			counts[refusal(err)]++
		}
		for _, document := range [][]byte{g.Public, g.Private} {
			for _, member := range membersOf(t, document) {
				_, err := jwks.ParseKey(member)
				public[refusal(err)]++
			}
		}
	})
	require.Equal(t, map[string]int{
		"": 7, badSignature: 1, noKey: 2, malformedKey: 7, unsupportedKey: 5, weakKey: 6, wrongUse: 2,
	}, counts)
	require.Equal(t, map[string]int{
		"": 2, malformedKey: 3, unsupportedKey: 2, weakKey: 3, wrongUse: 2, privateKeys: 11, secretKey: 18,
	}, public)
}

func membersOf(t *testing.T, document []byte) []json.RawMessage {
	t.Helper()
	var set struct{ Keys []json.RawMessage }
	if document != nil {
		require.NoError(t, json.Unmarshal(document, &set))
		require.NotEmpty(t, set.Keys)
	}
	return set.Keys
}
