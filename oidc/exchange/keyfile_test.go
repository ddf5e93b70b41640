package exchange_test

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc/exchange"
)

// The keys of the document of oidc-token-proxy: two of them have one kid.
func seedKeys(t *testing.T) string { return string(must(os.ReadFile("testdata/tokenproxy.jwks.json"))) }

const (
	seedRSA = "23c017d1-dc52-4ec2-99f7-8cd109efdc81"
	seedEC  = "7695e425-1109-4ee2-ac1f-dc3d6ed9fe94"
)

func TestKeyFile_TwoKeysOfOneKid(t *testing.T) {
	t.Parallel()
	log := &logBuffer{}
	f := writeKeys(t, seedKeys(t))
	file, err := exchange.ReadKeyFile(exchange.KeyFileConfig{
		Path: f.path, Signing: []exchange.KeyChoice{{"RS256", seedRSA}, {"ES256", seedEC}}, Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	require.NoError(t, err)
	keys := must(exchange.NewKeys(exchange.KeysConfig{Source: file}))
	issuer := must(exchange.NewIssuer(exchange.IssuerConfig{Issuer: ourIssuer, Keys: keys}))
	require.Equal(t, []string{"RS256", "ES256"}, must(keys.Algorithms(t.Context())))
	set := must(jwks.ParseSet(must(jwks.PublicSet(t.Context(), keys))))
	require.Len(t, set.Keys, 3)
	require.Equal(t, []string{seedRSA, seedEC, set.Keys[2].Thumbprint()}, []string{set.Keys[0].ID(), set.Keys[1].ID(), set.Keys[2].ID()})
	require.Contains(t, seedKeys(t)[strings.Index(seedKeys(t), "6HdpKTiaG"):], "zk7wRhnD3L", "the first one stands first")

	m, err := issuer.Mint(t.Context(), exchange.Token{Audience: []string{"a"}, Algorithm: "ES256"})
	require.NoError(t, err)
	require.Equal(t, seedEC, m.KeyID)
	_, err = jwks.Verify(t.Context(), jwks.Static(set.Keys[1:2]), []string{"ES256"}, m.Compact)
	require.NoError(t, err, "the first of the two signs")
	require.Equal(t, 1, strings.Count(log.String(), "level=WARN"))
	require.Contains(t, log.String(), seedEC)
}

func TestKeyFile_Choices(t *testing.T) {
	t.Parallel()
	f := writeKeys(t, seedKeys(t))
	algorithms := func(cfg exchange.KeyFileConfig) []string {
		cfg.Path = f.path
		file, err := exchange.ReadKeyFile(cfg)
		require.NoError(t, err)
		return must(must(exchange.NewKeys(exchange.KeysConfig{Source: file})).Algorithms(t.Context()))
	}
	both := []exchange.KeyChoice{{"RS256", seedRSA}, {"ES256", seedEC}}
	require.Equal(t, []string{"RS256", "ES256"}, algorithms(exchange.KeyFileConfig{}))
	require.Equal(t, []string{"ES256", "RS256"}, algorithms(exchange.KeyFileConfig{Signing: both, Default: "ES256"}))
	require.Equal(t, []string{"RS256", "ES256"}, algorithms(exchange.KeyFileConfig{Signing: both, Default: "RS256"}))
	require.Equal(t, []string{"ES256"}, algorithms(exchange.KeyFileConfig{Signing: both[1:]}), "the others are published only")
	require.Equal(t, exchange.KeyChoice{"RS256", seedRSA}, both[0], "the caller's list stays")

	c, mine, log := newClock(), []exchange.KeyChoice{{"ES256", seedEC}}, &logBuffer{}
	nameless := writeKeys(t, strings.NewReplacer(`"kid": "`+seedRSA+`",`, "").Replace(seedKeys(t)))
	file := must(exchange.ReadKeyFile(exchange.KeyFileConfig{Path: nameless.path, Signing: mine, Now: c.Now, Logger: slog.New(slog.NewTextHandler(log, nil))}))
	mine[0].KeyID = "changed"
	nameless.write(t, seedKeys(t))
	c.advance(2 * time.Second)
	sign, publish, err := file.SigningKeys(t.Context())
	require.NoError(t, err)
	require.NoError(t, file.Err())
	require.Equal(t, []int{1, 2}, []int{len(sign), len(publish)})
	two := strings.ReplaceAll(seedKeys(t), `"kid": "`+seedEC+`",`, "")
	log.Reset()
	must(exchange.ReadKeyFile(exchange.KeyFileConfig{Path: writeKeys(t, two).path, Logger: slog.New(slog.NewTextHandler(log, nil))}))
	require.Empty(t, log.String(), "keys without a kid have not one kid")

	for field, cfg := range map[string]exchange.KeyFileConfig{
		"Path is required":    {},
		"Default":             {Path: f.path, Default: "PS256", Signing: both},
		"Signing: \"HS256\"":  {Path: f.path, Signing: []exchange.KeyChoice{{"HS256", "x"}}},
		"Signing: \"\"":       {Path: f.path, Signing: []exchange.KeyChoice{{"", "x"}}},
		"Signing: ES256":      {Path: f.path, Signing: append(both[1:2:2], both[1])},
		"no key with the kid": {Path: f.path, Signing: []exchange.KeyChoice{{"ES256", seedRSA}}},
		"no such file":        {Path: f.path + "x"},
	} {
		_, err := exchange.ReadKeyFile(cfg)
		require.ErrorContains(t, err, field)
	}
}

func TestT24_ABrokenKeyFileChangesNothing(t *testing.T) {
	t.Parallel()
	c, log := newClock(), &logBuffer{}
	f := writeKeys(t, seedKeys(t))
	file, err := exchange.ReadKeyFile(exchange.KeyFileConfig{
		Path: f.path, Signing: []exchange.KeyChoice{{"RS256", seedRSA}}, Now: c.Now, Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	require.NoError(t, err)
	before, _, err := file.SigningKeys(t.Context())
	require.NoError(t, err)
	for name, text := range map[string]string{
		"half":         seedKeys(t)[:900],
		"empty":        "",
		"no keys":      `{"keys":[]}`,
		"the key gone": strings.Replace(seedKeys(t), seedRSA, "another", 1),
		"a bad key":    strings.Replace(seedKeys(t), `"crv": "P-256"`, `"crv": "P-257"`, 1),
		"twice":        `{"keys":[],` + seedKeys(t)[1:],
	} {
		f.write(t, text)
		c.advance(2 * time.Second)
		after, _, err := file.SigningKeys(t.Context())
		require.NoError(t, err)
		require.Equal(t, before, after, name)
		require.Error(t, file.Err(), name)
		require.NotContains(t, file.Err().Error(), "xv7sblmG7nPt", "nothing of the key")
	}
	require.Equal(t, 1, strings.Count(log.String(), "level=ERROR"), "the beginning is told")
	f.write(t, seedKeys(t)+"\n")
	c.advance(2 * time.Second)
	_, _, err = file.SigningKeys(t.Context())
	require.NoError(t, err)
	require.NoError(t, file.Err())
	require.Contains(t, log.String(), "can be used again")

	_, _, err = (&exchange.KeyFile{}).SigningKeys(t.Context())
	require.Error(t, err)
}

// One key under two algorithms is found when the file is read.
func TestKeyFile_OneKeyForOneAlgorithm(t *testing.T) {
	t.Parallel()
	text := seedKeys(t)
	key := text[strings.Index(text, "{\n          \"kty\": \"RSA\"") : strings.Index(text, "},")+1]
	two := fmt.Sprintf(`{"keys":[%s,%s]}`, key, strings.NewReplacer("RS256", "PS256", seedRSA, "b").Replace(key))
	_, err := exchange.ReadKeyFile(exchange.KeyFileConfig{Path: writeKeys(t, two).path})
	require.ErrorContains(t, err, "two algorithms")
}

// A key that is new in the file is published at once, and signs later.
func TestT22_TheKeyFileRotates(t *testing.T) {
	t.Parallel()
	text, c := seedKeys(t), newClock()
	second := text[strings.LastIndex(text, "{"):strings.LastIndex(text, "]")]
	first := text[:strings.LastIndex(text, "},")] + "}]}"
	f := writeKeys(t, first)
	file := must(exchange.ReadKeyFile(exchange.KeyFileConfig{Path: f.path, Now: c.Now}))
	keys := must(exchange.NewKeys(exchange.KeysConfig{Source: file, Now: c.Now}))
	signer := func() string { return must(keys.SigningKey(t.Context(), "ES256")).ID() }
	require.Equal(t, seedEC, signer())
	require.Len(t, must(keys.PublicJWKs(t.Context())), 2)

	f.write(t, `{"keys":[`+strings.Replace(second, seedEC, "next", 1)+`]}`)
	c.advance(2 * time.Second)
	require.Equal(t, seedEC, signer())
	require.Len(t, must(keys.PublicJWKs(t.Context())), 3, "the two from before stay")
	c.advance(jwks.PublishedFor)
	require.Equal(t, "next", signer())

	// Under the old name comes a key that was known under another one.
	f.write(t, `{"keys":[`+second+`]}`)
	c.advance(2 * time.Second)
	require.Equal(t, "next", signer(), "a key keeps the name by which it is known")
}
