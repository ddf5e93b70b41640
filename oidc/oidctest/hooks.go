package oidctest

import "sync"

// hooks are the functions that change what the provider is about to send.
type hooks struct {
	mu            sync.Mutex
	idToken       func(header, claims map[string]any)
	accessToken   func(header, claims map[string]any)
	tokenResponse func(response map[string]any)
	userInfo      func(claims map[string]any)
}

// OnIDToken has f change every ID token before it is signed; nil stops that. The
// header has the members "alg", "kid" (unless alg is HS*) and "typ". Members that
// f deletes are missing from the token; the key is the one of the "alg" that f
// leaves (and of the "kid", if it is a published one of that alg), where "none"
// means an empty signature. The "kid" stays as f leaves it.
// f may be called from several goroutines at once.
func (p *Provider) OnIDToken(f func(header, claims map[string]any)) {
	p.hooks.mu.Lock()
	defer p.hooks.mu.Unlock()
	p.hooks.idToken = f
}

// OnAccessToken has f change every access token before it is signed, like
// [Provider.OnIDToken]. Its header has the "typ" at+jwt, its claims those of RFC 9068
// (iss, sub, aud, client_id, exp, iat, jti, scope) and those of the user. This makes
// tokens as Keycloak does:
//
//	provider.OnAccessToken(func(header, claims map[string]any) {
//		header["typ"], claims["typ"] = "JWT", "Bearer"
//		claims["aud"] = []string{"account", "https://api.example.com"}
//	})
func (p *Provider) OnAccessToken(f func(header, claims map[string]any)) {
	p.hooks.mu.Lock()
	defer p.hooks.mu.Unlock()
	p.hooks.accessToken = f
}

// OnTokenResponse has f change what the token endpoint answers to a request that
// succeeded; nil stops that. f may be called from several goroutines at once.
func (p *Provider) OnTokenResponse(f func(response map[string]any)) {
	p.hooks.mu.Lock()
	defer p.hooks.mu.Unlock()
	p.hooks.tokenResponse = f
}

// OnUserInfo has f change the claims of the userinfo endpoint; nil stops that. f
// may be called from several goroutines at once.
func (p *Provider) OnUserInfo(f func(claims map[string]any)) {
	p.hooks.mu.Lock()
	defer p.hooks.mu.Unlock()
	p.hooks.userInfo = f
}

// The hooks run outside the lock, so that they may call the provider.

func (h *hooks) changeIDToken(header, claims map[string]any) {
	h.mu.Lock()
	f := h.idToken
	h.mu.Unlock()
	if f != nil {
		f(header, claims)
	}
}

func (h *hooks) changeAccessToken(header, claims map[string]any) {
	h.mu.Lock()
	f := h.accessToken
	h.mu.Unlock()
	if f != nil {
		f(header, claims)
	}
}

func (h *hooks) changeTokenResponse(response map[string]any) {
	h.mu.Lock()
	f := h.tokenResponse
	h.mu.Unlock()
	if f != nil {
		f(response)
	}
}

func (h *hooks) changeUserInfo(claims map[string]any) {
	h.mu.Lock()
	f := h.userInfo
	h.mu.Unlock()
	if f != nil {
		f(claims)
	}
}
