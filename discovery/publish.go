package discovery

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"
)

// MarshalJSON writes the document: the members of m that are set, and Extra. What
// only [Metadata.Raw] knows is not in it: a "signed_metadata" of somebody else's
// document, for example, which would take precedence over what stands beside it
// (RFC 8414 section 2.1). It is an error if Extra has a member that m has a field
// for.
func (m Metadata) MarshalJSON() ([]byte, error) {
	type plain Metadata // without this method
	text, err := json.Marshal(plain(m))
	if err != nil || len(m.Extra) == 0 {
		return text, err
	}
	for name := range m.Extra {
		if isMember(name) {
			return nil, fmt.Errorf("discovery: Metadata.Extra: %s has a field of its own: set that", name)
		}
	}
	more, err := json.Marshal(m.Extra)
	if err != nil {
		return nil, fmt.Errorf("discovery: Metadata.Extra: %w", err)
	}
	text = append(text[:len(text)-1], ',') // there is always the issuer before it
	return append(text, more[1:]...), nil
}

// isMember: readers that ignore case must not find two of a member.
func isMember(name string) bool {
	t := reflect.TypeFor[Metadata]()
	for i := range t.NumField() {
		if member := memberName(t.Field(i)); member != "" && strings.EqualFold(member, name) {
			return true
		}
	}
	return false
}

// Handler publishes m, which is copied, wherever it is mounted:
//
//	mux.Handle("/.well-known/openid-configuration", discovery.Handler(m))
//
// for an issuer without a path; with one, OpenID Connect appends the well-known
// path to it and RFC 8414 section 3.1 inserts it before. Members that have no
// field go into Extra; so does "request_uri_parameter_supported": false, for that
// is true where it is missing.
//
// It answers GET and HEAD, with an ETag, for five minutes of caching, and for
// scripts of every origin: metadata are public, and applications in browsers
// read them. Metadata that cannot be published (no issuer, or see
// [Metadata.MarshalJSON]) are answered with 500.
func Handler(m Metadata) http.Handler {
	text, err := json.Marshal(m)
	if err != nil || m.Issuer == "" {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "the metadata cannot be published", http.StatusInternalServerError)
		})
	}
	sum := sha256.Sum256(text)
	return &document{text: text, etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:]) + `"`}
}

type document struct {
	text []byte
	etag string
}

func (d *document) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("ETag", d.etag)
	h.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(d.text))
}
