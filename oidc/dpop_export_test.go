package oidc

import (
	"net/http"
	"time"
)

// Prove is for the tests of what a proof says, whichever call it goes with.
func Prove(d *DPoP, req *http.Request, accessToken string) error {
	return d.prove(req, accessToken, time.Now)
}

// A Challenge is a challenge, for the fuzz target.
type Challenge struct {
	Scheme     string
	Parameters map[string]string
}

// Challenges is for the table and the fuzz target of the parser.
func Challenges(h http.Header) (all []Challenge) {
	for _, c := range challenges(h) {
		all = append(all, Challenge{c.scheme, c.parameters})
	}
	return all
}

// Base is what a transport sends with, for tests to trust the server of theirs in it.
func Base(t *APITransport) http.RoundTripper { return t.base }
