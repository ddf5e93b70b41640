// Package oracle judges oidckit by others: go-jose, golang-jwt, go-oidc, jwx and
// the reference implementation of encoding/json/v2 read what oidckit reads, and the
// Wycheproof vectors say what a signature is. README.md says how to run it.
//
// It is a module of its own, so that no user of the library gets the oracles into
// their go.sum. Everything in it is a test.
package oracle
