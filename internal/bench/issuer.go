package bench

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// An Issuer is a provider on loopback with switches for its faults: a discovery
// document and a JWK Set, without Cache-Control. It is safe for concurrent use.
type Issuer struct {
	URL string

	// Keys and Discoveries count the requests for the two documents, those that
	// hang included.
	Keys, Discoveries atomic.Int64

	document atomic.Pointer[[]byte]
	delay    atomic.Int64 // of the JWK Set, nanoseconds
	hanging  atomic.Bool

	mu      sync.Mutex
	server  *http.Server
	release chan struct{} // closed when hanging ends
}

// KeysPath is where the JWK Set is.
const KeysPath = "/jwks"

// NewIssuer returns an issuer that listens and publishes the document.
func NewIssuer(document []byte) (*Issuer, error) {
	i := &Issuer{release: make(chan struct{})}
	i.Publish(document)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	i.URL = "http://" + listener.Addr().String()
	i.serve(listener)
	return i, nil
}

// KeysURL returns the address of the JWK Set.
func (i *Issuer) KeysURL() string { return i.URL + KeysPath }

func (i *Issuer) serve(listener net.Listener) {
	server := &http.Server{Handler: i, ReadHeaderTimeout: time.Minute}
	i.mu.Lock()
	i.server = server
	i.mu.Unlock()
	go server.Serve(listener) //nolint:errcheck // it ends when Down closes it
}

// Down makes connections be refused, and ends those there are.
func (i *Issuer) Down() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.server.Close()
}

// Up listens again after Down.
func (i *Issuer) Up() error {
	listener, err := net.Listen("tcp", i.URL[len("http://"):])
	if err != nil {
		return err
	}
	i.serve(listener)
	return nil
}

// Publish changes the JWK Set.
func (i *Issuer) Publish(document []byte) { i.document.Store(&document) }

// Delay makes answers with the JWK Set take that long.
func (i *Issuer) Delay(d time.Duration) { i.delay.Store(int64(d)) }

// Hang makes the issuer take requests and not answer, until Resume.
func (i *Issuer) Hang() { i.hanging.Store(true) }

// Resume ends Hang: what waits is answered.
func (i *Issuer) Resume() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.hanging.Store(false)
	close(i.release)
	i.release = make(chan struct{})
}

// Reset sets the counters to zero.
func (i *Issuer) Reset() {
	i.Keys.Store(0)
	i.Discoveries.Store(0)
}

// ServeHTTP implements http.Handler.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case KeysPath:
		i.Keys.Add(1)
		if i.pause(r.Context(), time.Duration(i.delay.Load())) != nil {
			return
		}
		writeJSON(w, *i.document.Load())
	case "/.well-known/openid-configuration":
		i.Discoveries.Add(1)
		if i.pause(r.Context(), 0) != nil {
			return
		}
		writeJSON(w, Metadata(i.URL))
	default:
		http.NotFound(w, r)
	}
}

// pause waits as long as the faults say, or until the client is gone.
func (i *Issuer) pause(ctx context.Context, d time.Duration) error {
	i.mu.Lock()
	release := i.release
	i.mu.Unlock()
	if !i.hanging.Load() {
		release = nil
		if d == 0 {
			return nil
		}
	} else {
		d = time.Hour
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-release:
	case <-timer.C:
	case <-ctx.Done():
		return errors.New("bench: the client is gone")
	}
	return nil
}

func writeJSON(w http.ResponseWriter, document []byte) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(document) //nolint:gosec // G705: JSON, and a client that went away does not miss it
}

// Metadata returns a discovery document (OpenID Connect Discovery section 3) of the
// usual length, with the JWK Set at KeysPath below the issuer.
func Metadata(issuer string) []byte {
	algorithms := []string{"RS256", "RS384", "PS256", "ES256", "EdDSA"}
	methods := []string{"client_secret_basic", "client_secret_post", "private_key_jwt"}
	document, _ := json.Marshal(map[string]any{ // strings and lists of them always marshal
		"issuer": issuer, "jwks_uri": issuer + KeysPath,
		"authorization_endpoint": issuer + "/authorize", "token_endpoint": issuer + "/token",
		"userinfo_endpoint": issuer + "/userinfo", "end_session_endpoint": issuer + "/logout",
		"introspection_endpoint": issuer + "/introspect", "revocation_endpoint": issuer + "/revoke",
		"response_types_supported":              []string{"code"},
		"response_modes_supported":              []string{"query", "form_post"},
		"grant_types_supported":                 []string{"authorization_code", "refresh_token", "client_credentials"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": algorithms, "request_object_signing_alg_values_supported": algorithms,
		"token_endpoint_auth_methods_supported": methods, "introspection_endpoint_auth_methods_supported": methods,
		"scopes_supported":                 []string{"openid", "profile", "email", "offline_access"},
		"claims_supported":                 []string{"sub", "iss", "auth_time", "name", "given_name", "family_name", "email"},
		"code_challenge_methods_supported": []string{"S256"},
		"claims_parameter_supported":       true, "request_parameter_supported": true,
		"authorization_response_iss_parameter_supported": true,
	})
	return document
}
