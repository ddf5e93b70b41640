package oidctest

import (
	"bytes"
	"io"
	"net/http"
	"sync"
)

// hooks are the functions that change what the provider is about to send.
type hooks struct {
	mu            sync.Mutex
	idToken       func(header, claims map[string]any)
	accessToken   func(header, claims map[string]any)
	tokenResponse func(response map[string]any)
	userInfo      func(claims map[string]any)
	answers       map[Endpoint]func(answer map[string]any)
	signedAnswers map[Endpoint]func(header, claims map[string]any)
	logoutToken   func(header, claims map[string]any)
	request       func(e Endpoint, r *http.Request)
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

// OnAnswer has f change the JSON object that an endpoint answers when a request
// succeeded; nil stops that. It is there for all endpoints that answer one, the
// metadata among them. At Token and UserInfo it comes after the hook that has
// their name, at Introspection also before a signature. f may be called from
// several goroutines at once.
func (p *Provider) OnAnswer(e Endpoint, f func(answer map[string]any)) {
	p.hooks.mu.Lock()
	defer p.hooks.mu.Unlock()
	if p.hooks.answers == nil {
		p.hooks.answers = map[Endpoint]func(map[string]any){}
	}
	p.hooks.answers[e] = f
}

// OnSignedAnswer has f change the JWTs that an endpoint answers with (UserInfo,
// Introspection) before they are signed, like [Provider.OnIDToken].
func (p *Provider) OnSignedAnswer(e Endpoint, f func(header, claims map[string]any)) {
	p.hooks.mu.Lock()
	defer p.hooks.mu.Unlock()
	if p.hooks.signedAnswers == nil {
		p.hooks.signedAnswers = map[Endpoint]func(header, claims map[string]any){}
	}
	p.hooks.signedAnswers[e] = f
}

// OnLogoutToken has f change the logout tokens of [Provider.LogoutToken] before they
// are signed, like [Provider.OnIDToken].
func (p *Provider) OnLogoutToken(f func(header, claims map[string]any)) {
	p.hooks.mu.Lock()
	defer p.hooks.mu.Unlock()
	p.hooks.logoutToken = f
}

// OnRequest has f see every request, before faults and checks; nil stops that. f
// gets a copy whose body it may read. It may be called from several goroutines at
// once.
func (p *Provider) OnRequest(f func(e Endpoint, r *http.Request)) {
	p.hooks.mu.Lock()
	defer p.hooks.mu.Unlock()
	p.hooks.request = f
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

func (h *hooks) changeAnswer(e Endpoint, answer map[string]any) {
	h.mu.Lock()
	f := h.answers[e]
	h.mu.Unlock()
	if f != nil {
		f(answer)
	}
}

func (h *hooks) changeSignedAnswer(e Endpoint, header, claims map[string]any) {
	h.mu.Lock()
	f := h.signedAnswers[e]
	h.mu.Unlock()
	if f != nil {
		f(header, claims)
	}
}

func (h *hooks) changeLogoutToken(header, claims map[string]any) {
	h.mu.Lock()
	f := h.logoutToken
	h.mu.Unlock()
	if f != nil {
		f(header, claims)
	}
}

func (h *hooks) tellRequest(e Endpoint, r *http.Request, body []byte) {
	h.mu.Lock()
	f := h.request
	h.mu.Unlock()
	if f != nil {
		seen := r.Clone(r.Context())
		seen.Body = io.NopCloser(bytes.NewReader(body))
		f(e, seen)
	}
}
