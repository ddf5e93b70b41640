// Package replicas_test runs the application of examples/sharedstore as it runs in production: three processes
// behind a load balancer with TLS, their sessions in a Redis or PostgreSQL server, and users who log in at a provider
// that rotates refresh tokens and ends a login when one is used twice.
package replicas_test

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/interop"
)

// tokenLife is short, so that sessions are due for a refresh while a test waits, and long for what must happen within one.
const tokenLife = 10 * time.Second

// schema is that of the example.
const schema = "../../../examples/sharedstore/schema.sql"

var program string // examples/sharedstore

// TestMain builds the example with the race detector, and has more tests run at once than there are processors: they
// mostly wait.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	dir, err := os.MkdirTemp("", "interop-replicas-")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "sharedstore")
	build := exec.Command("go", "build", "-race", "-o", program, ".")
	build.Dir = "../../../examples/sharedstore"
	build.Stderr = os.Stderr
	code := 1
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "go build examples/sharedstore:", err)
	} else {
		code = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func startOP(t *testing.T) *interop.OP {
	t.Helper()
	return interop.StartOP(t, []string{"http://127.0.0.1:1/none"}, interop.WithAccessTokenTTL(tokenLife))
}

// A site is the application and those around it.
type site struct {
	t      *testing.T
	op     *interop.OP
	proxy  *interop.Proxy
	client interop.Client

	keysFile string
	args     []string
	addrs    []string
	replicas []*interop.Process
}

// startSite starts three replicas with these arguments, and a client of their own at the provider.
func startSite(t *testing.T, op *interop.OP, args ...string) *site {
	t.Helper()
	s := &site{t: t, op: op, args: args, keysFile: filepath.Join(t.TempDir(), "keys"), replicas: make([]*interop.Process, 3)}
	for range s.replicas {
		s.addrs = append(s.addrs, interop.FreeAddress(t))
	}
	s.proxy = interop.StartProxy(t, op.PKI, s.addrs...)
	s.client = op.Register(t, interop.Metadata{
		"redirect_uris": []string{s.proxy.URL + "/callback"}, "post_logout_redirect_uris": []string{s.proxy.URL + "/"},
		"grant_types":            []string{"authorization_code", "refresh_token"},
		"backchannel_logout_uri": s.proxy.URL + "/logout/backchannel", "backchannel_logout_session_required": true,
	})
	s.setKeys(firstKey)
	for i := range s.replicas {
		s.start(i)
	}
	return s
}

const (
	firstKey  = "a-secret-of-the-interop-tests-the-first-one"
	secondKey = "a-secret-of-the-interop-tests-the-second-one"
	thirdKey  = "a-secret-of-the-interop-tests-the-third-one"
)

// setKeys is for processes that start from now on.
func (s *site) setKeys(keys ...string) {
	s.t.Helper()
	require.NoError(s.t, os.WriteFile(s.keysFile, []byte(strings.Join(keys, "\n")+"\n"), 0o600))
}

var ready = regexp.MustCompile(`^The application is at `)

// start starts a replica, and waits until it is ready for service.
func (s *site) start(i int) {
	s.t.Helper()
	s.replicas[i] = interop.Run(s.t, program, append([]string{
		"-listen", s.addrs[i], "-public-url", s.proxy.URL, "-keys-file", s.keysFile,
		"-issuer", s.op.Issuer, "-client-id", s.client.ID, "-client-secret", s.client.Secret,
		"-scopes", "openid profile offline_access",
	}, s.args...)...)
	s.replicas[i].Wait(ready)
	s.t.Cleanup(func() { require.NotContains(s.t, s.replicas[i].Output(), "DATA RACE") })
	require.Eventually(s.t, func() bool {
		res, err := http.Get("http://" + s.addrs[i] + "/readyz")
		return err == nil && res.Body.Close() == nil && res.StatusCode == http.StatusOK
	}, time.Minute, 20*time.Millisecond)
	s.proxy.SetService(i, true)
}

// restart is what a deployment does with a replica.
func (s *site) restart(i int) {
	s.t.Helper()
	s.proxy.SetService(i, false)
	s.replicas[i].Stop()
	s.start(i)
}

// refreshes is how often the provider was asked for a refresh, and how often it refused.
func (s *site) refreshes() (asked, refused int) {
	s.t.Helper()
	grants := s.op.Grants(s.t, s.client.ID)
	return grants["refresh_token"], grants["refresh_token refused"]
}

// logIn returns the browser of somebody who is logged in.
func (s *site) logIn(user string) *interop.Browser {
	s.t.Helper()
	b := s.op.NewBrowser()
	home, err := b.Visit(s.t.Context(), s.proxy.URL+"/login", user)
	require.NoError(s.t, err)
	defer home.Body.Close()
	body, err := io.ReadAll(home.Body)
	require.NoError(s.t, err)
	require.Equal(s.t, http.StatusOK, home.StatusCode, "%s", body)
	require.Equal(s.t, s.proxy.URL+"/", home.Request.URL.String())
	require.Contains(s.t, string(body), "Hello, ")
	return b
}

// me is what a replica answers a script that asks who is logged in.
func (s *site) me(b *interop.Browser) *http.Response {
	s.t.Helper()
	return s.get(b.Client, "/me", "application/json")
}

func (s *site) get(client *http.Client, path, accept string) *http.Response {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.proxy.URL+path, nil)
	require.NoError(s.t, err)
	req.Header.Set("Accept", accept)
	res, err := client.Do(req)
	require.NoError(s.t, err)
	_, err = io.Copy(io.Discard, res.Body)
	require.NoError(s.t, err)
	require.NoError(s.t, res.Body.Close())
	return res
}

// requireEverywhere asks every replica, twice.
func (s *site) requireEverywhere(b *interop.Browser, status int) {
	s.t.Helper()
	asked := map[string]bool{}
	for range 2 * len(s.replicas) {
		res := s.me(b)
		require.Equal(s.t, status, res.StatusCode, "replica %s", res.Header.Get(interop.ReplicaHeader))
		asked[res.Header.Get(interop.ReplicaHeader)] = true
	}
	require.Len(s.t, asked, len(s.replicas))
}

// together sends many requests at once, and returns how often there was which status.
func (s *site) together(b *interop.Browser, n int) map[int]int {
	s.t.Helper()
	statuses := make(chan int, n)
	var all sync.WaitGroup
	for range n {
		all.Go(func() { statuses <- s.me(b).StatusCode })
	}
	all.Wait()
	close(statuses)
	counts := map[int]int{}
	for status := range statuses {
		counts[status]++
	}
	return counts
}
