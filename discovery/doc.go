// Package discovery knows where an OpenID provider is and what it can do.
//
// [Remote] reads the provider's metadata (OpenID Connect Discovery 1.0 section 4)
// when they are first needed and keeps them current; [Static] holds metadata that
// are known beforehand and needs no network. Metadata of another issuer than the
// configured one are refused, with an [*IssuerError].
package discovery
