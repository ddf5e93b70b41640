package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/oidckit/oidckit/examples/tokenproxy/proxy"
	"github.com/oidckit/oidckit/oidc/exchange"
)

// A proxy in a server that is somebody's already.
func Example() {
	mux := http.NewServeMux()
	handler, err := proxy.New(proxy.Settings{
		JWKSFile: "../example/keys.json", SigningKeyIDs: []exchange.KeyChoice{{Algorithm: "ES256", KeyID: "7695e425-1109-4ee2-ac1f-dc3d6ed9fe94"}},
		Issuer: "https://www.example.com/oidc", UpstreamIssuer: "https://gitlab.internal", CloneUpstreamClaims: []string{"sub"},
	})
	mux.Handle("/oidc/", handler)
	if err != nil {
		fmt.Println(err)
		return
	}

	server := httptest.NewServer(mux)
	defer server.Close()
	response, err := http.Get(server.URL + "/oidc/.well-known/openid-configuration")
	if err != nil {
		fmt.Println(err)
		return
	}
	document, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	fmt.Println(string(document[:73]))
	// Output: {"issuer":"https://www.example.com/oidc","token_endpoint":"https://www.ex
}
