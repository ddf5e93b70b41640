package jwks

// Renamed returns the key under another "kid", whatever it had. It is for keys that were given
// a "kid" that another one has already; what was signed before names the old one.
func (k *SigningKey) Renamed(kid string) (*SigningKey, error) {
	if k == nil || k.signer == nil {
		return nil, errNoSigningKey
	}
	cfg := k.config()
	cfg.KeyID = kid
	return NewSigningKey(cfg)
}
