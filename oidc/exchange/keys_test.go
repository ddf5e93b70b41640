package exchange_test

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc/exchange"
)

// A source whose keys a test changes.
type source struct {
	sign, publish []*jwks.SigningKey
	err           error
}

func (s *source) SigningKeys(context.Context) (sign, publish []*jwks.SigningKey, err error) {
	return s.sign, s.publish, s.err
}

// A keyring is Keys with a clock: a day of tokens would hide which window is which.
type keyring struct {
	*clock
	*source
	*exchange.Keys
	log *logBuffer
}

const (
	life     = 20 * time.Minute
	cacheAge = 7 * time.Minute
	leeway   = 2 * time.Minute
)

func newKeyring(t *testing.T, sign ...*jwks.SigningKey) *keyring {
	t.Helper()
	k := &keyring{clock: newClock(), source: &source{sign: sign}, log: &logBuffer{}}
	var err error
	k.Keys, err = exchange.NewKeys(exchange.KeysConfig{
		Source: k.source, Lifetime: life, CacheAge: cacheAge, Leeway: leeway, Now: k.Now, Logger: slog.New(slog.NewTextHandler(k.log, nil)),
	})
	require.NoError(t, err)
	return k
}

func (k *keyring) signer(t *testing.T, alg string) string {
	t.Helper()
	key, err := k.SigningKey(t.Context(), alg)
	require.NoError(t, err)
	if key == nil {
		return ""
	}
	return key.ID()
}

func (k *keyring) published(t *testing.T) (kids []string) {
	t.Helper()
	set, err := jwks.ParseSet(must(jwks.PublicSet(t.Context(), k.Keys)))
	require.NoError(t, err)
	require.Empty(t, set.Skipped)
	for _, key := range set.Keys {
		kids = append(kids, key.ID())
	}
	return kids
}

func newKey(alg, kid string) *jwks.SigningKey {
	return must(must(exchange.GenerateKeys(alg))[0].Renamed(kid))
}

func TestT22_AKeyIsPublishedBeforeItSigns(t *testing.T) {
	t.Parallel()
	old, next := newKey("ES256", "old"), newKey("ES256", "next")
	k := newKeyring(t, old)
	require.Equal(t, "old", k.signer(t, ""), "there is nothing else to sign with at the start")
	k.sign, k.publish = []*jwks.SigningKey{next}, []*jwks.SigningKey{old}
	require.Equal(t, "old", k.signer(t, ""))
	require.Equal(t, []string{"next", "old"}, k.published(t))
	k.advance(cacheAge - 1)
	require.Equal(t, "old", k.signer(t, "ES256"))
	k.advance(1)
	require.Equal(t, "next", k.signer(t, "ES256"))
	require.Equal(t, "next", k.signer(t, ""))
	require.Equal(t, []string{"next", "old"}, k.published(t))
}

// The file is replaced by one that has only the new key: the old one signs on until all know
// the new one, and stays until what it signed last has expired.
func TestT22_AKeyStaysUntilItsLastTokenHasExpired(t *testing.T) {
	t.Parallel()
	old, next := newKey("ES256", "old"), newKey("ES256", "next")
	k := newKeyring(t, old)
	require.Equal(t, "old", k.signer(t, ""))
	k.sign = []*jwks.SigningKey{next}
	require.Equal(t, []string{"next", "old"}, k.published(t))
	k.advance(cacheAge - time.Second)
	require.Equal(t, "old", k.signer(t, ""), "the last token of the old key")
	last := k.Now().Add(life + leeway)
	k.advance(time.Second)
	require.Equal(t, "next", k.signer(t, ""))
	for k.Now().Before(last) {
		require.Contains(t, k.published(t), "old")
		k.advance(time.Minute)
	}
	k.advance(cacheAge + time.Minute)
	require.Equal(t, []string{"next"}, k.published(t))
	require.Contains(t, k.log.String(), "withdrawn")
}

func TestT22_AKeyThatOnlyGoesStays(t *testing.T) {
	t.Parallel()
	first, second := newKey("ES256", "first"), newKey("EdDSA", "second")
	k := newKeyring(t, first, second)
	require.Equal(t, []string{"first", "second"}, k.published(t))
	v1, ok := k.Version(t.Context(), k.Now())
	require.True(t, ok)
	k.sign = []*jwks.SigningKey{first}
	require.Empty(t, k.signer(t, "EdDSA"), "nothing is signed with it any more")
	k.advance(cacheAge + life + leeway)
	require.Equal(t, []string{"first", "second"}, k.published(t))
	v2, _ := k.Version(t.Context(), k.Now())
	require.Equal(t, v1, v2)
	k.advance(1)
	require.Equal(t, []string{"first"}, k.published(t))
	v3, _ := k.Version(t.Context(), k.Now())
	require.NotEqual(t, v1, v3, "caches of tokens learn of it")
	k.sign = []*jwks.SigningKey{first, second}
	require.Empty(t, k.signer(t, "EdDSA"), "it is a new key again")
	k.advance(cacheAge)
	require.Equal(t, "second", k.signer(t, "EdDSA"))
}

// Changes in quick succession: each key gets its time, and the one that signs is known to all.
func TestT22_RotationsInARow(t *testing.T) {
	t.Parallel()
	a, b, c := newKey("ES256", "a"), newKey("ES256", "b"), newKey("ES256", "c")
	k := newKeyring(t, a)
	k.signer(t, "")
	for _, next := range []*jwks.SigningKey{b, c} {
		k.sign = []*jwks.SigningKey{next}
		require.Equal(t, "a", k.signer(t, ""))
		k.advance(cacheAge / 2)
	}
	k.advance(cacheAge / 2)
	require.Equal(t, "c", k.signer(t, ""))
	require.ElementsMatch(t, []string{"a", "b", "c"}, k.published(t))
	k.advance(life + leeway)
	require.Contains(t, k.published(t), "a", "it has signed until a moment ago")
}

// The default changes to a key of another algorithm, and a new algorithm waits as any key.
func TestT22_AnotherAlgorithm(t *testing.T) {
	t.Parallel()
	ec, ed := newKey("ES256", "ec"), newKey("EdDSA", "ed")
	k := newKeyring(t, ec)
	require.Equal(t, []string{"ES256"}, must(k.Algorithms(t.Context())))
	k.sign = []*jwks.SigningKey{ed, ec}
	require.Equal(t, []string{"ES256"}, must(k.Algorithms(t.Context())))
	require.Empty(t, k.signer(t, "EdDSA"))
	require.Equal(t, "ec", k.signer(t, ""))
	k.advance(cacheAge)
	require.Equal(t, []string{"EdDSA", "ES256"}, must(k.Algorithms(t.Context())))
	require.Equal(t, "ed", k.signer(t, ""))
	require.Equal(t, "ec", k.signer(t, "ES256"))
	require.Empty(t, k.signer(t, "RS256"))
}

// The default that has gone signs on, although there is another key that could.
func TestT22_TheDefaultWaitsForTheNextOne(t *testing.T) {
	t.Parallel()
	old, next, other := newKey("ES256", "old"), newKey("EdDSA", "next"), newKey("RS256", "other")
	k := newKeyring(t, old, other)
	require.Equal(t, "old", k.signer(t, ""))
	k.sign = []*jwks.SigningKey{next, other}
	require.Equal(t, "old", k.signer(t, ""))
	require.Equal(t, "other", k.signer(t, "RS256"))
	k.advance(cacheAge)
	require.Equal(t, "next", k.signer(t, ""))
	// A source that names a key twice, and two keys of one algorithm.
	k.sign, k.publish = []*jwks.SigningKey{next, next, newKey("EdDSA", "late")}, []*jwks.SigningKey{next}
	require.Equal(t, []string{"next", "late", "other", "old"}, k.published(t))
	require.Equal(t, "next", k.signer(t, "EdDSA"))
	k.advance(cacheAge)
	require.Equal(t, "next", k.signer(t, "EdDSA"), "the first one")
}

func TestT22_AKidLeadsToOneKey(t *testing.T) {
	t.Parallel()
	first, second, nameless := newKey("ES256", "same"), newKey("ES256", "same"), newKey("EdDSA", "")
	k := newKeyring(t, first, nameless)
	k.publish = []*jwks.SigningKey{second}
	require.Equal(t, []string{"same", must(jwks.Thumbprint(nameless.Public())), must(jwks.Thumbprint(second.Public()))}, k.published(t))
	require.Equal(t, "same", k.signer(t, "ES256"))
	// The other one of the two signs: it keeps the name that others know.
	k.sign, k.publish = []*jwks.SigningKey{second, nameless}, []*jwks.SigningKey{first}
	require.Equal(t, must(jwks.Thumbprint(second.Public())), k.signer(t, "ES256"))
	// And one that comes later, under a kid that others may remember, gets another one.
	third := newKey("ES256", "same")
	k.sign, k.publish = []*jwks.SigningKey{third, nameless}, nil
	k.signer(t, "")
	k.advance(cacheAge)
	require.Equal(t, must(jwks.Thumbprint(third.Public())), k.signer(t, "ES256"))
}

// The set has no member of a private key, whatever is in the file.
func TestT22_OnlyPublicMembersArePublished(t *testing.T) {
	t.Parallel()
	k := newKeyring(t, must(exchange.GenerateKeys("RS256", "ES256", "EdDSA", "ES384", "ES512", "PS256"))...)
	var set struct{ Keys []map[string]any }
	require.NoError(t, json.Unmarshal(must(jwks.PublicSet(t.Context(), k.Keys)), &set))
	require.Len(t, set.Keys, 6)
	for _, key := range set.Keys {
		for member := range key {
			require.Contains(t, []string{"kty", "use", "alg", "kid", "n", "e", "crv", "x", "y"}, member)
		}
	}
}

func TestT24_ABadChangeOfKeysChangesNothing(t *testing.T) {
	t.Parallel()
	good := newKey("RS256", "good")
	k := newKeyring(t, good)
	require.Equal(t, "good", k.signer(t, ""))
	for name, sign := range map[string][]*jwks.SigningKey{
		"none": {}, "nil": {nil}, "two algorithms": {good, pss(t, good)},
	} {
		k.sign = sign
		require.Equal(t, "good", k.signer(t, ""), name)
		require.Equal(t, []string{"good"}, k.published(t), name)
	}
	require.Equal(t, 3, strings.Count(k.log.String(), "level=ERROR"), "each is told once")

	for _, sign := range [][]*jwks.SigningKey{{}, {nil}, {good, pss(t, good)}} {
		bad := newKeyring(t, sign...)
		_, err := bad.SigningKey(t.Context(), "")
		require.Error(t, err, "there is nothing from before")
	}
	k.err = errors.New("database")
	_, err := k.SigningKey(t.Context(), "")
	require.ErrorIs(t, err, k.err)
	_, err = k.PublicJWKs(t.Context())
	require.ErrorIs(t, err, k.err)
	_, err = k.Algorithms(t.Context())
	require.ErrorIs(t, err, k.err)
	_, err = k.Keys.Keys(t.Context(), jwks.Query{})
	require.ErrorIs(t, err, k.err)
	_, ok := k.Version(t.Context(), k.Now())
	require.False(t, ok)
}

// pss is the same key with another algorithm, which the constructor of jwks does not see.
func pss(t *testing.T, key *jwks.SigningKey) *jwks.SigningKey {
	t.Helper()
	return must(jwks.NewSigningKey(jwks.SigningKeyConfig{Signer: publicOnly{key.Public()}, Algorithm: "PS256", KeyID: "other"}))
}

type publicOnly struct{ public crypto.PublicKey }

func (p publicOnly) Public() crypto.PublicKey { return p.public }

var errSigner = errors.New("the KMS does not answer")

func (p publicOnly) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, errSigner }

func TestKeys_AreASource(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := must(r.issuer.Mint(t.Context(), exchange.Token{Audience: []string{"a"}}))
	payload, err := jwks.Verify(t.Context(), r.keys, []string{"ES256"}, m.Compact)
	require.NoError(t, err)
	require.NotEmpty(t, payload)
	require.Equal(t, exchange.DefaultLifetime, r.keys.Lifetime())
}

func TestNewKeys_Refuses(t *testing.T) {
	t.Parallel()
	for field, change := range map[string]func(*exchange.KeysConfig){
		"Source":      func(c *exchange.KeysConfig) { c.Source = nil },
		"Lifetime":    func(c *exchange.KeysConfig) { c.Lifetime = exchange.MaxLifetime + 1 },
		"Lifetime ":   func(c *exchange.KeysConfig) { c.Lifetime = time.Millisecond },
		"CacheAge":    func(c *exchange.KeysConfig) { c.CacheAge = jwks.PublishedFor - 1 },
		"CacheAge ":   func(c *exchange.KeysConfig) { c.CacheAge = 8 * 24 * time.Hour },
		"Leeway":      func(c *exchange.KeysConfig) { c.Leeway = -1 },
		"Leeway must": func(c *exchange.KeysConfig) { c.Leeway = 6 * time.Minute },
	} {
		cfg := exchange.KeysConfig{Source: ourKeys}
		change(&cfg)
		_, err := exchange.NewKeys(cfg)
		require.ErrorContains(t, err, "KeysConfig."+field)
	}
	_, err := (&exchange.Keys{}).SigningKey(t.Context(), "")
	require.Error(t, err)
	_, err = (*exchange.Keys)(nil).SigningKey(t.Context(), "")
	require.Error(t, err)
	_, err = exchange.GenerateKeys("HS256")
	require.Error(t, err)
}

// The keys print nothing of themselves, wherever they stand.
func TestT23_KeysAreRedacted(t *testing.T) {
	t.Parallel()
	key := newKey("ES256", "kid")
	k := newKeyring(t, key)
	k.signer(t, "")
	issuer := must(exchange.NewIssuer(exchange.IssuerConfig{Issuer: ourIssuer, Keys: k.Keys}))
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "keys", k.Keys, "issuer", issuer, "static", exchange.StaticKeys{key})
	for _, v := range []any{k.Keys, issuer, exchange.StaticKeys{key}, exchange.KeysConfig{Source: exchange.StaticKeys{key}}} {
		fmt.Fprintf(&log, "%v %+v %#v %s", v, v, v, v)
	}
	require.NotContains(t, log.String(), "D:")
	require.NotContains(t, log.String(), "ecdsa")
}

// A file of a JWK Set.
type jwkFile struct {
	path string
	at   time.Time
}

func writeKeys(t *testing.T, text string) *jwkFile {
	t.Helper()
	f := &jwkFile{path: filepath.Join(t.TempDir(), "keys.json"), at: time.Now().Add(-time.Hour)}
	f.write(t, text)
	return f
}

// write replaces the file, at a time of its own.
func (f *jwkFile) write(t *testing.T, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(f.path, []byte(text), 0o600))
	f.at = f.at.Add(time.Minute)
	require.NoError(t, os.Chtimes(f.path, f.at, f.at))
}
