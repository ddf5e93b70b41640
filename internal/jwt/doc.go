// Package jwt is the one place of the module where a compact JWS is parsed and
// a signature is checked.
//
// Parse accepts exactly one spelling of a token, so that the bytes that are
// signed, the bytes that are used and the bytes that a cache or a replay store
// sees are the same. Verify has one key type for each algorithm and asks no
// header which one to use.
package jwt
