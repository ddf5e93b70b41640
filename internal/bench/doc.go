// Package bench measures oidckit beside its peers: the same token, the same
// checks, one run. README.md says how to run it, what is measured and which
// targets it is held to.
//
// It is a module of its own, so that no user of the library gets the peers into
// their go.sum.
package bench
