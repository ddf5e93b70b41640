package interop_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/interop"
)

// redisSays sends one command in Redis' inline form.
func redisSays(t *testing.T, addr, command string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte(command + "\r\n"))
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	answer := make([]byte, 100)
	n, err := conn.Read(answer)
	require.NoError(t, err)
	return string(answer[:n])
}

func TestHarnessRedisRemembersAfterACrash(t *testing.T) {
	t.Parallel()
	redis := interop.StartRedis(t)
	require.Equal(t, "+OK\r\n", redisSays(t, redis.Addr, "SET a b"))
	redis.Kill()
	_, err := net.Dial("tcp", redis.Addr)
	require.Error(t, err)
	redis.Start()
	require.Equal(t, "$1\r\nb\r\n", redisSays(t, redis.Addr, "GET a"))
}

func TestHarnessPostgresHasTheTable(t *testing.T) {
	t.Parallel()
	url := interop.StartPostgres(t, "../../examples/sharedstore/schema.sql")
	require.True(t, strings.HasPrefix(url, "postgres://"))
	interop.StartPostgres(t, "../../examples/sharedstore/schema.sql") // another one disturbs nobody
}

func TestHarnessProxyGoesRound(t *testing.T) {
	t.Parallel()
	op := interop.StartOP(t, []string{callbackURL})
	var addrs []string
	for range 3 {
		replica := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Seen", r.Header.Get("X-Forwarded-Proto")+" "+r.Header.Get("X-Forwarded-Host"))
		}))
		t.Cleanup(replica.Close)
		addrs = append(addrs, replica.Listener.Addr().String())
	}
	proxy := interop.StartProxy(t, op.PKI, addrs...)
	ask := func(n int) map[string]int {
		asked := map[string]int{}
		for range n {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, proxy.URL, nil)
			require.NoError(t, err)
			a := send(t, &http.Client{Transport: op.PKI.Transport()}, req)
			require.Equal(t, "https "+strings.TrimPrefix(proxy.URL, "https://"), a.header.Get("Seen"))
			asked[a.header.Get(interop.ReplicaHeader)]++
		}
		return asked
	}
	require.Equal(t, map[string]int{"0": 2, "1": 2, "2": 2}, ask(6))
	proxy.SetService(1, false)
	require.Equal(t, map[string]int{"0": 3, "2": 3}, ask(6))
	proxy.SetService(1, true)
	require.Len(t, ask(6), 3)
}
