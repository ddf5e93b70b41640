package middleware

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/oidc"
)

// ProtectedResourceConfig is what an API says of itself (RFC 9728 section 2): what clients
// need to get a token for it, such as those of the Model Context Protocol. URLs are https,
// or http on loopback.
type ProtectedResourceConfig struct {
	// Resource is the URL of the API, as clients use it, without query and fragment.
	// Required. Clients compare it byte for byte with what they called.
	Resource string
	// AuthorizationServers are the issuers whose tokens the API takes. Required.
	AuthorizationServers []string
	// Audience is what tokens call the API in "aud"; one of them must be there. Default is
	// Resource, which is what clients ask for by RFC 8707.
	Audience []string

	Scopes                    []string       // that clients may ask for ("scopes_supported")
	BearerMethods             []string       // how tokens may be sent: "header", "body", "query"; default header
	JWKSURI                   string         // keys of the API itself, not of the issuers
	SigningAlgorithms         []string       // with which the API signs its answers
	Name                      string         // for people
	Documentation             string         // URL
	Policy                    string         // URL: how clients may use the data
	TermsOfService            string         // URL
	CertificateBoundTokens    bool           // mutual TLS is supported (RFC 8705)
	DPoPAlgorithms            []string       // of proofs (RFC 9449)
	RequireDPoP               bool           // no token is taken without proof
	AuthorizationDetailsTypes []string       // RFC 9396
	More                      map[string]any // further members, such as "resource_name#fr"; none of the above

	// Signer makes "signed_metadata" of it, by which clients can trust metadata that came
	// over others. *jwks.SigningKey and *jwks.SigningKeys are some. Optional.
	Signer MetadataSigner
	// SignedBy is the "iss" of signed metadata. Default is Resource.
	SignedBy string
	// Now is the clock. Nil is time.Now.
	Now func() time.Time
}

// A MetadataSigner signs JWTs.
type MetadataSigner interface {
	SignJWT(ctx context.Context, typ string, payload []byte) (compact string, err error)
}

// A ProtectedResource is an API with its metadata. It serves them, as an [http.Handler], at
// its Path, and is tied to challenges and audience by [Bearer.Resource]. It is safe for
// concurrent use.
type ProtectedResource struct {
	cfg     ProtectedResourceConfig
	url     *url.URL
	members map[string]any
	plain   []byte // the document, unless it is signed
	signing chan struct{}
	signed  []byte
	until   time.Time // when signed must be made anew
}

// NewProtectedResource returns an API with its metadata. It signs nothing yet; errors are
// about cfg alone.
func NewProtectedResource(cfg ProtectedResourceConfig) (*ProtectedResource, error) {
	cfg.Audience, cfg.More = slices.Clone(cfg.Audience), maps.Clone(cfg.More)
	if len(cfg.Audience) == 0 {
		cfg.Audience = []string{cfg.Resource}
	}
	if cfg.SignedBy == "" {
		cfg.SignedBy = cfg.Resource
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if len(cfg.BearerMethods) == 0 {
		cfg.BearerMethods = []string{"header"}
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	u, err := url.Parse(cfg.Resource)
	if err != nil {
		return nil, errors.New("middleware: ProtectedResourceConfig.Resource is no URL")
	}
	p := &ProtectedResource{cfg: cfg, url: u, signing: make(chan struct{}, 1)}
	if p.members, err = cfg.members(); err != nil {
		return nil, err
	}
	if p.plain, err = json.Marshal(p.members); err != nil {
		return nil, errors.New("middleware: ProtectedResourceConfig.More has what JSON cannot say")
	}
	return p, nil
}

func (cfg *ProtectedResourceConfig) check() error {
	if err := cfg.checkURLs(); err != nil {
		return err
	}
	if len(cfg.AuthorizationServers) == 0 {
		return errors.New("middleware: ProtectedResourceConfig.AuthorizationServers must name an issuer")
	}
	if strings.Contains(cfg.Resource, "?") {
		return errors.New("middleware: ProtectedResourceConfig.Resource must have no query")
	}
	if slices.Contains(cfg.Audience, "") {
		return errors.New("middleware: ProtectedResourceConfig.Audience has an empty name")
	}
	for _, m := range cfg.BearerMethods {
		if m != "header" && m != "body" && m != "query" {
			return errors.New(`middleware: ProtectedResourceConfig.BearerMethods must be of "header", "body" and "query"`)
		}
	}
	for _, s := range cfg.Scopes {
		if !isScope(s) {
			return errors.New("middleware: ProtectedResourceConfig.Scopes has one with characters that scopes have not")
		}
	}
	return nil
}

func (cfg *ProtectedResourceConfig) checkURLs() error {
	type field struct{ name, url string }
	fields := []field{{"Resource", cfg.Resource}}
	for _, s := range cfg.AuthorizationServers {
		fields = append(fields, field{"AuthorizationServers", s})
	}
	for _, f := range []field{
		{"JWKSURI", cfg.JWKSURI}, {"Documentation", cfg.Documentation}, {"Policy", cfg.Policy},
		{"TermsOfService", cfg.TermsOfService},
	} {
		if f.url != "" {
			fields = append(fields, f)
		}
	}
	for _, f := range fields {
		if err := fetch.CheckURL(f.url, false); err != nil {
			return fmt.Errorf("middleware: ProtectedResourceConfig.%s: %w", f.name, err)
		}
	}
	return nil
}

// isScope has the characters of a scope-token (RFC 6749 section 3.3).
func isScope(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return s != ""
}

// members are those of RFC 9728 section 2. "Parameters with zero elements MUST be omitted"
// (section 3.2).
func (cfg *ProtectedResourceConfig) members() (map[string]any, error) {
	all := map[string]any{"resource": cfg.Resource}
	for name, list := range map[string][]string{
		"authorization_servers":                 cfg.AuthorizationServers,
		"scopes_supported":                      cfg.Scopes,
		"bearer_methods_supported":              cfg.BearerMethods,
		"resource_signing_alg_values_supported": cfg.SigningAlgorithms,
		"dpop_signing_alg_values_supported":     cfg.DPoPAlgorithms,
		"authorization_details_types_supported": cfg.AuthorizationDetailsTypes,
	} {
		if len(list) > 0 {
			all[name] = slices.Clone(list)
		}
	}
	for name, text := range map[string]string{
		"jwks_uri": cfg.JWKSURI, "resource_name": cfg.Name, "resource_documentation": cfg.Documentation,
		"resource_policy_uri": cfg.Policy, "resource_tos_uri": cfg.TermsOfService,
	} {
		if text != "" {
			all[name] = text
		}
	}
	for name, is := range map[string]bool{
		"tls_client_certificate_bound_access_tokens": cfg.CertificateBoundTokens,
		"dpop_bound_access_tokens_required":          cfg.RequireDPoP,
	} {
		if is {
			all[name] = true
		}
	}
	for name, value := range cfg.More {
		if all[name] != nil || slices.Contains(reserved, name) {
			return nil, fmt.Errorf("middleware: ProtectedResourceConfig.More: %q has a field of its own", name)
		}
		all[name] = value
	}
	return all, nil
}

// reserved are members that More must not make up.
var reserved = []string{
	"scopes_supported", "resource_signing_alg_values_supported", "dpop_signing_alg_values_supported",
	"authorization_details_types_supported", "jwks_uri", "resource_name", "resource_documentation",
	"resource_policy_uri", "resource_tos_uri", "tls_client_certificate_bound_access_tokens",
	"dpop_bound_access_tokens_required", "signed_metadata", "iss", "iat",
}

// wellKnown stands "between the host component and the path" of the resource (RFC 9728
// section 3.1).
const wellKnown = "/.well-known/oauth-protected-resource"

// Path is where the metadata are served: mount the resource there.
//
//	mux.Handle(resource.Path(), resource)
func (p *ProtectedResource) Path() string {
	if p == nil || p.url == nil {
		return wellKnown
	}
	path := p.url.EscapedPath()
	if path == "/" { // "any terminating slash following the host MUST be removed"
		path = ""
	}
	return wellKnown + path
}

// MetadataURL is where clients find the metadata, and what challenges say.
func (p *ProtectedResource) MetadataURL() string { return p.origin() + p.Path() }

// Resource is the URL of the API: the audience of an oidc.AccessTokenConfig.
func (p *ProtectedResource) Resource() string { return p.cfg.Resource }

func (p *ProtectedResource) origin() string {
	if p == nil || p.url == nil {
		return ""
	}
	return p.url.Scheme + "://" + p.url.Host
}

// isNamedBy reports whether a token is for this API. Nobody's is for one that
// NewProtectedResource did not make.
func (p *ProtectedResource) isNamedBy(t *oidc.AccessToken) bool {
	return slices.ContainsFunc(p.cfg.Audience, func(a string) bool { return slices.Contains(t.Audience, a) })
}

// ServeHTTP serves the metadata to everybody, pages of other sites included: they are
// public. Nothing in them comes from the request.
func (p *ProtectedResource) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if p == nil || p.url == nil || r.URL.EscapedPath() != p.Path() {
		http.NotFound(w, r)
		return
	}
	h.Set("Access-Control-Allow-Origin", "*")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		p.serve(w, r)
	case http.MethodOptions: // a preflight: clients in browsers add headers of their own
		h.Set("Access-Control-Allow-Methods", "GET, HEAD")
		h.Set("Access-Control-Allow-Headers", "*")
		w.WriteHeader(http.StatusNoContent)
	default:
		h.Set("Allow", "GET, HEAD, OPTIONS")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
	}
}

func (p *ProtectedResource) serve(w http.ResponseWriter, r *http.Request) {
	document, err := p.document(r.Context())
	if err != nil {
		w.Header().Set("Retry-After", "1")
		http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "max-age=3600")
	_, _ = w.Write(document)
}

// signedFor is how long a signature is handed out: keys change.
const signedFor = time.Hour

// document returns the metadata, signed if there is somebody to sign them.
func (p *ProtectedResource) document(ctx context.Context) ([]byte, error) {
	if p.cfg.Signer == nil {
		return p.plain, nil
	}
	select {
	case p.signing <- struct{}{}:
		defer func() { <-p.signing }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	now := p.cfg.Now()
	if p.signed != nil && now.Before(p.until) {
		return p.signed, nil
	}
	document, err := p.sign(ctx, now)
	if err == nil {
		p.signed, p.until = document, now.Add(signedFor)
	}
	return document, err
}

// sign makes a JWT of the metadata that says who attests them (RFC 9728 section 2.2).
func (p *ProtectedResource) sign(ctx context.Context, now time.Time) ([]byte, error) {
	payload := maps.Clone(p.members)
	payload["iss"], payload["iat"] = p.cfg.SignedBy, now.Unix()
	text, err := json.Marshal(payload)
	if err != nil {
		return nil, err
	}
	compact, err := p.cfg.Signer.SignJWT(ctx, "JWT", text)
	if err != nil {
		return nil, err
	}
	all := maps.Clone(p.members)
	all["signed_metadata"] = compact
	return json.Marshal(all)
}
