package seeds_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/interop"
)

// clients is how many exchange tokens at one time.
const clients = 200

// loadLasts is for how long: as OIDCKIT_LOAD says ("1m"), or a moment.
func loadLasts(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("OIDCKIT_LOAD")
	if text == "" {
		return 3 * time.Second
	}
	lasts, err := time.ParseDuration(text)
	require.NoError(t, err, "OIDCKIT_LOAD")
	return lasts
}

// A load is many clients of one program at one time, each of which counts what it gets.
type load struct {
	// Each client has its connection. Of connections that clients share some are never used, which the server closes after
	// ten seconds; and a client that takes one at that moment gets an EOF in place of an answer.
	clients [clients]http.Client
	keys    jose.JSONWebKeySet
	once    func(l *load, client, n int) (token, sub string, err error)

	mu  sync.Mutex
	ids map[string]bool
}

// run has every client exchange tokens until the time is over: none is lost, none is somebody else's, and none is
// issued twice. The program's log has as many.
func (l *load) run(t *testing.T, base string, process *interop.Process) {
	t.Helper()
	for i := range l.clients {
		l.clients[i] = http.Client{Transport: &http.Transport{}, Timeout: time.Minute}
		t.Cleanup(l.clients[i].CloseIdleConnections)
	}
	l.ids = map[string]bool{}
	require.NoError(t, l.fetchKeys(t.Context(), base))
	lasts := loadLasts(t)
	end, errs := time.Now().Add(lasts), make(chan error, clients)
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			for n := 0; n < 2 || time.Now().Before(end); n++ {
				if err := l.exchange(client, n); err != nil {
					errs <- fmt.Errorf("client %d, exchange %d: %w", client, n, err)
					return
				}
			}
		})
	}
	all.Wait()
	close(errs)
	require.NoError(t, <-errs)
	require.GreaterOrEqual(t, len(l.ids), 2*clients)
	process.Stop() // and has written all of its log
	require.Equal(t, len(l.ids), strings.Count(process.Output(), "exchange: issued"), "each has a line in the log")
	t.Logf("%d clients exchanged %d tokens in %v", clients, len(l.ids), lasts)
}

func (l *load) fetchKeys(ctx context.Context, base string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/.well-known/jwks.json", http.NoBody)
	if err != nil {
		return err
	}
	text, err := l.do(0, r)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(text), &l.keys)
}

// exchange verifies what a client got, and that it is for this client and nobody else.
func (l *load) exchange(client, n int) error {
	token, sub, err := l.once(l, client, n)
	if err != nil {
		return err
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return err
	}
	var claims jwt.Claims
	if err := parsed.Claims(&l.keys, &claims); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if claims.Subject != sub || claims.ID == "" || l.ids[claims.ID] {
		return fmt.Errorf("it is for %q, should be for %q; seen before: %t", claims.Subject, sub, l.ids[claims.ID])
	}
	l.ids[claims.ID] = true
	return nil
}

// post sends a form as a client of its own.
func (l *load) post(target string, client int, form url.Values) (string, error) {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Real-IP", fmt.Sprintf("10.0.0.%d", client))
	return l.do(client, r)
}

func (l *load) do(client int, r *http.Request) (string, error) {
	res, err := l.clients[client].Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%d: %s", res.StatusCode, text)
	}
	return string(text), err
}

func TestLoad_TokenProxy(t *testing.T) {
	e := newEdge(t)
	upstream := e.provider(gitlab)
	keys, ids := generateKeys(t, "ES256")
	dir := t.TempDir()
	write(t, dir, "keys.json", keys)
	base, process := e.run(proxyReady, interop.BuildExample(t, "tokenproxy"), "-listen", "127.0.0.1:0", "-config", write(t, dir, "site.ini",
		"jwks_file = keys.json\nissuer = "+proxyURL+"\nupstream_issuer = "+gitlab+"\nclone_upstream_claims = sub\nsingle_use = true\n"+
			"client_header = X-Real-IP\nrate_limit = 100000\n"+setting("signing_key_ids", ids)))
	l := load{once: func(l *load, client, n int) (token, sub string, err error) {
		sub = fmt.Sprintf("%d-%d", client, n)
		token, err = l.post(base+"/token", client, url.Values{"token": {job(upstream, map[string]any{"sub": sub, "aud": forAWS})}})
		return token, sub, err
	}}
	l.run(t, base, process)
}

func TestLoad_CIExchange(t *testing.T) {
	e := newEdge(t)
	provider := e.provider(circleIssuer)
	var accounts []string
	for client := range clients {
		accounts = append(accounts, fmt.Sprintf("bot-%d", client))
	}
	all := strings.Join(accounts, ", ")
	process, base := startExchange(t, e, "client_header: X-Real-IP\nprivate_issuers: true\norganizations: {acme: {service_accounts: ["+all+
		"], providers: [{name: CircleCI, url: '"+circleIssuer+"', claims: {oidc.circleci.com/vcs-origin: github.com/acme/widgets}, service_accounts: ["+all+"]}]}}\n")
	token := job(provider, ciClaims(t, "circleci")) // a job may use it for several accounts
	l := load{once: func(l *load, client, _ int) (string, string, error) {
		text, err := l.post(base+"/openid/acme/", client, url.Values{"oidc_token": {token}, "service_slug": {accounts[client]}})
		if err != nil {
			return "", "", err
		}
		var answer struct{ Token string }
		err = json.Unmarshal([]byte(text), &answer)
		return answer.Token, "acme/" + accounts[client], err
	}}
	l.run(t, base, process)
}
