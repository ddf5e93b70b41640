package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	postgres.stop()
	os.Exit(code)
}

var postgres cluster

// A cluster is a PostgreSQL that is started when a test first asks for it.
type cluster struct {
	once      sync.Once
	dir, port string
	command   *exec.Cmd
	err       error
	databases int
	mu        sync.Mutex
}

// database makes an empty one.
func (c *cluster) database(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("postgres"); err != nil {
		t.Skip("PostgreSQL is not installed: there is no program postgres in PATH")
	}
	c.once.Do(c.start)
	require.NoError(t, c.err)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.databases++
	name := "test" + strconv.Itoa(c.databases)
	admin, err := openStore(t.Context(), c.url("postgres"))
	require.NoError(t, err)
	defer func() { _ = admin.Close() }()
	_, err = admin.ExecContext(t.Context(), "CREATE DATABASE "+name)
	require.NoError(t, err)
	return c.url(name)
}

func (c *cluster) url(name string) string {
	return "postgres://postgres@127.0.0.1:" + c.port + "/" + name + "?sslmode=disable"
}

// start: the server refuses to run as root.
func (c *cluster) start() {
	attributes := &syscall.SysProcAttr{Setpgid: true}
	if c.dir, c.err = os.MkdirTemp("", "ciexchange"); c.err != nil {
		return
	}
	if os.Getuid() == 0 {
		const nobody = 65534
		attributes.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		c.err = os.Chown(c.dir, nobody, nobody)
	}
	run := func(name string, args ...string) *exec.Cmd {
		path, _ := exec.LookPath(name)
		path, _ = filepath.EvalSymlinks(path) // initdb looks for postgres beside itself
		command := exec.Command(path, args...)
		command.SysProcAttr, command.Dir = attributes, c.dir
		return command
	}
	data := filepath.Join(c.dir, "data")
	if out, err := run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync").CombinedOutput(); err != nil {
		c.err = fmt.Errorf("initdb: %w: %s", err, out)
		return
	}
	free, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		c.err = err
		return
	}
	c.port = strconv.Itoa(free.Addr().(*net.TCPAddr).Port)
	_ = free.Close()
	c.command = run("postgres", "-D", data, "-p", c.port, "-k", c.dir, "-h", "127.0.0.1", "-F")
	if c.err = c.command.Start(); c.err != nil {
		return
	}
	for range 200 {
		s, err := openStore(context.Background(), c.url("postgres"))
		_ = s.Close()
		if c.err = err; err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (c *cluster) stop() {
	if c.command != nil && c.command.Process != nil {
		_ = c.command.Process.Signal(syscall.SIGINT) // "fast" shutdown
		_ = c.command.Wait()
	}
	if c.dir != "" {
		_ = os.RemoveAll(c.dir)
	}
}

// onEach runs a test on every kind of database.
func onEach(t *testing.T, f func(t *testing.T, database string)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) { t.Parallel(); f(t, ":memory:") })
	t.Run("SQLite", func(t *testing.T) { t.Parallel(); f(t, filepath.Join(t.TempDir(), "test.db")) })
	t.Run("PostgreSQL", func(t *testing.T) { t.Parallel(); f(t, postgres.database(t)) })
}

func on(database string) func(*options) { return func(o *options) { o.database = database } }

func TestStore(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, database string) {
		s, err := openStore(t.Context(), database)
		require.NoError(t, err)
		defer func() { _ = s.Close() }()
		o, version, err := s.read(t.Context(), "acme")
		require.NoError(t, err)
		require.Empty(t, version)
		require.Empty(t, o)

		want := organization{ServiceAccounts: []string{"a"}, Providers: []provider{{
			Name: "p", URL: "https://ci.example", Claims: map[string]any{"x": []any{"y", true, "ünïcödé '\""}}, ServiceAccounts: []string{"a"},
		}}}
		first, done, err := s.write(t.Context(), "acme", "", want)
		require.NoError(t, err)
		require.True(t, done)
		got, version, err := s.read(t.Context(), "acme")
		require.NoError(t, err)
		require.Equal(t, first, version)
		require.NotEmpty(t, got.ids["a"])
		want.ids = got.ids
		require.Equal(t, want, got)
		for issuer, known := range map[string]bool{"https://ci.example": true, "https://ci.example/": false, "": false} {
			yes, err := s.trusts(t.Context(), issuer)
			require.NoError(t, err)
			require.Equal(t, known, yes)
		}

		_, done, err = s.write(t.Context(), "acme", "", organization{}) // it is there
		require.NoError(t, err)
		require.False(t, done)
		second, done, err := s.write(t.Context(), "acme", first, organization{ServiceAccounts: []string{"b"}})
		require.NoError(t, err)
		require.True(t, done)
		_, done, err = s.write(t.Context(), "acme", first, organization{}) // it is not what was seen
		require.NoError(t, err)
		require.False(t, done)
		_, done, err = s.write(t.Context(), "globex", second, organization{}) // it is not there
		require.NoError(t, err)
		require.False(t, done)
		_, version, err = s.read(t.Context(), "acme")
		require.NoError(t, err)
		require.Equal(t, second, version)
		yes, err := s.trusts(t.Context(), "https://ci.example")
		require.NoError(t, err)
		require.False(t, yes)
		names, err := s.names(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"acme"}, names)

		require.NoError(t, s.Close())
		_, _, err = s.read(t.Context(), "acme")
		require.ErrorIs(t, err, oidckit.ErrUnavailable)
		_, _, err = s.write(t.Context(), "acme", second, organization{})
		require.ErrorIs(t, err, oidckit.ErrUnavailable)
	})
}

// Of those who have seen the same, one changes it.
func TestStore_OneWriterWins(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, database string) {
		s, err := openStore(t.Context(), database)
		require.NoError(t, err)
		defer func() { _ = s.Close() }()
		seen, _, err := s.write(t.Context(), "acme", "", organization{})
		require.NoError(t, err)
		results := make(chan bool, 20)
		for i := range 20 {
			go func() {
				_, done, err := s.write(t.Context(), "acme", seen, organization{ServiceAccounts: []string{fmt.Sprint(i)}})
				results <- done && err == nil
			}()
		}
		winners := 0
		for range 20 {
			if <-results {
				winners++
			}
		}
		require.Equal(t, 1, winners)
	})
}

// Programs that start at the same time make the tables once.
func TestStore_OpenedTogether(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, database string) {
		errs := make(chan error, 10)
		for range 10 {
			go func() {
				s, err := openStore(t.Context(), database)
				_ = s.Close()
				errs <- err
			}()
		}
		for range 10 {
			require.NoError(t, <-errs)
		}
	})
}

// What one process changes counts at once in another, and their tokens are of one kind.
func TestTwoProcessesShareADatabase(t *testing.T) {
	t.Parallel()
	keys := filepath.Join(t.TempDir(), "keys.json")
	onEach(t, func(t *testing.T, database string) {
		if database == ":memory:" {
			t.Skip("memory is of one process")
		}
		ci := oidctest.Start(t)
		file := basic + "token: {keys: " + filepath.Join(t.TempDir(), "keys.json") + "}"
		one := startWith(t, ci, file, on(database))
		two := startWith(t, ci, file, on(database), func(o *options) { o.publicURL = one.publicURL })
		minted := one.good(t, "acme", "github-service", one.job(t, ours))
		require.Equal(t, 200, two.self(t, "X-Api-Key", minted).status)
		require.Equal(t, 200, one.change(t, "DELETE", named("GitHub Actions"), "").status)
		two.bad(t, "acme", "github-service", one.job(t, ours), "issuer (iss)")
		require.Equal(t, 200, one.change(t, "DELETE", "services/github-service", "").status)
		require.Equal(t, 401, two.self(t, "X-Api-Key", minted).status)
	})
	require.NoFileExists(t, keys)
}

// The file adds organizations that the database lacks, and changes none.
func TestSeed(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, database string) {
		if database == ":memory:" {
			t.Skip("memory is empty at each start")
		}
		ci := oidctest.Start(t)
		first := startWith(t, ci, basic, on(database))
		require.Contains(t, first.log.String(), `msg="the organization is added from the file" organization=acme`)
		require.Equal(t, 200, first.change(t, "PUT", "services/new-bot", "").status)
		require.NoError(t, first.Close())

		next := startWith(t, ci, basic+"  \n", on(database))
		require.Contains(t, next.log.String(), `what the file says of it is ignored" organization=acme`)
		require.Contains(t, next.admin(t, "GET", "acme/", "").body, "new-bot")
		require.NoError(t, next.Close())

		more := startWith(t, ci, "organizations: {initech: {service_accounts: [a]}}\nadmin: {issuer: CI}", on(database))
		require.Contains(t, more.log.String(), `msg="the organization is added from the file" organization=initech`)
		require.Contains(t, more.admin(t, "GET", "acme/", "").body, "new-bot") // it is no longer in the file
		require.NotContains(t, more.log.String(), "strangers may be let in")
		require.Equal(t, 200, more.change(t, "PUT", named("open"), provide(t, ci.Issuer(), changes{"claims": nil, "force": true})).status)
		require.NoError(t, more.Close())
		last := startWith(t, ci, "organizations: {}\nadmin: {issuer: CI}", on(database))
		require.Contains(t, last.log.String(), "strangers may be let in: the provider has force: true\" organization=acme provider=open")
	})
}

// 200 at a time lose nothing, and get no one else's token. CIEXCHANGE_LOAD is for how long they
// go on; without it each exchanges twice.
func TestConcurrentExchanges(t *testing.T) {
	t.Parallel()
	lasts, _ := time.ParseDuration(os.Getenv("CIEXCHANGE_LOAD"))
	onEach(t, func(t *testing.T, database string) {
		var accounts []string
		for i := range 200 {
			accounts = append(accounts, fmt.Sprintf("bot-%d", i))
		}
		all := strings.Join(accounts, ", ")
		r := start(t, "client_header: X-Real-IP\norganizations: {acme: {service_accounts: ["+all+"], providers: [{name: p, url: CI, audience: a, claims: {repository_owner: acme}, service_accounts: ["+all+"]}]}}", on(database))
		until, errs := time.Now().Add(lasts), make(chan error, len(accounts))
		transport := &http.Transport{MaxIdleConnsPerHost: len(accounts)}
		t.Cleanup(transport.CloseIdleConnections)
		token := r.job(t, changes{"aud": "a"})
		var exchanged atomic.Int64
		for _, account := range accounts {
			go func() {
				var err error
				for n := 0; err == nil && (n < 2 || time.Now().Before(until)); n++ {
					err = r.exchangeOnce(&http.Client{Transport: transport}, token, account)
					exchanged.Add(1)
				}
				errs <- err
			}()
		}
		for range accounts {
			require.NoError(t, <-errs)
		}
		require.EqualValues(t, exchanged.Load(), strings.Count(r.log.String(), "exchange: issued"))
		t.Log(exchanged.Load(), "exchanges")
	})
}

// exchangeOnce exchanges a new token, as a client of its own, and looks whose it is.
func (r *rig) exchangeOnce(client *http.Client, token, account string) error {
	req, err := http.NewRequest(http.MethodPost, r.base+"/openid/acme/", strings.NewReader(requestBody(token, account)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", jsonType)
	req.Header.Set("X-Real-IP", account)
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	var answer struct{ Token string }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %d (%w)", account, res.StatusCode, err)
	}
	var claims struct{ Sub string }
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(answer.Token, ".")[1])
	if err != nil || json.Unmarshal(payload, &claims) != nil || claims.Sub != "acme/"+account {
		return fmt.Errorf("%s got the token of %q", account, claims.Sub)
	}
	return nil
}
