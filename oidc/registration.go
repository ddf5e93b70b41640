package oidc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/internal/strictjson"
)

// A Registration is a client that a provider has registered (RFC 7591 section 3.2.1, RFC
// 7592 section 3). It prints redacted, in JSON too; who keeps one keeps what
// [Registration.MarshalBinary] returns, or the fields.
type Registration struct {
	ClientID     string
	ClientSecret clientauth.Secret // empty if there is none
	// ClientSecretExpires is when the secret is good no longer; zero if never.
	ClientSecretExpires time.Time
	IssuedAt            time.Time // zero if the provider does not say
	// RegistrationAccessToken and RegistrationClientURI are to read, change and delete the
	// registration with; empty if the provider does not offer that (RFC 7592).
	RegistrationAccessToken clientauth.Secret
	RegistrationClientURI   string
	// Metadata are as they are registered, which need not be as they were asked for.
	Metadata ClientMetadata

	raw func() []byte // a function, for package fmt cannot look into it
}

// Raw returns the provider's answer as it came, secrets and all; nil if there was none.
func (r *Registration) Raw() []byte {
	if r.raw == nil {
		return nil
	}
	return bytes.Clone(r.raw())
}

// Format prints the client's identifier with every verb, and nothing else.
func (r Registration) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "oidc.Registration(%s)", r.ClientID)
}

// MarshalText redacts; see [Registration.MarshalBinary].
func (r Registration) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// LogValue redacts, as Format does.
func (r Registration) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(r)) }

// credentials are the members of a registration that are no metadata.
type credentials struct {
	ClientID    string  `json:"client_id"`
	Secret      string  `json:"client_secret,omitempty"`
	Expires     seconds `json:"client_secret_expires_at,omitempty"`
	IssuedAt    seconds `json:"client_id_issued_at,omitempty"`
	AccessToken string  `json:"registration_access_token,omitempty"`
	URI         string  `json:"registration_client_uri,omitempty"`
}

// MarshalBinary returns the registration with its secrets, to be kept where secrets are.
func (r *Registration) MarshalBinary() ([]byte, error) {
	members, err := r.Metadata.encode()
	if err != nil {
		return nil, err
	}
	own, err := json.Marshal(credentials{
		ClientID: r.ClientID, Secret: string(r.ClientSecret), Expires: unix(r.ClientSecretExpires), IssuedAt: unix(r.IssuedAt),
		AccessToken: string(r.RegistrationAccessToken), URI: r.RegistrationClientURI,
	})
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(own, &members); err != nil { // adds to them
		return nil, err
	}
	return json.Marshal(members)
}

// UnmarshalBinary reads what MarshalBinary wrote. It comes from where secrets are kept,
// and is not verified again.
func (r *Registration) UnmarshalBinary(data []byte) error {
	read, err := parseRegistration(data)
	if err != nil {
		return errors.New("oidc: this is no registration")
	}
	*r = *read
	return nil
}

func unix(t time.Time) seconds {
	if t.IsZero() {
		return 0
	}
	return seconds(t.Unix())
}

// fromUnix: 0 is never (RFC 7591 section 3.2.1), and so is what no clock gets to.
func fromUnix(s seconds) time.Time {
	if s <= 0 || s > math.MaxInt32*100 {
		return time.Time{}
	}
	return time.Unix(int64(s), 0)
}

func parseRegistration(body []byte) (*Registration, error) {
	text := string(body)
	members, err := strictjson.ParseString(text)
	if err != nil {
		return nil, err
	}
	var own credentials
	if err := strictjson.Decode(text, &own); err != nil {
		return nil, errMemberType
	}
	switch {
	case !isIdentifier(own.ClientID):
		return nil, errors.New("has no usable client_id")
	case hasControl(own.Secret) || !isTokenText(own.AccessToken):
		return nil, errors.New("has a secret or token with characters that none has")
	}
	r := &Registration{
		ClientID: own.ClientID, ClientSecret: clientauth.Secret(own.Secret), ClientSecretExpires: fromUnix(own.Expires),
		IssuedAt: fromUnix(own.IssuedAt), RegistrationAccessToken: clientauth.Secret(own.AccessToken), RegistrationClientURI: own.URI,
		raw: func() []byte { return body },
	}
	r.Metadata.read(members)
	return r, nil
}

func hasControl(s string) bool {
	return bytes.ContainsFunc([]byte(s), func(r rune) bool { return r < 0x20 || r == 0x7f })
}

// RegistrationError says in which point a provider's answer to a registration is not what
// was asked for, or cannot be used. The client is registered all the same: Registration has
// it, to be deleted, changed, or used by who can do with it.
type RegistrationError struct {
	Member       string // of the answer: "redirect_uris", "registration_client_uri", …
	Registration *Registration
}

// MarshalText is the text of Error: the registration has secrets.
func (e *RegistrationError) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

func (e *RegistrationError) Error() string {
	return fmt.Sprintf("oidc: the client was registered, but not with the %s that was asked for or can be used", e.Member)
}

// RegisterClient registers a client with the provider (RFC 7591 section 3.1, OpenID Connect
// Dynamic Client Registration 1.0). The initial access token is what the provider gave to
// the operator for this; empty where anybody may register.
//
// A provider may register something else than it was asked for. Where that touches
// security (where codes and tokens are sent, how the client proves itself, what is signed
// or bound to keys) it is a *[RegistrationError], which holds the registration.
//
// A refusal is a *[ResponseError] with the code "invalid_redirect_uri",
// "invalid_client_metadata", "invalid_software_statement" or
// "unapproved_software_statement"; a refused token one with Status 401 or 403; an outage
// answers errors.Is for oidckit.ErrUnavailable. A request whose answer was lost may have
// registered a client.
func (p *Provider) RegisterClient(ctx context.Context, m ClientMetadata, initialAccessToken clientauth.Secret) (*Registration, error) {
	md, err := p.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	if md.RegistrationEndpoint == "" {
		return nil, fmt.Errorf("%w: registration_endpoint", ErrNoEndpoint)
	}
	wanted, err := m.members()
	if err != nil {
		return nil, err
	}
	resp, err := p.manage(ctx, http.MethodPost, md.RegistrationEndpoint, initialAccessToken, wanted)
	if err != nil {
		return nil, err
	}
	// "[...] the server responds with an HTTP 201 Created"; some say 200.
	if resp.Status != http.StatusCreated && resp.Status != http.StatusOK {
		return nil, responseError(resp)
	}
	r, err := readRegistration(resp)
	if err != nil {
		return nil, err
	}
	return p.checkRegistration(ctx, r, wanted)
}

// ReadRegistration asks the provider what is registered (RFC 7592 section 2.1). What comes
// back is to be kept in place of r: its token and secret may be new. A token that is good no
// longer, because the client was deleted or by another reason, is an *[Error] with
// [ReasonRevoked].
func (p *Provider) ReadRegistration(ctx context.Context, r *Registration) (*Registration, error) {
	return p.configure(ctx, http.MethodGet, r, nil)
}

// UpdateRegistration replaces all metadata of a client (RFC 7592 section 2.2): what m leaves
// out is taken away. Errors are those of [Provider.RegisterClient] and
// [Provider.ReadRegistration]; what comes back is to be kept in place of r.
func (p *Provider) UpdateRegistration(ctx context.Context, r *Registration, m ClientMetadata) (*Registration, error) {
	wanted, err := m.members()
	if err != nil {
		return nil, err
	}
	return p.configure(ctx, http.MethodPut, r, wanted)
}

// DeleteRegistration ends a client (RFC 7592 section 2.3). Errors are those of
// [Provider.ReadRegistration].
func (p *Provider) DeleteRegistration(ctx context.Context, r *Registration) error {
	resp, err := p.manageRegistered(ctx, http.MethodDelete, r, nil)
	if err != nil {
		return err
	}
	if resp.Status != http.StatusNoContent {
		return responseError(resp)
	}
	return nil
}

func (p *Provider) configure(ctx context.Context, method string, r *Registration, wanted members) (*Registration, error) {
	resp, err := p.manageRegistered(ctx, method, r, wanted)
	if err != nil {
		return nil, err
	}
	if resp.Status != http.StatusOK {
		return nil, responseError(resp)
	}
	now, err := readRegistration(resp)
	if err != nil {
		return nil, err
	}
	if now.ClientID != r.ClientID {
		return nil, unavailable("registration", errors.New("the answer is of another client"))
	}
	now.keep(r)
	return p.checkRegistration(ctx, now, wanted)
}

// keep takes over what an answer leaves out because it has not changed.
func (r *Registration) keep(old *Registration) {
	if r.ClientSecret == "" {
		r.ClientSecret, r.ClientSecretExpires = old.ClientSecret, old.ClientSecretExpires
	}
	if r.RegistrationAccessToken == "" {
		r.RegistrationAccessToken = old.RegistrationAccessToken
	}
	if r.RegistrationClientURI == "" {
		r.RegistrationClientURI = old.RegistrationClientURI
	}
	if r.IssuedAt.IsZero() {
		r.IssuedAt = old.IssuedAt
	}
}

// manageRegistered makes a request with the registration access token.
func (p *Provider) manageRegistered(ctx context.Context, method string, r *Registration, body members) (*fetch.Response, error) {
	if r == nil || r.RegistrationAccessToken == "" || r.RegistrationClientURI == "" {
		return nil, errors.New("oidc: the registration has no RegistrationAccessToken and RegistrationClientURI to manage it with")
	}
	if err := p.checkRegistrationURI(ctx, r.RegistrationClientURI); err != nil {
		return nil, err
	}
	if body != nil {
		body = body.of(r)
	}
	resp, err := p.manage(ctx, method, r.RegistrationClientURI, r.RegistrationAccessToken, body)
	if err != nil {
		return nil, err
	}
	if resp.Status == http.StatusUnauthorized {
		if re := responseError(resp); !re.inTrouble() {
			return nil, &Error{Reason: ReasonRevoked, Err: re}
		}
	}
	return resp, nil
}

var errForeignURI = errors.New("oidc: RegistrationClientURI is not of the origin of the issuer or of its registration_endpoint")

// checkRegistrationURI: the registration access token is sent there, and whoever has it is
// the client's owner. So it goes nowhere but to an origin that was configured, or that the
// metadata name for registrations.
func (p *Provider) checkRegistrationURI(ctx context.Context, uri string) error {
	md, err := p.Metadata(ctx)
	if err != nil {
		return err
	}
	if p.transport.CheckURL(uri) != nil || !sameOrigin(uri, p.issuer) && !sameOrigin(uri, md.RegistrationEndpoint) {
		return errForeignURI
	}
	return nil
}

func sameOrigin(a, b string) bool {
	u, errA := url.Parse(a)
	v, errB := url.Parse(b)
	return errA == nil && errB == nil && u.Host != "" && originOf(u) == originOf(v)
}

func originOf(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return u.Scheme + "://" + lowerASCII(u.Hostname()) + ":" + port
}

func (p *Provider) manage(ctx context.Context, method, target string, token clientauth.Secret, body members) (*fetch.Response, error) {
	var content []byte
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			return nil, errors.New("oidc: ClientMetadata.Additional has a value that JSON cannot have")
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(content))
	if err != nil {
		return nil, errors.New("oidc: registration_endpoint or RegistrationClientURI is not a URL")
	}
	if !isTokenText(string(token)) {
		return nil, errors.New("oidc: the token for registrations has characters that no token has")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+string(token))
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	return p.fetch.Do(req)
}

func readRegistration(resp *fetch.Response) (*Registration, error) {
	if !resp.Is("application/json") {
		return nil, unavailable("registration", fetch.ErrMediaType)
	}
	r, err := parseRegistration(resp.Body)
	if err != nil {
		return nil, unavailable("registration", err)
	}
	return r, nil
}

// checkRegistration compares what was registered with what was wanted, nil for nothing.
func (p *Provider) checkRegistration(ctx context.Context, r *Registration, wanted members) (*Registration, error) {
	if r.RegistrationClientURI != "" {
		if err := p.checkRegistrationURI(ctx, r.RegistrationClientURI); errors.Is(err, errForeignURI) {
			return nil, &RegistrationError{Member: "registration_client_uri", Registration: r}
		}
	}
	registered, err := r.Metadata.encode()
	if err != nil {
		return nil, err
	}
	if name := wanted.differs(registered); name != "" {
		return nil, &RegistrationError{Member: name, Registration: r}
	}
	return r, nil
}

// ClientConfig returns what [NewClient] needs for the client that was registered: what
// the provider is to sign must be signed, and what is to be pushed is pushed. RedirectURL is
// set if there is exactly one. The secret is left out where it is not to be used.
//
// What a registration does not hold has to be set besides: ClientAuth for private_key_jwt
// and TLS, DecryptionKeys for each of the …EncryptedResponseAlg, and DPoP or
// ClientCertificate for access tokens that are bound to a key. Until DecryptionKeys are set,
// ID tokens that are not encrypted are taken.
func (r *Registration) ClientConfig() ClientConfig {
	m := r.Metadata
	cfg := ClientConfig{
		ClientID: r.ClientID, ClientSecret: r.ClientSecret, ClientAuth: r.method(),
		IDTokenAlgorithms: signedBy(m.IDTokenSignedResponseAlg), PushedAuthorizationRequests: m.RequirePushedAuthorizationRequests,
	}
	if len(m.RedirectURIs) == 1 {
		cfg.RedirectURL = m.RedirectURIs[0]
	}
	// Some providers write "none" for answers that they do not sign. For ID tokens that is
	// an error of NewClient.
	if m.UserInfoSignedResponseAlg != "none" {
		cfg.UserInfoAlgorithms = signedBy(m.UserInfoSignedResponseAlg)
	}
	if alg := m.IntrospectionSignedResponseAlg; alg != "" && alg != "none" {
		cfg.SignedIntrospection = &SignedIntrospection{Algorithms: signedBy(alg)}
	}
	if !m.usesSecret() {
		cfg.ClientSecret = ""
	}
	return cfg
}

func signedBy(alg string) []string {
	if alg == "" {
		return nil
	}
	return []string{alg}
}

// usesSecret reports whether the secret proves who the client is, or signs what it gets.
func (m *ClientMetadata) usesSecret() bool {
	switch m.TokenEndpointAuthMethod {
	case "client_secret_basic", "client_secret_post", "client_secret_jwt", "":
		return true
	}
	return slices.Contains(jwt.Symmetric, m.IDTokenSignedResponseAlg) || slices.Contains(jwt.Symmetric, m.UserInfoSignedResponseAlg)
}

// method returns how the client proves itself, or nil if more is needed than a
// registration holds.
func (r *Registration) method() clientauth.Method {
	switch r.Metadata.TokenEndpointAuthMethod {
	case "client_secret_basic", "": // the default (RFC 7591 section 2)
		if r.ClientSecret != "" {
			return clientauth.SecretBasic(r.ClientSecret)
		}
	case "client_secret_post":
		return clientauth.SecretPost(r.ClientSecret)
	case "client_secret_jwt":
		return clientauth.SecretJWT(r.ClientSecret, clientauth.AssertionConfig{Algorithm: r.Metadata.TokenEndpointAuthSigningAlg})
	case "none":
		return clientauth.None()
	}
	return nil
}
