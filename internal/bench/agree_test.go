package bench_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/internal/bench"
)

// TestAgree is what makes the numbers comparable: every peer does every check.
func TestAgree(t *testing.T) {
	t.Parallel()
	for _, algorithm := range bench.Algorithms() {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			rig := newRig(t, algorithm)
			bad := badTokens(t, rig)
			require.Len(t, bad, 10)
			for _, peer := range bench.Peers() {
				t.Run(peer.Name, func(t *testing.T) { agree(t, rig, peer, bad) })
			}
		})
	}
}

func agree(t *testing.T, rig *bench.Rig, peer bench.Peer, bad map[string]string) {
	v, err := rig.Verifier(peer)
	if rig.Key.Secret() != nil && peer.Name == "cap-jwt" {
		require.ErrorIs(t, err, bench.ErrNoSymmetric)
		return
	}
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, size := range bench.Sizes() {
		good, err := rig.Tokens(size, 1)
		require.NoError(t, err)
		require.NoError(t, bench.Accept(ctx, v, good[0]), size)
	}
	for why, token := range bad {
		_, err := v.Verify(ctx, token)
		require.Error(t, err, why)
		require.NotErrorIs(t, err, context.DeadlineExceeded, why)
	}
}

// TestThrough: each middleware lets a good token through and no bad one, but auth0's,
// which does not miss "exp".
func TestThrough(t *testing.T) {
	t.Parallel()
	rig := newRig(t, "RS256")
	good, err := rig.Tokens("large", 1)
	require.NoError(t, err)
	bad := badTokens(t, rig)
	for _, peer := range bench.Peers() {
		t.Run(peer.Name, func(t *testing.T) {
			v, err := rig.Verifier(peer)
			require.NoError(t, err)
			send, err := bench.Through(v, good[0])
			require.NoError(t, err)
			require.NoError(t, send())
			require.NoError(t, send(), "the request is as it was")
			for why, token := range bad {
				send, err := bench.Through(v, token)
				require.NoError(t, err)
				require.Equal(t, peer.Name == "auth0-v2" && why == "no exp", send() == nil, why)
			}
		})
	}
}

// TestSessions: each way of keeping a session lets its browser through, again and again.
func TestSessions(t *testing.T) {
	t.Parallel()
	g, err := bench.Sessions(t.Context())
	require.NoError(t, err)
	var peers []string
	for _, c := range g {
		peers = append(peers, c.Peer)
		require.NoError(t, c.Once())
		require.NoError(t, c.Once())
	}
	require.Equal(t, bench.SessionPeers(), peers)
}

// badTokens are tokens with one thing wrong each.
func badTokens(t *testing.T, rig *bench.Rig) map[string]string {
	change := func(name string, value any) string {
		c := bench.Large(rig.URL, 1)
		c[name] = value
		if value == nil {
			delete(c, name)
		}
		return sign(t, rig.Key, c)
	}
	good := bench.Large(rig.URL, 1)
	stranger, err := bench.NewKey(bench.KeyID, rig.Key.Algorithm)
	require.NoError(t, err)
	unknown, err := stranger.SignUnknown(good, 1)
	require.NoError(t, err)
	retired, err := bench.Retired()
	require.NoError(t, err)
	return map[string]string{
		"expired":                              change("exp", time.Now().Add(-time.Hour).Unix()),
		"no exp":                               change("exp", nil),
		"not valid yet":                        change("nbf", time.Now().Add(time.Hour).Unix()),
		"another issuer":                       change("iss", rig.URL+"/other"),
		"another audience":                     change("aud", []string{"https://other.example.com"}),
		"altered payload":                      alter(t, sign(t, rig.Key, good)),
		"a stranger's key under the right kid": sign(t, stranger, good),
		"a stranger's key under its own kid":   unknown,
		"alg none":                             unsigned(t, good),
		"a good key's other algorithm":         sign(t, retired, good),
	}
}

func newRig(t *testing.T, algorithm string) *bench.Rig {
	rig, err := bench.NewRig(t.Context(), algorithm)
	require.NoError(t, err)
	t.Cleanup(rig.Close)
	return rig
}

func sign(t *testing.T, k *bench.Key, c bench.Claims) string {
	token, err := k.Sign(c)
	require.NoError(t, err)
	return token
}

// alter makes somebody else the subject.
func alter(t *testing.T, token string) string {
	parts := strings.Split(token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	changed := strings.Replace(string(payload), bench.Subject, "0"+bench.Subject[1:], 1)
	require.NotEqual(t, string(payload), changed)
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(changed))
	return strings.Join(parts, ".")
}

func unsigned(t *testing.T, c bench.Claims) string {
	payload, err := json.Marshal(c)
	require.NoError(t, err)
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + encode(payload) + "."
}

// TestSizes holds the tokens to what the issue says of them.
func TestSizes(t *testing.T) {
	t.Parallel()
	for size, want := range map[string]int{"large": 1200, "small": 280} {
		payload, err := json.Marshal(bench.SizedClaims(size, "http://127.0.0.1:40000", 1))
		require.NoError(t, err)
		require.InDelta(t, want, len(payload), 40, size)
	}
}

// TestLimit: the bare primitive does verify.
func TestLimit(t *testing.T) {
	t.Parallel()
	for _, algorithm := range bench.Algorithms() {
		rig := newRig(t, algorithm)
		good := sign(t, rig.Key, bench.Large(rig.URL, 1))
		limit, err := bench.NewLimit(rig.Key, good)
		require.NoError(t, err)
		require.NoError(t, limit(), algorithm)
		limit, err = bench.NewLimit(rig.Key, alter(t, good))
		require.NoError(t, err)
		require.Error(t, limit(), algorithm)
	}
}

// TestOneSpelling: a valid token has one spelling for us, so that it can fill one
// entry of a cache, and a cache that holds it takes it for no other. Most peers
// accept these spellings too.
func TestOneSpelling(t *testing.T) {
	t.Parallel()
	rig := newRig(t, "RS256")
	good := sign(t, rig.Key, bench.Large(rig.URL, 1))
	other := sign(t, rig.Key, bench.Large(rig.URL, 2))
	forged := spellings(good)
	forged["another's signature"] = good[:strings.LastIndexByte(good, '.')] + other[strings.LastIndexByte(other, '.'):]
	forged["altered payload"] = alter(t, good)
	for _, peer := range bench.Peers()[:2] {
		require.Contains(t, []string{bench.Ours, bench.Cached}, peer.Name)
		v, err := rig.Verifier(peer)
		require.NoError(t, err)
		require.NoError(t, bench.Accept(t.Context(), v, good))
		require.NoError(t, bench.Accept(t.Context(), v, good), "and out of the cache")
		for why, token := range forged {
			require.NotEqual(t, good, token, why)
			_, err := v.Verify(t.Context(), token)
			require.ErrorIs(t, err, oidckit.ErrInvalidToken, why)
		}
	}
}

// spellings writes a token differently with the same bytes behind it. The 256
// bytes of an RS256 signature leave 4 bits of its last character unused.
func spellings(token string) map[string]string {
	parts := strings.Split(token, ".")
	last := token[len(token)-1]
	return map[string]string{
		"space at the end":            token + " ",
		"line break in the payload":   parts[0] + "." + parts[1][:40] + "\n" + parts[1][40:] + "." + parts[2],
		"padding":                     token + "==",
		"unused bits of the last one": token[:len(token)-1] + string(last+1),
	}
}
