package oidctest

import (
	"crypto"
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/go-jose/go-jose/v4"
)

// key is a signing key. It serves one algorithm, and its kid belongs to no other
// key of any provider.
type key struct {
	alg, id string
	private crypto.Signer
}

// keyring makes keys when somebody first needs them: an RSA key takes a tenth of
// a second, and most tests need one of the ten algorithms.
type keyring struct {
	mu        sync.Mutex
	algs      []string // those with a published key, made or still to be made
	current   map[string]*key
	published []*key // the current ones and, until retire, the earlier ones
}

// announce has keys for the algorithms published from now on.
func (k *keyring) announce(algs ...string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, alg := range algs {
		if !slices.Contains(k.algs, alg) {
			k.algs = append(k.algs, alg)
		}
	}
}

// signing returns the current key for the algorithm.
func (k *keyring) signing(alg string) (*key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.signingLocked(alg)
}

// named returns the published key with the kid, if there is one for the
// algorithm, and else the current one. Without it a token would have the kid of
// one key and the signature of the next when Rotate comes between the two.
func (k *keyring) named(alg string, kid any) (*key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, key := range k.published {
		if key.alg == alg && key.id == kid {
			return key, nil
		}
	}
	return k.signingLocked(alg)
}

func (k *keyring) signingLocked(alg string) (*key, error) {
	if key := k.current[alg]; key != nil {
		return key, nil
	}
	a, ok := algorithms[alg]
	if !ok {
		return nil, fmt.Errorf("oidctest: the algorithm %q is not supported", alg)
	}
	private, err := a.generate()
	if err != nil {
		return nil, err
	}
	if k.current == nil {
		k.current = map[string]*key{}
	}
	made := &key{alg: alg, id: rand.Text(), private: private}
	k.current[alg] = made
	k.published = append(k.published, made)
	if !slices.Contains(k.algs, alg) {
		k.algs = append(k.algs, alg)
	}
	return made, nil
}

// all returns the published keys, after making those that are still missing.
func (k *keyring) all() ([]*key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, alg := range k.algs {
		if _, err := k.signingLocked(alg); err != nil {
			return nil, err
		}
	}
	return slices.Clone(k.published), nil
}

func (k *keyring) rotate() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.current = nil
}

func (k *keyring) retire() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.published = slices.DeleteFunc(k.published, func(key *key) bool { return k.current[key.alg] != key })
}

// verifies tells whether one of our published keys signed the compact JWS.
func (k *keyring) verifies(token *jose.JSONWebSignature) ([]byte, bool) {
	keys, err := k.all()
	if err != nil {
		return nil, false
	}
	header := token.Signatures[0].Protected
	for _, key := range keys {
		// A token without a kid (a hook may have deleted it) fits every key of its alg.
		if key.alg != header.Algorithm || header.KeyID != "" && header.KeyID != key.id {
			continue
		}
		if payload, err := token.Verify(key.private.Public()); err == nil {
			return payload, true
		}
	}
	return nil, false
}

// Rotate makes the provider sign with new keys, for every algorithm. The earlier
// keys stay published.
func (p *Provider) Rotate() { p.keys.rotate() }

// Retire stops publishing all keys but the current ones, and with it accepting
// tokens they signed.
func (p *Provider) Retire() { p.keys.retire() }

// PublicKey returns the current public key for the algorithm, making and
// publishing one if there is none: an [*crypto/rsa.PublicKey], an
// [*crypto/ecdsa.PublicKey] or an [crypto/ed25519.PublicKey]. It panics if alg is
// not one that Config.Algorithm may be.
func (p *Provider) PublicKey(alg string) crypto.PublicKey {
	key, err := p.keys.signing(alg)
	if err != nil {
		panic(err)
	}
	return key.private.Public()
}

// signingAlgorithms are those with a key pair that the configuration names.
func (p *Provider) signingAlgorithms() []string {
	algs := []string{p.cfg.Algorithm}
	for _, c := range p.cfg.Clients {
		if _, ok := algorithms[c.IDTokenAlgorithm]; ok {
			algs = append(algs, c.IDTokenAlgorithm)
		}
	}
	return algs
}

// serveJWKS publishes the public keys (RFC 7517, section 5).
func (p *Provider) serveJWKS(w http.ResponseWriter, _ *http.Request) {
	keys, err := p.keys.all()
	if err != nil {
		http.Error(w, "no keys", http.StatusInternalServerError)
		return
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{
			Key: k.private.Public(), KeyID: k.id, Algorithm: k.alg, Use: "sig",
		})
	}
	w.Header().Set("Cache-Control", "max-age=300")
	writeJSON(w, http.StatusOK, "application/jwk-set+json", set)
}
