package oracle_test

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	josejson "github.com/go-jose/go-jose/v4/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/strictjson"
)

// The limits that strictjson has and jsontext has not, written a second time: what
// is compared must not come from what it is compared with.
const (
	deepest     = 16
	mostMembers = 512
	longest     = 32
)

// A value is what the reference reads.
type value struct {
	raw     string
	kind    jsontext.Kind
	text    string // of a string, decoded
	names   []string
	members map[string]value
	list    []value
}

// readReference reads one document as encoding/json/v2 does by default: no name
// twice, all text Unicode, nothing behind it.
func readReference(document string) (value, error) {
	d := jsontext.NewDecoder(strings.NewReader(document), jsontext.AllowDuplicateNames(false), jsontext.AllowInvalidUTF8(false))
	raw, err := d.ReadValue()
	if err != nil {
		return value{}, err
	}
	v, err := take(string(raw))
	if err != nil {
		return value{}, err
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return value{}, errors.New("something stands behind the document")
	}
	return v, nil
}

// take takes a value apart.
func take(raw string) (v value, err error) {
	v = value{raw: raw, kind: jsontext.Value(raw).Kind(), members: map[string]value{}}
	d := jsontext.NewDecoder(strings.NewReader(raw))
	token, err := d.ReadToken()
	if err != nil {
		return v, err
	}
	switch v.kind {
	case jsontext.KindString:
		v.text = token.String()
	case jsontext.KindBeginObject:
		err = v.takeMembers(d)
	case jsontext.KindBeginArray:
		err = v.takeList(d)
	}
	return v, err
}

func (v *value) takeMembers(d *jsontext.Decoder) error {
	for d.PeekKind() != jsontext.KindEndObject {
		token, err := d.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		raw, err := d.ReadValue()
		if err != nil {
			return err
		}
		v.names = append(v.names, name)
		if v.members[name], err = take(string(raw)); err != nil {
			return err
		}
	}
	return nil
}

func (v *value) takeList(d *jsontext.Decoder) error {
	for d.PeekKind() != jsontext.KindEndArray {
		raw, err := d.ReadValue()
		if err != nil {
			return err
		}
		element, err := take(string(raw))
		if err != nil {
			return err
		}
		v.list = append(v.list, element)
	}
	return nil
}

// stricterReasons are why strictjson may refuse what encoding/json/v2 reads, and
// must. A document may give several of them.
var stricterReasons = map[strictjson.Reason]string{
	strictjson.NotObject:      "a set of claims is an object (RFC 7519 section 7.2)",
	strictjson.FoldedName:     "readers that ignore case take two such names for one",
	strictjson.TooDeep:        "depth is stack, and no real document is deep",
	strictjson.TooManyMembers: "names are compared with each other",
	strictjson.LongNumber:     "a million digits cost seconds in math/big",
}

// stricter returns those of them that a document gives.
func stricter(v value) map[strictjson.Reason]bool {
	found := map[strictjson.Reason]bool{}
	if v.kind != jsontext.KindBeginObject {
		found[strictjson.NotObject] = true
	}
	v.collect(1, found)
	return found
}

func (v value) collect(depth int, found map[strictjson.Reason]bool) {
	switch v.kind {
	case jsontext.KindNumber:
		if len(v.raw) > longest {
			found[strictjson.LongNumber] = true
		}
	case jsontext.KindBeginObject, jsontext.KindBeginArray:
		if depth > deepest {
			found[strictjson.TooDeep] = true
		}
		if len(v.names) > mostMembers {
			found[strictjson.TooManyMembers] = true
		}
		if v.hasFoldedNames() {
			found[strictjson.FoldedName] = true
		}
		for _, m := range v.members {
			m.collect(depth+1, found)
		}
		for _, e := range v.list {
			e.collect(depth+1, found)
		}
	}
}

// hasFoldedNames compares each name with each other one: slow, and plain to see.
func (v value) hasFoldedNames() bool {
	if len(v.names) > 600 {
		return false // refused by number; comparing would take long
	}
	for i, a := range v.names {
		if slices.ContainsFunc(v.names[:i], func(b string) bool { return strings.EqualFold(a, b) }) {
			return true
		}
	}
	return false
}

// requireSameVerdict is the property: strictjson accepts exactly what the reference
// accepts and no listed reason forbids, and reads the same in it.
func requireSameVerdict(t *testing.T, document string) (accepted bool) {
	t.Helper()
	object, err := strictjson.Parse([]byte(document))
	reference, referenceErr := readReference(document)
	if referenceErr != nil {
		require.Error(t, err, "the reference refuses it: %v", referenceErr)
		return false
	}
	reasons := stricter(reference)
	if err == nil {
		require.Empty(t, reasons, "accepted in spite of")
		requireSameObject(t, reference, object)
		return true
	}
	var e *strictjson.Error
	require.ErrorAs(t, err, &e)
	require.Contains(t, stricterReasons, e.Reason, "refused, and the reference accepts it")
	require.Contains(t, reasons, e.Reason, "refused for what is not so")
	return false
}

func requireSameObject(t *testing.T, reference value, object strictjson.Object) {
	t.Helper()
	var names []string
	for name, raw := range object.All() {
		names = append(names, name)
		require.Equal(t, reference.members[name].raw, raw)
		got, ok := object.Get(name)
		require.True(t, ok)
		require.Equal(t, raw, got)
	}
	require.Equal(t, reference.names, names)
	for _, claims := range [][]string{{"iss"}, {"sub"}, {"kid", "aud"}, {"k"}} {
		require.Equal(t, reference.hasNameInAnotherCase(claims), object.HasFolded(claims), "%q", claims)
	}
	requireSameValue(t, reference)
	requireSameDecoding(t, reference)
}

func (v value) hasNameInAnotherCase(names []string) bool {
	return slices.ContainsFunc(v.names, func(got string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return got != n && strings.EqualFold(got, n) })
	})
}

// requireSameValue asks what strictjson gives for a value, at every depth.
func requireSameValue(t *testing.T, v value) {
	t.Helper()
	require.Equal(t, kinds[v.kind], strictjson.Kind(v.raw), "%q", v.raw)
	text, isString := strictjson.String(v.raw)
	require.Equal(t, v.kind == jsontext.KindString, isString)
	require.Equal(t, v.text, text)

	elements := slices.Collect(strictjson.Elements(v.raw))
	require.Len(t, elements, len(v.list))
	for i, e := range v.list {
		require.Equal(t, e.raw, elements[i])
		requireSameValue(t, e)
	}
	for _, name := range v.names {
		got, ok := strictjson.Member(v.raw, name)
		require.True(t, ok, "%q", name)
		require.Equal(t, v.members[name].raw, got)
		requireSameValue(t, v.members[name])
	}
	_, ok := strictjson.Member(v.raw, "no member has this name")
	require.Equal(t, slices.Contains(v.names, "no member has this name"), ok)
}

var kinds = map[jsontext.Kind]byte{
	jsontext.KindNull: 'n', jsontext.KindTrue: 't', jsontext.KindFalse: 't', jsontext.KindString: '"',
	jsontext.KindNumber: '0', jsontext.KindBeginObject: '{', jsontext.KindBeginArray: '[',
}

// requireSameDecoding asks strictjson for the whole document as Go values.
func requireSameDecoding(t *testing.T, v value) {
	t.Helper()
	var decoded any
	require.NoError(t, strictjson.Decode(v.raw, &decoded))
	require.Equal(t, v.decoded(), decoded)
}

func (v value) decoded() any {
	switch v.kind {
	case jsontext.KindNull:
		return nil
	case jsontext.KindString:
		return v.text
	case jsontext.KindNumber:
		return josejson.Number(v.raw)
	case jsontext.KindBeginArray:
		list := make([]any, len(v.list))
		for i, e := range v.list {
			list[i] = e.decoded()
		}
		return list
	case jsontext.KindBeginObject:
		object := map[string]any{}
		for name, m := range v.members {
			object[name] = m.decoded()
		}
		return object
	}
	return v.kind == jsontext.KindTrue
}

// realClaims are shaped as those of providers that people have.
var realClaims = []string{
	// Keycloak
	`{"exp":1893456000,"iat":1893455700,"auth_time":1893455690,"jti":"onrtac:6a1b","iss":"https://sso.example.com/realms/prod","aud":["api","account"],"sub":"f:3c9a1b7e:jane","typ":"Bearer","azp":"web","sid":"0a1b2c3d","acr":"1","allowed-origins":["https://app.example.com"],"realm_access":{"roles":["offline_access","uma_authorization"]},"resource_access":{"api":{"roles":["read"]},"account":{"roles":["view-profile"]}},"scope":"openid email","email_verified":true,"name":"J\u00e1ne D\u00f6e","groups":["/staff","/staff/eng"],"preferred_username":"jane","given_name":"Jáne","email":"jane@example.com"}`,
	// Entra ID
	`{"aud":"00000003-0000-0000-c000-000000000000","iss":"https://login.microsoftonline.com/72f988bf/v2.0","iat":1893455700,"nbf":1893455700,"exp":1893459600,"aio":"AXQAi/8TAAAA","azp":"b1a2","azpacr":"1","groups":["a1","b2"],"name":"Jane","oid":"690222be","preferred_username":"jane@example.com","rh":"0.ARwA","roles":["Task.Read"],"scp":"access_as_user","sub":"HKZpfaHyWadeOouYlitjrI","tid":"72f988bf","uti":"fqiBqXLPj0eQa82S","ver":"2.0","xms_tcdt":1289241547,"wids":[],"_claim_names":{"groups":"src1"},"_claim_sources":{"src1":{"endpoint":"https://graph.example/getMemberObjects"}}}`,
	// GitHub Actions
	`{"jti":"example-id","sub":"repo:octo-org@123456/octo-repo@65432:environment:prod","environment":"prod","aud":"https://github.com/octo-org","ref":"refs/heads/main","sha":"example-sha","repository":"octo-org/octo-repo","repository_owner":"octo-org","actor_id":"12","repository_visibility":"private","repository_id":"74","repository_owner_id":"65","run_id":"example-run-id","run_number":"10","run_attempt":"2","runner_environment":"github-hosted","actor":"octocat","workflow":"example-workflow","head_ref":"","base_ref":"","event_name":"workflow_dispatch","ref_type":"branch","job_workflow_ref":"octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main","iss":"https://token.actions.githubusercontent.com","nbf":1632492967,"exp":1632493867,"iat":1632493567}`,
	// A security event, and the confirmation of a key
	` { "events" : { "http://schemas.openid.net/event/backchannel-logout" : { } } , "cnf" : {"jwk":{"kty":"OKP","crv":"Ed25519","x":"AA"}}, "n":null }` + "\r\n\t",
}

// documents are what the fuzzing of JSON begins with.
func documents() []string {
	all := slices.Concat(realClaims, []string{
		``, `{}`, `[]`, `null`, `"x"`, `1`, `{}{}`, `{} x`, "\uFEFF{}", "{\"a\":1}\x00", `{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{"a":1`, `{'a':1}`, `{a:1}`,
		`{"a":1,"a":1}`, `{"iss":1,"i\u0073s":2}`, `{"a":{"b":1,"\u0062":2}}`, `{"x":[{"a":1},{"a":1}]}`, `{"":1,"":2}`,
		`{"iss":1,"ISS":2}`, `{"sub":1,"ſub":2}`, `{"kid":1,"Kid":2}`, `{"K":1,"k":2}`, `{"a":{"x":1,"X":2}}`, `{"ä":1,"Ä":2}`, `{"ß":1,"ẞ":2}`, `{"ß":1,"ss":2}`,
		`{"σ":1,"ς":2}`, `{"İ":1,"i":2}`, `{"ISS":1}`, `{"Kid":1}`, `{"ſub":1}`, `{"@":1,"` + "`" + `":2}`, `{"[":1,"{":2}`, `{"abcdefgh@":1,"abcdefgh` + "`" + `":2}`,
		`{"a":0}`, `{"a":-0}`, `{"a":01}`, `{"a":1.}`, `{"a":.1}`, `{"a":1e}`, `{"a":1e+5}`, `{"a":-}`, `{"a":1E-2,"b":0.0e0}`, `{"a":+1}`, `{"a":0x1}`,
		`{"a":12345678901234567890123456789012}`, `{"a":123456789012345678901234567890123}`, `{"a":1e400}`, `{"a":NaN}`, `{"a":-Infinity}`,
		`{"a":tru}`, `{"a":truee}`, `{"a":nul`, `{"a":[1 2]}`, `{"a":[1,]}`, `{"a":[}`, `{"a" : [ ] , "b" : { } }`, "{\v}", "{\u00a0}",
		`{"a":"\ud83d\ude00"}`, `{"a":"\ud83d"}`, `{"a":"\ude00\ud83d"}`, `{"a":"\ud83d\u0041"}`, `{"\ud83d\ude00":1,"😀":2}`, `{"a":"\u0000"}`, `{"a":"\uFFFF\uFfFe"}`,
		"{\"a\":\"\xff\"}", "{\"\xc3\":1}", "{\"a\":\"\xed\xa0\x80\"}", "{\"a\":\"\xc0\x80\"}", "{\"a\":\"\xf4\x90\x80\x80\"}", "{\"a\":\"\x1f\"}", "{\"a\":\"\x7f\"}", `{"a":"\x"}`, `{"a":"\u12g4"}`, `{"a":"\`, `{"a":"\/\b\f\n\r\t\"\\"}`,
		`{"m":` + strings.Repeat("[", 15) + strings.Repeat("]", 15) + `}`, `{"m":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`,
		strings.Repeat(`{"a":`, 16) + `1` + strings.Repeat(`}`, 16), strings.Repeat(`{"a":`, 16) + `{}` + strings.Repeat(`}`, 16),
		objectOf(512), objectOf(513), `{"a":` + objectOf(513) + `}`,
	})
	// What ends a run of plain characters, at each place of a word of eight.
	for _, special := range []string{`"`, `\"`, `\n`, `\u00e9`, "é", "\x1f", "\x80", "😀", "!", "#", "[", "]"} {
		for before := range 10 {
			text := strings.Repeat("x", before) + special + strings.Repeat("y", 9)
			all = append(all, `{"a":"`+text+`"}`, `{"`+text+`":1,"A":{}}`)
		}
	}
	return all
}

func objectOf(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"m%d":%d`, i, i)
	}
	return "{" + strings.TrimPrefix(b.String(), ",") + "}"
}

// seedSize keeps seeds small: what is large makes each try slow, and the limits that
// it is there for are met in a test.
const seedSize = 2000

// FuzzStrictJSONAgainstV2: see requireSameVerdict.
func FuzzStrictJSONAgainstV2(f *testing.F) {
	for _, d := range documents() {
		if len(d) < seedSize {
			f.Add(d)
		}
	}
	f.Fuzz(func(t *testing.T, document string) { requireSameVerdict(t, document) })
}

// Each listed reason is met by a seed, and some seeds are accepted: a list that is
// longer than the truth would hide what it lists too much.
func TestStricterReasonsAreMet(t *testing.T) {
	t.Parallel()
	met, accepted := map[strictjson.Reason]bool{}, 0
	for _, d := range documents() {
		if requireSameVerdict(t, d) {
			accepted++
		} else if v, err := readReference(d); err == nil {
			maps.Copy(met, stricter(v))
		}
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(stricterReasons)), slices.Collect(maps.Keys(met)))
	require.GreaterOrEqual(t, accepted, len(realClaims)+10)
}

// FuzzStrictJSONGrammarAgainstV2 grows documents that are right but for a few
// places, where flipping bytes of a document mostly breaks it.
func FuzzStrictJSONGrammarAgainstV2(f *testing.F) {
	for choices := range someChoices(600) {
		f.Add(choices)
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		g := grammar{choices: choices}
		requireSameVerdict(t, g.object(0))
	})
}

// What grows is accepted and refused, both often: else the target above tests little.
func TestGrammarIsBalanced(t *testing.T) {
	t.Parallel()
	const n = 1000
	accepted, refused := 0, map[strictjson.Reason]int{}
	for choices := range someChoices(n) {
		g := grammar{choices: choices}
		document := g.object(0)
		if requireSameVerdict(t, document) {
			accepted++
			continue
		}
		_, err := strictjson.ParseString(document)
		var e *strictjson.Error
		require.ErrorAs(t, err, &e)
		refused[e.Reason]++
	}
	t.Log(accepted, "accepted, refused:", refused)
	require.Greater(t, accepted, n/10)
	for _, r := range []strictjson.Reason{
		strictjson.Syntax, strictjson.DuplicateName, strictjson.FoldedName, strictjson.InvalidUnicode, strictjson.LongNumber, strictjson.TooDeep,
	} {
		require.NotZero(t, refused[r], "%s", r)
	}
}

// someChoices are the same in every process.
func someChoices(n int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		r := rand.New(rand.NewPCG(1, 2))
		for range n {
			choices := make([]byte, 1+r.IntN(120))
			for i := range choices {
				choices[i] = byte(r.Uint32())
			}
			if !yield(choices) {
				return
			}
		}
	}
}

// A grammar takes each decision from a byte; where they end, everything ends.
type grammar struct{ choices []byte }

func (g *grammar) choose(n int) int {
	if len(g.choices) == 0 {
		return 0
	}
	c := int(g.choices[0])
	g.choices = g.choices[1:]
	return c % n
}

func (g *grammar) pick(of []string) string { return of[g.choose(len(of))] }

var (
	spaces  = []string{"", "", "", "", " ", "\n", "\t\r", "\v"}
	numbers = []string{"0", "-0", "1", "1.5", "1e9", "-2E+03", "0.1e-1", "01", "1.", "1893456000", strings.Repeat("9", 32), strings.Repeat("9", 33), "-" + strings.Repeat("9", 32)}
	words   = []string{"null", "true", "false", "nul", "True"}
	names   = []string{"a", "b", "c", "d", "e", "A", `\u0062`, "iss", "ISS", "iſs", "k", "\u212a", "abcdefgh@", "abcdefgh`", "ABCDEFGH@", "é", "É", "é", "σ", "ς", "ß"}
	parts   = []string{"", "a", "A", "iss", "ISS", "ſ", "s", "k", "K", "\u212a", "abcdefgh", "ABCDEFGH", "@", "`", "é", "É", "😀", `\u0061`, `\u0041`, `\u212A`, `\ud83d\ude00`, `\ud83d`, `\n`, `\r`, `\t`, `\b`, `\f`, `\"`, `\\`, `\/`, "\xff", "\x1f", "ß", "ẞ", "σ", "ς", "[", "{"}
)

func (g *grammar) string() string {
	var b strings.Builder
	b.WriteByte('"')
	for range 1 + g.choose(3) {
		b.WriteString(g.pick(parts))
	}
	b.WriteByte('"')
	return b.String()
}

// name is one of a few, so that names meet, or any string.
func (g *grammar) name() string {
	if g.choose(4) == 0 {
		return g.string()
	}
	return `"` + g.pick(names) + `"`
}

func (g *grammar) object(depth int) string {
	var members []string
	for range g.choose(5) {
		members = append(members, g.pick(spaces)+g.name()+g.pick(spaces)+":"+g.pick(spaces)+g.value(depth+1)+g.pick(spaces))
	}
	return "{" + strings.Join(members, ",") + "}"
}

func (g *grammar) array(depth int) string {
	var elements []string
	for range g.choose(4) {
		elements = append(elements, g.pick(spaces)+g.value(depth+1))
	}
	return "[" + strings.Join(elements, ",") + "]"
}

func (g *grammar) value(depth int) string {
	if depth > 20 {
		return "0"
	}
	switch g.choose(6) {
	case 0:
		return g.string()
	case 1:
		return g.pick(numbers)
	case 2:
		return g.pick(words)
	case 3:
		return g.object(depth)
	case 4:
		return g.array(depth)
	default: // a chain, to come down deep
		n := g.choose(18)
		return strings.Repeat("[", n) + "0" + strings.Repeat("]", n)
	}
}
