package bench

import (
	"context"
	"fmt"
	"sync"
)

// KeyID is the "kid" of the key that signs at first.
const KeyID = "2026-11"

// A Rig is an issuer for one algorithm, with its signing key. Verifiers that were
// set up at it stay as they are.
type Rig struct {
	*Issuer
	Key *Key

	ctx       context.Context //nolint:containedctx // that of the run: peers keep goroutines until it ends
	mu        sync.Mutex
	verifiers map[string]Verifier
}

// NewRig starts an issuer. Close it.
func NewRig(ctx context.Context, algorithm string) (*Rig, error) {
	key, err := NewKey(KeyID, algorithm)
	if err != nil {
		return nil, err
	}
	document, err := documentOf(key)
	if err != nil {
		return nil, err
	}
	issuer, err := NewIssuer(document)
	return &Rig{Issuer: issuer, Key: key, ctx: ctx, verifiers: map[string]Verifier{}}, err
}

// documentOf leaves secrets out.
func documentOf(key *Key) ([]byte, error) {
	if key.Secret() != nil {
		return Document()
	}
	return Document(key)
}

// Close ends the issuer.
func (r *Rig) Close() { _ = r.Down() } // there is nothing left to lose

// Options are those for a verifier at this issuer, with the library's defaults.
func (r *Rig) Options() Options {
	return Options{
		Issuer: r.URL, KeysURL: r.KeysURL(), Algorithm: r.Key.Algorithm,
		Secret: r.Key.Secret(), KeyID: r.Key.ID,
	}
}

// Verifier returns the peer's verifier, set up once.
func (r *Rig) Verifier(p Peer) (Verifier, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v, ok := r.verifiers[p.Name]; ok {
		return v, nil
	}
	v, err := p.New(r.ctx, r.Options())
	if err != nil {
		return nil, err
	}
	r.verifiers[p.Name] = v
	return v, nil
}

// Tokens returns n good tokens that differ in their "jti".
func (r *Rig) Tokens(size string, n int) ([]string, error) {
	tokens := make([]string, n)
	for i := range tokens {
		var err error
		if tokens[i], err = r.Key.Sign(SizedClaims(size, r.URL, i)); err != nil {
			return nil, err
		}
	}
	return tokens, nil
}

// Accept verifies a good token and looks at what came out.
func Accept(ctx context.Context, v Verifier, token string) error {
	identity, err := v.Verify(ctx, token)
	if err != nil {
		return err
	}
	if identity.Subject != Subject || len(identity.Scopes) < 3 {
		return fmt.Errorf("bench: read %q with %d scopes", identity.Subject, len(identity.Scopes))
	}
	return nil
}

// Rigs has one Rig for each algorithm.
type Rigs map[string]*Rig

// NewRigs starts an issuer for each algorithm. Close them.
func NewRigs(ctx context.Context) (Rigs, error) {
	rigs := Rigs{}
	for _, algorithm := range Algorithms() {
		r, err := NewRig(ctx, algorithm)
		if err != nil {
			rigs.Close()
			return nil, err
		}
		rigs[algorithm] = r
	}
	return rigs, nil
}

// Close ends the issuers.
func (r Rigs) Close() {
	for _, rig := range r {
		rig.Close()
	}
}
