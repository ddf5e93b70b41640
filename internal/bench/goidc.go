package bench

import (
	"context"
	"errors"
	"strings"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

// goOIDC is github.com/coreos/go-oidc: RemoteKeySet and IDTokenVerifier, whose
// client ID is the audience. That is how APIs use it for access tokens.
type goOIDC struct{ verifier *goidc.IDTokenVerifier }

func newGoOIDC(ctx context.Context, o Options) (Verifier, error) {
	var keys goidc.KeySet
	if o.Secret != nil {
		keys = secretKeySet(o)
	} else {
		if o.HTTPClient != nil {
			ctx = goidc.ClientContext(ctx, o.HTTPClient)
		}
		keys = goidc.NewRemoteKeySet(ctx, o.KeysURL)
	}
	return goOIDC{goidc.NewVerifier(o.Issuer, keys, &goidc.Config{
		ClientID: Audience, SupportedSigningAlgs: []string{o.Algorithm},
	})}, nil
}

func (v goOIDC) Verify(ctx context.Context, token string) (Identity, error) {
	t, err := v.verifier.Verify(ctx, token)
	if err != nil {
		return Identity{}, err
	}
	var c struct {
		Scope string `json:"scope"`
	}
	if err := t.Claims(&c); err != nil {
		return Identity{}, err
	}
	return Identity{Subject: t.Subject, Scopes: strings.Fields(c.Scope)}, nil
}

// A secretSet stands in for the key set of secrets that go-oidc does not have.
type secretSet struct {
	algorithm jose.SignatureAlgorithm
	keyID     string
	secret    []byte
}

func secretKeySet(o Options) secretSet {
	return secretSet{jose.SignatureAlgorithm(o.Algorithm), o.KeyID, o.Secret}
}

// VerifySignature implements goidc.KeySet.
func (s secretSet) VerifySignature(_ context.Context, raw string) ([]byte, error) {
	sig, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{s.algorithm})
	if err != nil {
		return nil, err
	}
	if sig.Signatures[0].Header.KeyID != s.keyID {
		return nil, errors.New("bench: unknown kid")
	}
	return sig.Verify(s.secret)
}
