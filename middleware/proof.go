package middleware

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/oidckit/oidckit/oidc"
)

// A ProofVerifier checks the proof that a token is used by whom it was issued to: a DPoP
// proof (RFC 9449) or a client certificate (RFC 8705); *[DPoP], *[MTLS] and [Proofs] are
// ones. It must be safe for concurrent use. It is asked about every token that the verifier
// took for good, and returns what the sender proved to have; the verifier compares that
// with what the token is bound to. Errors are as those of a [TokenVerifier].
type ProofVerifier interface {
	CheckProof(ctx context.Context, r ProofRequest, token *oidc.AccessToken) (proven oidc.Confirmation, err error)
}

// A ProofRequest is how a token was sent.
type ProofRequest struct {
	Credentials
	Scheme string // "Bearer" or "DPoP"
	Token  string // as it was sent
}

// Format prints no more than what it is, with every verb: there is a token in it.
func (r ProofRequest) Format(s fmt.State, _ rune) {
	_, _ = s.Write([]byte("middleware.ProofRequest[redacted]"))
}

// LogValue redacts, as Format does.
func (r ProofRequest) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(r)) }

// A BoundVerifier is a [TokenVerifier] that also takes tokens which are bound to a key
// ("cnf"), if the key is proved. [Bearer] calls it in place of Verify if it has a
// [ProofVerifier], and never otherwise. The verifiers of package oidc are ones.
type BoundVerifier interface {
	VerifyBound(ctx context.Context, raw string, prove oidc.Prover) (*oidc.AccessToken, error)
}

// A ProofAnswerer is a [ProofVerifier] that has its own part in answers. AnswerProof is
// called with the error that a request is refused for, which is nil if it gets through.
type ProofAnswerer interface {
	AnswerProof(err error) ProofAnswer
}

// A ProofAnswer is what an answer says of proofs (RFC 9449 sections 7.1, 8 and 9).
type ProofAnswer struct {
	Scheme     string   // of the challenge: "DPoP"; empty is no challenge
	Only       bool     // no other scheme is taken: the Bearer challenge is left out
	Error      string   // "invalid_dpop_proof" or "use_dpop_nonce", in place of "invalid_token"; or empty
	Algorithms []string // "algs" of the challenge
	Nonce      string   // for the header DPoP-Nonce; empty is none
}

const (
	bearerScheme = "Bearer"
	dpopScheme   = "DPoP"
)

// verify asks the verifier, and then for the proof.
func (b *Bearer) verify(ctx context.Context, c *Credentials, scheme, raw string) (*oidc.AccessToken, error) {
	if b.Proof == nil {
		return b.verifyUnbound(ctx, raw)
	}
	v, ok := b.Verifier.(BoundVerifier)
	if !ok {
		return nil, errNotBound
	}
	request := ProofRequest{Credentials: *c, Scheme: scheme, Token: raw}
	return v.VerifyBound(ctx, raw, func(ctx context.Context, token *oidc.AccessToken) (oidc.Confirmation, error) {
		return b.Proof.CheckProof(ctx, request, token)
	})
}

// verifyUnbound does not leave it to the verifier to refuse tokens that are bound: "such a
// protected resource MUST reject a DPoP-bound access token received as a bearer token" (RFC
// 9449 section 7.2).
func (b *Bearer) verifyUnbound(ctx context.Context, raw string) (*oidc.AccessToken, error) {
	token, err := b.Verifier.Verify(ctx, raw)
	if err == nil && token != nil && !token.Confirmation.IsZero() {
		return nil, notBound("bound to a key, and Bearer.Proof is not set")
	}
	return token, err
}

// errNotBound is a mistake of the program: what its verifier does not know of cannot be
// compared with a proof.
var errNotBound = errors.New("middleware: Bearer.Proof needs a Verifier with a method VerifyBound")

// answerProof is what the proof verifier has to say.
func (b *Bearer) answerProof(err error) (a ProofAnswer) {
	if b != nil && b.Proof != nil {
		if p, ok := b.Proof.(ProofAnswerer); ok {
			return p.AnswerProof(err)
		}
	}
	return a
}

// setNonce gives the client the nonce of its next proof, also with a good answer (RFC
// 9449 section 8.2).
func (a ProofAnswer) setNonce(h http.Header) {
	if a.Nonce != "" {
		h.Set("DPoP-Nonce", a.Nonce)
	}
}
