package presets_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/jwks"
	"github.com/oidckit/oidckit/oidc"
	"github.com/oidckit/oidckit/oidc/oidctest"
	"github.com/oidckit/oidckit/oidc/presets"
)

// now is when the golden tokens are good.
var now = time.Unix(1764094260, 0)

// A rig signs golden payloads, and verifies them by presets with its keys in place of the provider's.
type rig struct {
	op   *oidctest.Provider
	keys jwks.Source
}

func newRig(t *testing.T) *rig {
	t.Helper()
	op := oidctest.Start(t)
	key, err := jwks.NewKey(op.PublicKey("RS256"), "", "RS256")
	require.NoError(t, err)
	return &rig{op, jwks.Static{key}}
}

// golden is a payload of claims/testdata, or of our own.
func golden(t *testing.T, name string) []byte {
	t.Helper()
	var found []string
	for _, dir := range []string{"../../claims/testdata/tokens", "testdata"} {
		if _, err := os.Stat(filepath.Join(dir, name+".json")); err == nil {
			found = append(found, filepath.Join(dir, name+".json"))
		}
	}
	require.Len(t, found, 1, "%s is in one place", name)
	payload, err := os.ReadFile(found[0])
	require.NoError(t, err)
	return payload
}

type changes = map[string]any

// token signs a golden payload, with some claims changed; nil takes one out.
func (r *rig) token(t *testing.T, name string, change changes) string {
	t.Helper()
	payload := golden(t, name)
	if len(change) > 0 {
		var all map[string]any
		require.NoError(t, json.Unmarshal(payload, &all))
		for claim, value := range change {
			if all[claim] = value; value == nil {
				delete(all, claim)
			}
		}
		var err error
		payload, err = json.Marshal(all)
		require.NoError(t, err)
	}
	return r.op.SignBytes(map[string]any{"alg": "RS256", "typ": "JWT"}, payload)
}

func set(t *testing.T, name string) claims.Set {
	t.Helper()
	s, err := claims.Parse(golden(t, name))
	require.NoError(t, err)
	return s
}

func (r *rig) provider(t *testing.T, p presets.Preset) *oidc.Provider {
	t.Helper()
	p.Config.Keys, p.Config.Now = r.keys, func() time.Time { return now }
	provider, err := oidc.NewProvider(p.Config)
	require.NoError(t, err)
	return provider
}

func (r *rig) access(t *testing.T, p presets.Preset, raw string, audience ...string) (*oidc.AccessToken, error) {
	t.Helper()
	p.AccessToken.Audience = audience
	verifier, err := oidc.NewAccessTokenVerifier(r.provider(t, p), p.AccessToken)
	require.NoError(t, err)
	return verifier.Verify(t.Context(), raw)
}

func (r *rig) id(t *testing.T, p presets.Preset, raw, client, nonce string) (*oidc.IDToken, error) {
	t.Helper()
	verifier, err := oidc.NewIDTokenVerifier(r.provider(t, p), oidc.IDTokenConfig{ClientID: client, Policy: p.IDTokenPolicy})
	require.NoError(t, err)
	return verifier.Verify(t.Context(), raw, nonce)
}

func identity(t *testing.T, p presets.Preset, from claims.Sources) (*claims.Identity, error) {
	t.Helper()
	mapper, err := claims.NewMapper(p.Mapping)
	require.NoError(t, err)
	return mapper.Identity(t.Context(), from)
}

func requireReason(t *testing.T, err error, reason oidc.Reason) {
	t.Helper()
	var e *oidc.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, reason, e.Reason, err)
}

// must is for presets that can fail.
func must(t *testing.T) func(presets.Preset, error) presets.Preset {
	return func(p presets.Preset, err error) presets.Preset {
		t.Helper()
		require.NoError(t, err)
		return p
	}
}
