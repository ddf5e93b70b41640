package interop

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"testing"
)

// InitialAccessToken is what the provider wants of those who register a client (RFC 7591, section 3).
const InitialAccessToken = "initial-for-tests-only"

// Metadata is what a client says of itself when it registers (RFC 7591, section 2).
type Metadata map[string]any

// Register registers a client at the provider's registration endpoint, by hand. What metadata leave out is
// client_secret_basic, RS256 and the code flow with the provider's redirect URIs; a client whose grant_types are others
// has no redirect URI. The provider chooses its id and its secret.
func (o *OP) Register(t testing.TB, metadata Metadata) Client {
	t.Helper()
	body, err := json.Marshal(o.complete(metadata))
	if err != nil {
		t.Fatalf("interop: %v", err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, o.Issuer+"/reg", bytes.NewReader(body))
	if err != nil {
		t.Fatalf("interop: %v", err)
	}
	req.Header.Set("Authorization", "Bearer "+InitialAccessToken)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("interop: register: %v", err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil || res.StatusCode != http.StatusCreated {
		t.Fatalf("interop: register %s: %s: %s (%v)", body, res.Status, text, err)
	}
	var client Client
	if err := json.Unmarshal(text, &client); err != nil {
		t.Fatalf("interop: register: %v", err)
	}
	return client
}

// complete adds what every client of these tests has.
func (o *OP) complete(metadata Metadata) Metadata {
	all := Metadata{"redirect_uris": o.redirectURIs}
	grants, named := metadata["grant_types"].([]string)
	if named && !slices.Contains(grants, "authorization_code") {
		all = Metadata{"redirect_uris": []string{}, "response_types": []string{}}
	}
	maps.Copy(all, metadata)
	return all
}
