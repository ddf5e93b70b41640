package interop_test

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/interop"
	"github.com/oidckit/oidckit/oidc"
)

// The token is good; only we cannot know it. Nor is it at fault when asked again within the cooldown.
func TestTokenOfANewKeyInAnOutageIsNotJudged(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	api := startAPI(t, interop.BuildExample(t, "api"), op.Issuer, apiTest)
	before := accessTokenFor(t, op, "alice", apiTest)
	require.Equal(t, http.StatusOK, api.get(t, "/whoami", before).status)
	require.NoError(t, op.Rotate(t.Context(), false))
	after := accessTokenFor(t, op, "alice", apiTest)
	op.Stop()

	for range 2 {
		got := api.get(t, "/whoami", after)
		require.Equal(t, http.StatusServiceUnavailable, got.status, "%s", got.body)
		retryAfter(t, got)
	}
	require.Equal(t, http.StatusOK, api.get(t, "/whoami", before).status)
	requireRefused(t, api.get(t, "/whoami", flipBit(t, before, 2))) // a key that we have says so
}

func TestKeyRotationUnderLoadRefusesNobody(t *testing.T) {
	op := interop.StartOP(t, []string{callbackURL})
	verifier := strict(t, oidc.Config{Issuer: op.Issuer}, apiTest)
	_, err := verifier.Verify(t.Context(), accessTokenFor(t, op, "alice", apiTest))
	require.NoError(t, err)
	require.NoError(t, op.Rotate(t.Context(), false))
	after := accessTokenFor(t, op, "alice", apiTest)

	var refused atomic.Int32
	var group sync.WaitGroup
	for i := range 1000 {
		group.Go(func() {
			time.Sleep(time.Duration(i) * 10 * time.Microsecond)
			if _, err := verifier.Verify(t.Context(), after); err != nil {
				refused.Add(1)
			}
		})
	}
	group.Wait()
	require.Zero(t, refused.Load())
}
