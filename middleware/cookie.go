package middleware

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/oidckit/oidckit/oidc"
)

// Names of cookies. Each login under way has one of its own, named by its state,
// so that two tabs do not disturb each other.
const (
	sessionCookie = "oidckit_session"
	flowPrefix    = "oidckit_login_"
)

// maxFlows is how many logins one browser has under way. Beyond it, all begin
// anew: a browser that sends more cookies than a server takes is locked out.
const maxFlows = 8

func (l *Login) secure() bool { return l.redirect.Scheme == "https" }

// cookieName adds the prefix that keeps other hosts and plain http from setting
// the cookie (RFC 6265bis section 4.1.3.2), where https makes it possible.
func (l *Login) cookieName(name string) string {
	if l.secure() {
		return "__Host-" + name
	}
	return name
}

// cookie returns the value of a cookie. If there are two of one name, one of them
// was planted, and neither counts.
func (l *Login) cookie(r *http.Request, name string) (string, bool) {
	found := r.CookiesNamed(l.cookieName(name))
	if len(found) != 1 {
		return "", false
	}
	return found[0].Value, true
}

// setCookie sets a cookie for the given time; none deletes it. Lax lets it come
// along when the provider sends the browser back.
func (l *Login) setCookie(w http.ResponseWriter, name, value string, life time.Duration) {
	c := &http.Cookie{ //nolint:gosec // G124: on loopback without TLS a Secure cookie would not come back
		Name: l.cookieName(name), Value: value, Path: "/",
		Secure: l.secure(), HttpOnly: true, SameSite: http.SameSiteLaxMode,
		MaxAge: int(life.Seconds()),
	}
	if life <= 0 {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

func flowCookie(state string) string {
	sum := sha256.Sum256([]byte(state))
	return flowPrefix + base64.RawURLEncoding.EncodeToString(sum[:12])
}

// maxReturnTo is how many bytes of JSON a path may have to be kept with a flow: a
// cookie of more than 4096 bytes is dropped by browsers, and the login with it.
const maxReturnTo = 1024

type keptFlow struct {
	Flow     []byte `json:"f"`
	ReturnTo string `json:"r"`
}

func (l *Login) keepFlow(w http.ResponseWriter, r *http.Request, flow *oidc.Flow, returnTo string) error {
	binary, err := flow.MarshalBinary()
	if err != nil {
		return err
	}
	if quoted, err := json.Marshal(returnTo); err != nil || len(quoted) > maxReturnTo {
		returnTo = "/"
	}
	plain, err := json.Marshal(keptFlow{Flow: binary, ReturnTo: returnTo})
	if err != nil {
		return err
	}
	l.limitFlows(w, r)
	name := flowCookie(flow.State())
	l.setCookie(w, name, l.flows.seal(plain, name), oidc.FlowLifetime)
	return nil
}

func (l *Login) limitFlows(w http.ResponseWriter, r *http.Request) {
	var old []string
	prefix := l.cookieName(flowPrefix)
	for _, c := range r.Cookies() {
		if strings.HasPrefix(c.Name, prefix) {
			old = append(old, strings.TrimPrefix(c.Name, l.cookieName("")))
		}
	}
	if len(old) >= maxFlows {
		for _, name := range old[:min(len(old), 4*maxFlows)] {
			l.setCookie(w, name, "", 0)
		}
	}
}

// takeFlow returns the login that a callback belongs to, and deletes its cookie
// whatever comes of it. There is none if the cookie is not ours.
func (l *Login) takeFlow(w http.ResponseWriter, r *http.Request, state string) (flow *oidc.Flow, returnTo string) {
	name := flowCookie(state)
	sealed, ok := l.cookie(r, name)
	if !ok {
		return nil, ""
	}
	l.setCookie(w, name, "", 0)
	plain, ok := l.flows.open(sealed, name)
	if !ok {
		return nil, ""
	}
	var kept keptFlow
	flow = new(oidc.Flow)
	if json.Unmarshal(plain, &kept) != nil || flow.UnmarshalBinary(kept.Flow) != nil {
		return nil, ""
	}
	return flow, l.returnTo(kept.ReturnTo)
}

// A sealer encrypts and authenticates cookies with a key of this process, bound
// to the cookie's name.
type sealer struct{ aead cipher.AEAD }

func newSealer() sealer {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails: crypto/rand ends the program instead
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // unreachable: the key has a length that AES knows
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // unreachable: AES has the block size of GCM
	}
	return sealer{aead}
}

func (s sealer) seal(plain []byte, purpose string) string {
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, plain, []byte(purpose))) //nolint:gosec // G407: this AEAD makes its nonce itself
}

func (s sealer) open(sealed, purpose string) ([]byte, bool) {
	data, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if err != nil {
		return nil, false
	}
	plain, err := s.aead.Open(nil, nil, data, []byte(purpose))
	return plain, err == nil
}
