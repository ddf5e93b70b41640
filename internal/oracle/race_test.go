//go:build race

package oracle_test

// The race detector makes the arithmetic of P-384 and P-521 twenty times slower.
// With it every so many of their mutants are tried; without it all of them are.
var stride = map[string]int{"ES384": 3, "ES512": 8}
