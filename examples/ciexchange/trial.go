package main

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/oidckit/oidckit/examples/internal/serve"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

// The configuration of a trial, and the claims that its CI services write, by their paths.
var (
	//go:embed trial.yaml
	trialConfig string
	//go:embed trial.json
	trialClaims []byte
)

// startTrial serves CI services and an issuer of managers, and returns a configuration that
// trusts them. Whoever reaches it has whatever token he likes, so it is on loopback alone.
func startTrial(ctx context.Context, addr, audience string) (base string, cfg *settings, err error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return "", nil, fmt.Errorf("-trial-listen: %w: write a free host:port, such as 127.0.0.1:8084", err)
	}
	if at, err := netip.ParseAddrPort(listener.Addr().String()); err != nil || !at.Addr().IsLoopback() {
		_ = listener.Close() // nothing was served
		return "", nil, fmt.Errorf("-trial-listen: %s hands tokens to everybody: write an address of loopback, such as 127.0.0.1:8084", addr)
	}
	base = "http://" + listener.Addr().String()
	handler, err := newTrial(base, audience)
	if err != nil {
		return "", nil, err
	}
	go func() { _ = serve.HTTP(ctx, listener, handler) }() // the program ends with ctx too
	cfg, err = readSettings("trial.yaml", []byte(strings.ReplaceAll(trialConfig, "{TRIAL}", base)), false)
	return base, cfg, err
}

func newTrial(base, audience string) (http.Handler, error) {
	var services map[string]map[string]any
	if err := json.Unmarshal(trialClaims, &services); err != nil {
		return nil, err
	}
	services["admin"]["aud"] = audience
	mux := http.NewServeMux()
	for path, claims := range services {
		provider, err := oidctest.New(oidctest.Config{Issuer: base + "/" + path})
		if err != nil {
			return nil, err
		}
		name, _, _ := strings.Cut(path, "/")
		mux.Handle("/"+path+"/", provider)
		mux.HandleFunc("/mint/"+name, func(w http.ResponseWriter, r *http.Request) { mint(w, r, provider, claims) })
	}
	return mux, nil
}

// mint answers as GitHub does where jobs ask for their token: with one for the audience of
// the query. Other parameters replace the claims of their names.
func mint(w http.ResponseWriter, r *http.Request, p *oidctest.Provider, template map[string]any) {
	claims := maps.Clone(template)
	for name, values := range r.URL.Query() {
		var value any = values[0]
		switch name {
		case "audience":
			name = "aud"
		case "api-version": // GitHub's own
			continue
		case "organizations", "oidc.circleci.com/ssh-rerun":
			if !json.Valid([]byte(values[0])) {
				answer(w, http.StatusBadRequest, map[string]string{"detail": name + ": write JSON"})
				return
			}
			value = json.RawMessage(values[0])
		}
		claims[name] = value
	}
	now := p.Now().Unix()
	claims["iss"], claims["jti"], claims["iat"], claims["nbf"], claims["exp"] = p.Issuer(), rand.Text(), now, now-5, now+300
	typ := "JWT"
	if claims["client_id"] != nil {
		typ = "at+jwt"
	}
	answer(w, http.StatusOK, map[string]string{"value": p.Sign(map[string]any{"typ": typ}, claims)})
}
