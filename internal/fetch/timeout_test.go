package fetch_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/fetch"
)

func TestD06_TimeLimitOfTheConfiguration(t *testing.T) {
	t.Parallel()
	hanging := roundTripper(func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
	for set, want := range map[time.Duration]time.Duration{0: fetch.Timeout, time.Second: time.Second, time.Minute: time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			c := fetch.New(fetch.Config{HTTPClient: &http.Client{Transport: hanging}, Timeout: set})
			start := time.Now()
			_, err := c.Get(context.Background(), "https://op.example", jsonType)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, want, time.Since(start))
		})
	}
	for _, bad := range []time.Duration{-1, time.Minute + 1} {
		require.ErrorContains(t, fetch.Config{Timeout: bad}.Check(), "Timeout")
	}
}
