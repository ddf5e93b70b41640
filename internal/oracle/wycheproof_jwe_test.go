package oracle_test

import (
	"encoding/json"
	"strings"
	"testing"
	_ "unsafe" // for go:linkname

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/jwe"
	"github.com/oidckit/oidckit/internal/jwt"
)

// decrypt is jwe.Decrypt without its last check, that the content is a JWS. The
// content of the vectors is none, and by design the error does not tell whether it
// is that or the key.
//
//go:linkname decrypt github.com/oidckit/oidckit/internal/jwe.decrypt
func decrypt(raw string, keys []jwe.Key) (plaintext []byte, err error)

// What becomes of the vectors: how many, by why they are refused.
type decryption struct {
	valid   int            // that are decrypted
	invalid map[string]int // that are refused, as they must be
	never   map[string]int // of algorithms that are never supported, valid or not
}

func TestE09_Wycheproof(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]decryption{
		"json_web_encryption": {
			valid:   40,
			invalid: map[string]int{"algorithm": 14, "decryption": 5, "header": 3, "malformed": 11},
			never:   map[string]int{"algorithm": 56, "header": 2, "malformed": 8},
		},
		"json_web_crypto": {
			valid:   1,
			invalid: map[string]int{"decryption": 5, "header": 3, "malformed": 8},
			never:   map[string]int{"algorithm": 10, "header": 1, "malformed": 6},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := decryption{invalid: map[string]int{}, never: map[string]int{}}
			eachJWE(t, name, got.try)
			require.Equal(t, want, got)
		})
	}
}

func eachJWE(t *testing.T, name string, f func(*testing.T, privateKey, joseVector)) {
	t.Helper()
	var file joseFile
	readVectors(t, name, &file)
	total := 0
	for _, g := range file.TestGroups {
		for _, v := range g.Tests {
			total++
			if v.Jwe != nil {
				f(t, privateKeyOf(t, g.Private), v)
			}
		}
	}
	require.Equal(t, file.NumberOfTests, total)
}

func (d *decryption) try(t *testing.T, k privateKey, v joseVector) {
	t.Helper()
	keys := k.usable()
	plaintext, err := decrypt(string(*v.Jwe), keys)
	_, whole := jwe.Decrypt(string(*v.Jwe), keys)
	switch {
	case k.neverSupported():
		require.Equal(t, err, whole, v.TcID)
		d.never[decryptionRefusal(t, err)]++
	case v.Result == "valid":
		require.NoError(t, err, v.TcID)
		require.Equal(t, string(jwt.Decryption), decryptionRefusal(t, whole), "E07: no signature inside")
		d.valid++
		if v.Pt != nil {
			require.Equal(t, string(*v.Pt), string(plaintext), v.TcID)
		}
	default:
		require.Equal(t, "invalid", v.Result)
		require.Equal(t, err, whole, v.TcID)
		d.invalid[decryptionRefusal(t, err)]++
	}
}

func decryptionRefusal(t *testing.T, err error) string {
	t.Helper()
	var e *jwt.Error
	require.ErrorAs(t, err, &e)
	return string(e.Reason)
}

type privateKey struct{ jose.JSONWebKey }

func privateKeyOf(t *testing.T, document []byte) (k privateKey) {
	t.Helper()
	require.NoError(t, json.Unmarshal(document, &k.JSONWebKey))
	return k
}

// neverSupported: RSA1_5 (E01), and secrets that wrap a key (E02).
func (k privateKey) neverSupported() bool {
	return k.Algorithm == "RSA1_5" || strings.HasSuffix(k.Algorithm, "KW") && strings.HasPrefix(k.Algorithm, "A")
}

// usable are all the keys that can be made of a JWK here, whatever its algorithm says
// if that is none of ours: then none of them may decrypt anything.
func (k privateKey) usable() (all []jwe.Key) {
	add := func(made jwe.Key, err error) {
		if err == nil {
			all = append(all, made)
		}
	}
	if secret, ok := k.Key.([]byte); ok {
		for _, enc := range []string{"A128GCM", "A192GCM", "A256GCM", "A128CBC-HS256", "A192CBC-HS384", "A256CBC-HS512"} {
			add(jwe.NewDirectKey(secret, k.KeyID, enc))
		}
		return all
	}
	if add(jwe.NewKey(k.Key, k.KeyID, k.Algorithm)); all == nil {
		add(jwe.NewKey(k.Key, k.KeyID, ""))
	}
	return all
}
