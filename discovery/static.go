package discovery

import (
	"context"

	"github.com/oidckit/oidckit/internal/fetch"
)

// A Source gives a provider's metadata. It must be safe for concurrent use.
type Source interface {
	// Metadata returns the current metadata, which must not be changed. Metadata
	// that cannot be had at the moment are an error that answers errors.Is for
	// oidckit.ErrUnavailable.
	Metadata(ctx context.Context) (*Metadata, error)
}

type static struct{ metadata *Metadata }

// Static returns a source that always gives a copy of m, without network. Its
// errors name a member of m that cannot be used.
func Static(m Metadata) (Source, error) { return newStatic(m, fetch.Config{}) }

// InsecureStatic is [Static] for metadata that may have plain http endpoints on
// other hosts than loopback: whoever is on the way can read and change all.
func InsecureStatic(m Metadata) (Source, error) {
	return newStatic(m, fetch.Config{InsecureHTTP: true})
}

func newStatic(m Metadata, policy fetch.Config) (Source, error) {
	if err := m.check(policy); err != nil {
		return nil, err
	}
	return &static{m.clone()}, nil
}

// Metadata implements [Source].
func (s *static) Metadata(context.Context) (*Metadata, error) { return s.metadata, nil }
