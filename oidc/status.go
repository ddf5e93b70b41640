package oidc

import (
	"github.com/oidckit/oidckit/discovery"
	"github.com/oidckit/oidckit/jwks"
)

// Status tells how a provider's metadata and keys fare: for people, health pages and
// metrics. What is configured and not fetched has the zero status.
type Status struct {
	Metadata discovery.Status
	Keys     jwks.Status
}

// Status returns the state. It does no I/O.
func (p *Provider) Status() Status {
	var s Status
	if r, ok := p.metadata.(*discovery.Remote); ok {
		s.Metadata = r.Status()
	}
	if k, ok := p.keys.(interface{ Status() jwks.Status }); ok {
		s.Keys = k.Status()
	}
	return s
}
