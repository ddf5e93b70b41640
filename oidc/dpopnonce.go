package oidc

import (
	"net/http"
	"net/url"
	"strings"

	lru "github.com/hashicorp/golang-lru/v2"
)

// nonces are the last nonce of each origin: one that an authorization server gave is of
// no use at an API, which would learn it (RFC 9449 section 9).
type nonces struct{ last *lru.Cache[string, string] }

// Without a bound, an API with a name for each customer would fill the memory. Whose nonce
// is dropped asks for one again.
const maxNonces = 128

func newNonces() nonces {
	last, err := lru.New[string, string](maxNonces)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return nonces{last}
}

func (n nonces) of(u *url.URL) string {
	nonce, _ := n.last.Get(origin(u))
	return nonce
}

// noteNonce keeps the nonce that a server sent, for its origin: also with answers that
// are no errors (RFC 9449 section 8.2).
func (d *DPoP) noteNonce(u *url.URL, h http.Header) {
	if nonce := nonceIn(h); nonce != "" {
		d.nonces.last.Add(origin(u), nonce)
	}
}

// maxNonce is in bytes. A server takes no header that is much longer, and signs for no more.
const maxNonce = 1024

// nonceIn returns the one nonce among headers, or "".
func nonceIn(h http.Header) string {
	values := h.Values("DPoP-Nonce")
	if len(values) != 1 || len(values[0]) > maxNonce || strings.ContainsFunc(values[0], notNonce) {
		return ""
	}
	return values[0]
}

// notNonce: NQCHAR of RFC 6749 appendix A, which RFC 9449 section 8.1 makes nonces of.
func notNonce(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }

// wantsNonce reports whether an API refused a proof for want of the nonce that came with
// the answer (RFC 9449 section 9).
func (d *DPoP) wantsNonce(status int, h http.Header) bool {
	if status != http.StatusUnauthorized || nonceIn(h) == "" {
		return false
	}
	for _, c := range challenges(h) {
		if c.scheme == "dpop" && c.parameters["error"] == "use_dpop_nonce" {
			return true
		}
	}
	return false
}

// rewind makes a request ready to be sent again, if its body can be had again.
func rewind(req *http.Request) bool {
	if req.Body == nil || req.Body == http.NoBody {
		return true
	}
	if req.GetBody == nil {
		return false
	}
	body, err := req.GetBody()
	if err != nil {
		return false
	}
	req.Body = body
	return true
}

// origin returns scheme, host and port, each in one spelling (RFC 6454 section 4).
func origin(u *url.URL) string {
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	switch port := u.Port(); {
	case port == "":
		host = strings.TrimSuffix(host, ":")
	case scheme == "https" && port == "443", scheme == "http" && port == "80":
		host = strings.TrimSuffix(host, ":"+port)
	}
	return scheme + "://" + host
}
