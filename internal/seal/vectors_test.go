package seal_test

import (
	"bytes"
	"crypto/aes"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/seal"
)

// The vectors of https://c2sp.org/XAES-256-GCM: one of each most significant bit of CMAC's L.
func TestVectorsOfXAES256GCM(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]struct {
		key             byte
		context, sealed string
	}{
		"MSB of L is 0": {1, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		"MSB of L is 1": {3, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sealed, err := hex.DecodeString(v.sealed)
			require.NoError(t, err)
			plain, err := seal.XAES(bytes.Repeat([]byte{v.key}, 32), []byte("ABCDEFGHIJKLMNOPQRSTUVWX"), sealed, []byte(v.context))
			require.NoError(t, err)
			require.Equal(t, "XAES-256-GCM", string(plain))
		})
	}
}

// RFC 4493 section 4 has K1 for AES-128; the step from L to it is the same for all of AES.
func TestSubkeyOfRFC4493(t *testing.T) {
	t.Parallel()
	key, err := hex.DecodeString("2b7e151628aed2a6abf7158809cf4f3c")
	require.NoError(t, err)
	block, err := aes.NewCipher(key)
	require.NoError(t, err)
	k1 := seal.Subkey(block)
	require.Equal(t, "fbeed618357133667c85e08f7236a8de", hex.EncodeToString(k1[:]))
}
