package oracle_test

import (
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	josejson "github.com/go-jose/go-jose/v4/json"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/internal/strictjson"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
)

// whyNot names why a token was refused, as the list above does.
func whyNot(err error) string {
	var (
		inJSON  *strictjson.Error
		inToken *jwt.Error
		inClaim *oidc.Error
		noKey   *jwks.KeyNotFoundError
	)
	switch {
	case errors.As(err, &inJSON):
		return "JSON: " + string(inJSON.Reason)
	case errors.As(err, &inToken):
		return strings.TrimSuffix(fmt.Sprintf("token: %s: %s", inToken.Reason, inToken.Detail), ": ")
	case errors.As(err, &noKey):
		return "no key"
	case errors.As(err, &inClaim):
		return fmt.Sprintf("claims: %s, %s", inClaim.Claim, inClaim.Reason)
	}
	return "unlisted: " + err.Error()
}

// A finding is what came of comparing one token.
type finding struct {
	accepted bool            // by us
	stricter map[string]bool // why we refused what an oracle accepts
	excepted map[int]bool    // which exceptions there were
}

// compare is the property: what we accept, all oracles accept, and read the same
// in it, but for the exceptions; what we alone refuse, we refuse for a listed reason.
func compare(t *testing.T, alg, raw string) finding {
	t.Helper()
	f := finding{stricter: map[string]bool{}, excepted: map[int]bool{}}
	ours := allOurs()[alg]

	payload, err := ours.payload(raw)
	f.accepted = err == nil
	if err == nil {
		require.Equal(t, decoded(strings.Split(raw, ".")[1]), string(payload), "not what is signed")
		requireSigned(t, alg, raw)
	}
	for _, o := range oracles {
		theirs, theirErr := o.payload(alg, raw)
		f.judge(t, o, false, raw, err, theirErr)
		if err == nil && theirErr == nil {
			requireSamePayload(t, o.name, payload, theirs)
		}
	}
	claimsErr := ours.claims(raw)
	if claimsErr == nil {
		require.NoError(t, err, "the verifier accepts what jwks.Verify refuses")
	}
	if _, strictErr := ours.strict.Verify(t.Context(), raw); strictErr == nil {
		require.NoError(t, claimsErr, "InsecureAllowUntyped refuses what is accepted without")
	}
	for _, o := range oracles {
		if o.claims != nil {
			f.judge(t, o, true, raw, claimsErr, o.claims(alg, raw))
		}
	}
	return f
}

// requireSigned is the oracle of last resort: it is not asked how a token is written.
func requireSigned(t *testing.T, alg, raw string) {
	t.Helper()
	dot := strings.LastIndexByte(raw, '.')
	require.Equal(t, 2, strings.Count(raw, "."))
	require.NoError(t, jwt.VerifySignature(alg, keys()[alg].public, []byte(raw[:dot]), []byte(decoded(raw[dot+1:]))))
	for segment := range strings.SplitSeq(raw, ".") {
		require.Equal(t, segment, base64.RawURLEncoding.EncodeToString([]byte(decoded(segment))), "a second spelling")
	}
}

func (f finding) judge(t *testing.T, o oracle, claims bool, raw string, ours, theirs error) {
	t.Helper()
	switch {
	case ours == nil && theirs != nil:
		i := exceptionFor(o, claims, raw)
		if i < 0 {
			require.NoError(t, theirs, "we accept what %s refuses: %s", o.name, raw)
		}
		f.excepted[i] = true
	case ours != nil && theirs == nil:
		why := whyNot(ours)
		if _, listed := stricterThanOracles[why]; !listed {
			require.NoError(t, ours, "%q is not listed, and %s accepts %s", why, o.name, raw)
		}
		f.stricter[why] = true
	}
}

func exceptionFor(o oracle, claims bool, raw string) int {
	token := takeToken(raw)
	return slices.IndexFunc(exceptions, func(e exception) bool {
		return slices.Contains(strings.Fields(e.oracles), o.name) && (claims || !e.claims) && e.holds(token)
	})
}

func requireSamePayload(t *testing.T, oracle string, ours, theirs []byte) {
	t.Helper()
	if oracle != "golang-jwt" {
		require.Equal(t, string(ours), string(theirs), oracle)
		return
	}
	var a, b map[string]any
	require.NoError(t, strictjson.Unmarshal(ours, &a))
	d := josejson.NewDecoder(strings.NewReader(string(theirs)))
	d.SetNumberType(josejson.UnmarshalJSONNumber)
	require.NoError(t, d.Decode(&b))
	require.Equal(t, a, b, oracle)
}

// A seed is a token before it is signed; see edits for what happens to it then.
type seed struct {
	header, payload string
	edit            byte
	at              uint16
	with            byte
}

// build signs, and then does one thing to the text.
func (s seed) build(alg string) string {
	return edits[int(s.edit)%len(edits)](signed(alg, s.header, s.payload), int(s.at), s.with)
}

// edits are what the fuzzing does to a text: nothing, mostly, for then all depends
// on header and payload.
var edits = []func(raw string, at int, with byte) string{
	func(raw string, _ int, _ byte) string { return raw },
	func(raw string, at int, with byte) string {
		i := at % len(raw)
		return raw[:i] + string(with) + raw[i+1:]
	},
	func(raw string, at int, with byte) string {
		i := at % (len(raw) + 1)
		return raw[:i] + string([]byte{with}) + raw[i:]
	},
	func(raw string, at int, _ byte) string { i := at % len(raw); return raw[:i] + raw[i+1:] },
	func(raw string, at int, with byte) string { return nth(spelled, raw, at, int(with)) },
	func(raw string, at int, with byte) string {
		return nth(aroundDecoded(string([]byte{with})), raw, at, at)
	},
	func(raw string, at int, _ byte) string {
		all := slices.Collect(reshaped(raw))
		return all[at%len(all)]
	},
}

// nth changes one segment in one of the ways in which it can be changed.
func nth(mutate func(string) []string, raw string, segment, way int) string {
	parts := strings.Split(raw, ".")
	i := segment % len(parts)
	all := mutate(parts[i])
	parts[i] = all[way%len(all)]
	return strings.Join(parts, ".")
}

// with returns the payload with one member more, or another value of it.
func with(member string) string {
	name, _, _ := strings.Cut(member, ":")
	if i := strings.Index(payload, name+":"); i >= 0 {
		rest := payload[i:]
		end := strings.IndexAny(rest, ",}")
		return payload[:i] + member + rest[end:]
	}
	return strings.TrimSuffix(payload, "}") + "," + member + "}"
}

func seeds() (all []seed) {
	add := func(header, payload string) { all = append(all, seed{header: header, payload: payload}) }
	add(header, payload)
	add(`{"alg":"$alg"}`, payload)
	add(`{"alg":"$alg","typ":"JWT","kid":"k"}`, payload)
	add(`{"alg":"$alg"}`, ` {"a" : [ 1.5e3 , {"b":null} ] } `)
	for _, h := range headers {
		add(h, payload)
	}
	for _, p := range payloads() {
		add(header, p)
		add(`{"alg":"$alg"}`, p)
	}
	for edit := range byte(len(edits)) {
		for _, at := range []uint16{0, 1, 2, 3, 5, 8, 13, 17, 22} {
			for _, with := range "\n =.A\x00" {
				all = append(all, seed{header, payload, edit, at, byte(with)})
			}
		}
	}
	return all
}

var headers = []string{
	`{"typ":"at+jwt"}`, `{"alg":null}`, `{"alg":"none"}`, `{"alg":"None"}`, `{"alg":""}`, `{"alg":["$alg"]}`, `{"alg":1}`, `{"ALG":"$alg"}`, `{"Alg":"$alg","alg":"$alg"}`,
	`{"alg":"$alg","alg":"none"}`, `{"alg":"none","alg":"$alg"}`, `{"alg":"$alg","\u0061lg":"$alg"}`, `{"alg":"$alg "}`, `{"alg":"ES256"}`, `{"alg":"HS256"}`, `{"alg":"EdDSA"}`, `{"alg":"Ed25519"}`, `{"alg":"Ed448"}`, `{"alg":"ES256K"}`,
	`{"\u0061lg":"$alg","typ":"at+jwt"}`, `{"alg":"$alg","typ":"AT+JWT"}`, `{"alg":"$alg","typ":"application/at+jwt"}`, `{"alg":"$alg","typ":1}`, `{"alg":"$alg","typ":null}`, `{"alg":"$alg","typ":"logout+jwt"}`, `{"alg":"$alg","TYP":"at+jwt"}`,
	`{"alg":"$alg","kid":""}`, `{"alg":"$alg","kid":null}`, `{"alg":"$alg","kid":1}`, `{"alg":"$alg","kid":"\u0000"}`, `{"alg":"$alg","kid":"../../etc/passwd"}`, `{"alg":"$alg","Kid":"k"}`, `{"alg":"$alg","KID":"k"}`, `{"alg":"$alg","kid":"` + strings.Repeat("k", 300) + `"}`,
	`{"alg":"$alg","crit":[]}`, `{"alg":"$alg","crit":["exp"],"exp":1}`, `{"alg":"$alg","crit":["b64"],"b64":true}`, `{"alg":"$alg","crit":["b64"],"b64":false}`, `{"alg":"$alg","crit":null}`, `{"alg":"$alg","b64":true}`, `{"alg":"$alg","b64":false}`,
	`{"alg":"$alg","zip":"DEF"}`, `{"alg":"$alg","cty":"JWT"}`, `{"alg":"$alg","jwk":{"kty":"oct","k":"AA"}}`, `{"alg":"$alg","jwk":` + goodJWK + `}`, `{"alg":"$alg","jwk":null}`,
	`{"alg":"$alg","jku":"https://evil.example/keys"}`, `{"alg":"$alg","jku":1}`, `{"alg":"$alg","x5u":"https://evil.example/c"}`, `{"alg":"$alg","x5u":[]}`, `{"alg":"$alg","x5c":["AA=="]}`, `{"alg":"$alg","x5c":[]}`, `{"alg":"$alg","x5c":1}`, `{"alg":"$alg","x5t":"AAAA"}`, `{"alg":"$alg","x5t":1}`, `{"alg":"$alg","x5t#S256":1}`, `{"alg":"$alg","nonce":"n"}`, `{"alg":"$alg","nonce":1}`,
	`{"alg":"$alg","x":1e400}`, `{"alg":"$alg","x":1e39}`, `{"alg":"$alg","x":{"a":1,"a":2}}`, `{"alg":"$alg","x":{"a":1,"A":2}}`, `{"alg":"$alg","x":"\ud800"}`, "{\"alg\":\"$alg\",\"x\":\"\xff\"}", ` {"alg":"$alg"} `, "{\"alg\":\"$alg\"}\n", `{"alg":"$alg"}{}`, "\ufeff" + `{"alg":"$alg"}`, `{"alg":"$alg",}`, `[]`, `null`, `""`, ``, `{}`,
	`{"alg":"$alg","x":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `}`, `{"alg":"$alg","x":` + strings.Repeat("9", 40) + `}`, `{"alg":"$alg","x":"` + strings.Repeat("x", 3000) + `"}`, `{"alg":"$alg","iss":"https://op.example","enc":"A128GCM","epk":{},"apu":1}`, `{"alg":"$alg","":1," ":2}`,
}

func payloads() []string {
	all := []string{
		``, `{}`, `[]`, `null`, `"x"`, `1`, `{} `, ` {}`, `{}{}`, "\ufeff{}", "{}\x00", `{"a":1,}`, payload + " ", payload + payload, payload[1:], `{"a":1e400}`, `{"a":1E400,"b":-0,"c":1e-400}`,
		`{"big":` + objectOf(513) + `}`, with(`"iss":"https://op.example","iss":"https://op.example"`), with(`"ISS":"x"`), with(`"iſs":"x"`), with(`"Sub":"admin"`), with(`"EXP":1`), with(`"roles":1,"Roles":2`), with(`"SCOPE":"x"`), with(`"Groups":1`), with(`"o":{"iss":1,"ISS":2}`),
		strings.Replace(payload, `"iss"`, `"i\u0073s"`, 1), strings.Replace(payload, `"aud"`, `"Aud"`, 1),
	}
	for _, name := range []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "azp", "scope", "scp", "cnf", "nonce", "at_hash", "events", "typ", "token_use", "auth_time", "acr", "amr", "_claim_names", "_claim_sources", "act", "email"} {
		for _, v := range []string{`null`, `""`, `"x"`, `0`, `-1`, `1e3`, `true`, `[]`, `{}`, `["api"]`, `["api","x"]`, `[null]`, `["api",1]`, `{"a":1}`, `{"a":"b"}`, `"\u0000"`, `"jane\u007f"`, `"https://op.example"`, `"https://op.example/"`, `"bearer"`} {
			all = append(all, with(`"`+name+`":`+v))
		}
		all = append(all, strings.Replace(payload, `"`+name+`":`, `"not `+name+`":`, 1))
	}
	for _, name := range []string{"exp", "nbf", "iat"} {
		for _, v := range []string{"1893455939", "1893455940", "1893455941", "1893455999", "1893456000", "1893456060", "1893456061", "1893456000.5", "1893455940.5", "1893456060.5", "1893455940.0", "1.8934563e9", "253402300799", "253402300800", "9223372036854775807", "1e18", "1e400", "-0", "1e-400", `"1893456300"`, "18934563000000"} {
			all = append(all, with(`"`+name+`":`+v))
		}
	}
	all = append(all, with(`"x":1e400`), with(`"x":{"y":[1e400]}`))
	// azp is read where there is no client_id.
	withoutClient := strings.Replace(payload, `"client_id":"w",`, "", 1)
	for _, azp := range []string{`""`, `"w"`, `null`, `1`, `"\u0000"`, `["w"]`} {
		all = append(all, strings.TrimSuffix(withoutClient, "}")+`,"azp":`+azp+`}`)
	}
	all = append(all, with(`"long":"`+strings.Repeat("x", 16<<10)+`"`))
	for _, aud := range []string{`["api","` + strings.Repeat("x", 1100) + `"]`, `[` + strings.Repeat(`"api",`, 32) + `"api"]`, `"API"`, `"api "`, `["x",["api"]]`} {
		all = append(all, with(`"aud":`+aud))
	}
	return append(all, realClaims...)
}

// FuzzTokenAgainstOracles: see compare. Whatever header and payload are, the
// signature is good, so that it is never what stands between a token and the finding.
func FuzzTokenAgainstOracles(f *testing.F) {
	for i, s := range seeds() {
		if len(s.header)+len(s.payload) < seedSize && (fuzzing() || i < 10) { // TestListedDifferencesAreMet has them all
			f.Add(byte(i), s.header, s.payload, s.edit, s.at, s.with)
		}
	}
	f.Fuzz(func(t *testing.T, alg byte, header, payload string, edit byte, at uint16, with byte) {
		name := everyAlgorithm[int(alg)%len(everyAlgorithm)]
		compare(t, name, seed{header, payload, edit, at, with}.build(name))
	})
}

func fuzzing() bool { return flag.Lookup("test.fuzz").Value.String() != "" }

// FuzzTokenTextAgainstOracles changes the text alone.
func FuzzTokenTextAgainstOracles(f *testing.F) {
	for i, alg := range everyAlgorithm {
		f.Add(byte(i), signed(alg, header, payload))
		f.Add(byte(i), signed(alg, `{"alg":"$alg"}`, realClaims[0]))
	}
	f.Fuzz(func(t *testing.T, alg byte, raw string) {
		compare(t, everyAlgorithm[int(alg)%len(everyAlgorithm)], raw)
	})
}

// algorithmFor gives all algorithms their turn, and the quick ones more of them.
func algorithmFor(i int) string {
	if i%10 == 0 {
		return everyAlgorithm[i/10%len(everyAlgorithm)]
	}
	return []string{"ES256", "EdDSA", "HS256", "Ed25519", "HS512"}[i%5]
}

// Every listed difference is met by a seed: a list that is longer than the truth
// would hide what it lists too much.
func TestListedDifferencesAreMet(t *testing.T) {
	t.Parallel()
	accepted, stricter, excepted := 0, map[string]int{}, map[int]int{}
	for i, s := range seeds() {
		alg := algorithmFor(i)
		f := compare(t, alg, s.build(alg))
		if f.accepted {
			accepted++
		}
		for why := range f.stricter {
			stricter[why]++
		}
		for e := range f.excepted {
			excepted[e]++
		}
	}
	t.Log(accepted, "accepted, refused by us alone:", stricter, "exceptions:", excepted)
	require.NotZero(t, accepted)
	require.ElementsMatch(t, slices.Collect(maps.Keys(stricterThanOracles)), slices.Collect(maps.Keys(stricter)))
	for i, e := range exceptions {
		require.NotZero(t, excepted[i], "%s: %s", e.oracles, e.why)
	}
}
