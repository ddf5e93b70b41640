package middleware

import (
	"context"
	"errors"
	"slices"

	"github.com/oidckit/oidckit/oidc"
)

// A DPoP is a [ProofVerifier] for tokens that are bound to a key of the client's (RFC 9449):
// they come as "Authorization: DPoP <token>", with a proof of their own in the header DPoP.
// [Bearer.PublicURL] has to say where clients see the API. The zero DPoP refuses everything.
// It must not be changed once it is in use, and may be shared then.
type DPoP struct {
	// Verifier verifies the proofs. Required.
	Verifier *oidc.ProofVerifier
	// AllowUnbound lets tokens through that are bound to no such key, as "Authorization:
	// Bearer <token>". Without it, every token must be bound. One that is bound needs its
	// proof with it too.
	AllowUnbound bool
}

var (
	errNoProofVerifier = errors.New("middleware: DPoP.Verifier is not set")
	errNoProofs        = errors.New("middleware: Proofs must have an element, and none that is nil")
	errNoPublicURL     = errors.New("middleware: Bearer.PublicURL is required for DPoP: what a proof is for is no matter of the Host header")
)

// CheckProof implements [ProofVerifier].
func (d *DPoP) CheckProof(ctx context.Context, r ProofRequest, token *oidc.AccessToken) (proven oidc.Confirmation, err error) {
	if d == nil || d.Verifier == nil {
		return proven, errNoProofVerifier
	}
	jkt := token.Confirmation.JWKThumbprint
	switch {
	case jkt == "" && r.Scheme == dpopScheme:
		return proven, notBound("sent as DPoP, and bound to no key")
	case jkt == "" && !d.AllowUnbound:
		return proven, notBound("bound to no key, and DPoP.AllowUnbound is not set")
	case jkt == "":
		return proven, nil
	case r.Scheme != dpopScheme:
		// "Specifically, such a protected resource MUST reject a DPoP-bound access token
		// received as a bearer token" (RFC 9449 section 7.2), with a proof or without.
		return proven, notBound("bound to a key, and sent as Bearer")
	case r.URL == "":
		return proven, errNoPublicURL
	}
	proven.JWKThumbprint, err = d.Verifier.Verify(ctx, oidc.ProofRequest{
		Proofs: r.DPoP, Method: r.Method, URL: r.URL, AccessToken: r.Token, JWKThumbprint: jkt,
	})
	if err != nil {
		return oidc.Confirmation{}, err
	}
	return proven, nil
}

func notBound(why string) error {
	return &oidc.Error{Reason: oidc.ReasonBinding, Claim: "cnf", Err: errors.New(why)}
}

// AnswerProof implements [ProofAnswerer] (RFC 9449 sections 7.1, 8.2 and 9).
func (d *DPoP) AnswerProof(err error) ProofAnswer {
	if d == nil || d.Verifier == nil {
		return ProofAnswer{Scheme: dpopScheme} // so that CheckProof is asked, and says what is missing
	}
	return ProofAnswer{
		Scheme: dpopScheme, Only: !d.AllowUnbound, Error: proofError(err),
		Algorithms: d.Verifier.Algorithms(), Nonce: d.Verifier.Nonce(),
	}
}

// proofError returns the code for a proof that is at fault. If the token is, it is
// "invalid_token" as ever.
func proofError(err error) string {
	var e *oidc.Error
	if !errors.As(err, &e) {
		return ""
	}
	switch e.Reason {
	case oidc.ReasonProof, oidc.ReasonReplayed:
		return "invalid_dpop_proof"
	case oidc.ReasonProofNonce:
		return "use_dpop_nonce"
	}
	return ""
}

// Proofs are several ProofVerifiers, each of which has to let a request through: *[DPoP] and
// *[MTLS] for an API whose tokens are bound in one way, in the other, or in both. Unless
// AllowUnbound is set in each, tokens must be bound in the ways of those where it is not.
// Empty Proofs, or with a nil among them, refuse everything: 500.
type Proofs []ProofVerifier

// CheckProof implements [ProofVerifier].
func (p Proofs) CheckProof(ctx context.Context, r ProofRequest, token *oidc.AccessToken) (all oidc.Confirmation, err error) {
	if len(p) == 0 || slices.Contains(p, nil) {
		return all, errNoProofs
	}
	for _, v := range p {
		proven, err := v.CheckProof(ctx, r, token)
		if err != nil {
			return oidc.Confirmation{}, err
		}
		if proven.JWKThumbprint != "" {
			all.JWKThumbprint = proven.JWKThumbprint
		}
		if proven.CertificateThumbprint != "" {
			all.CertificateThumbprint = proven.CertificateThumbprint
		}
	}
	return all, nil
}

// AnswerProof implements [ProofAnswerer], as the first of p does that is one.
func (p Proofs) AnswerProof(err error) ProofAnswer {
	for _, v := range p {
		if a, ok := v.(ProofAnswerer); ok {
			return a.AnswerProof(err)
		}
	}
	return ProofAnswer{}
}
