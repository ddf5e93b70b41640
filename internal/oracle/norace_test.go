//go:build !race

package oracle_test

var stride = map[string]int{}
