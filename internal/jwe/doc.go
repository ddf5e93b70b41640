// Package jwe decrypts compact JWEs (RFC 7516 section 7.1) that hold a signed
// JWT. What it returns is nobody's word yet: whoever has our public key can have
// encrypted it, and only the signature inside says who speaks (OpenID Connect
// Core section 10.2).
//
// Before anything is decrypted the token must have the one spelling it can have:
// canonical base64url, parts exactly as long as its algorithms make them. What
// needs a key to be found out has one single answer, whatever was wrong, so that
// nobody can ask the key questions (RFC 7516 section 11.5).
package jwe
