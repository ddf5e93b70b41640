// Package discovery knows where an OpenID provider is and what it can do.
//
//	source, err := discovery.New(discovery.Config{Issuer: "https://op.example"})
//	// ...
//	m, err := source.Metadata(ctx)
//
// [Remote] reads the provider's metadata (OpenID Connect Discovery 1.0, RFC 8414)
// when they are first needed and keeps them current: they are read anew daily,
// and by [Remote.Renew] when keys do not fit; the last good ones serve through
// outages. [Static] holds metadata that are known beforehand and needs no
// network. [Cache] has those of many issuers. [Handler] publishes one's own.
//
// # Identity and place
//
// Metadata of another issuer than the configured one are refused, with an
// [*IssuerError]: the comparison is exact, at the first reading and at each later
// one. Where the document and the endpoints are reached is another matter, with
// three settings. Config.DiscoveryURL is the place of the document.
// Config.Rewrite sends what this process requests to another origin, and leaves
// alone where the browser goes. Config.Override replaces single members.
//
// # What a document cannot do
//
// It cannot name an endpoint that is not https, unless the provider is on
// loopback or Config.InsecureHTTP is set; nor with Config.PublicOnly an address of
// our own network; nor an algorithm that a verifier then accepts.
package discovery
