package jwks

// Thumbprint returns the SHA-256 thumbprint of a public key (RFC 7638), in base64url, as
// the function Thumbprint does. A secret has none: it would tell about it.
func (k Key) Thumbprint() string {
	thumbprint, err := Thumbprint(k.material)
	if err != nil {
		return ""
	}
	return thumbprint
}
