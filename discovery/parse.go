package discovery

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/oidckit/oidckit/internal/fetch"
	"github.com/oidckit/oidckit/internal/strictjson"
)

// Parse reads a metadata document. It refuses endpoints that no request should
// be sent to: relative ones, with user info or a fragment, or plain http to
// anything but loopback. A member of another type than the specifications give
// it is refused if it is an endpoint or demands something of clients, and is as
// if it were not there otherwise.
func Parse(data []byte) (*Metadata, error) {
	m, err := decode(data)
	if err != nil {
		return nil, err
	}
	if err := m.check(fetch.Config{}); err != nil {
		return nil, err
	}
	return m, nil
}

// decode is Parse without a look at where the endpoints are.
func decode(data []byte) (*Metadata, error) {
	object, err := strictjson.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	if object.HasFolded(vital) {
		return nil, errors.New("discovery: an endpoint in another case, which some would read and others not")
	}
	m := &Metadata{raw: object}
	if name := decodeMembers(reflect.ValueOf(m).Elem(), object.Get); name != "" {
		return nil, fmt.Errorf("discovery: %s of the metadata is of another type", name)
	}
	if m.Issuer == "" {
		return nil, errNoIssuer
	}
	return m, nil
}

// vital are the members that must not be there in another case.
var vital = []string{"issuer", "jwks_uri", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "end_session_endpoint"}

var errNoIssuer = errors.New("discovery: the metadata have no issuer")

// check reports a member that cannot be used by the rules of policy.
func (m *Metadata) check(policy fetch.Config) error {
	if m.Issuer == "" {
		return errNoIssuer
	}
	for _, e := range m.endpoints() {
		if *e.url == "" {
			continue
		}
		if err := policy.CheckURL(*e.url); err != nil {
			return fmt.Errorf("discovery: %s: %w", e.name, err)
		}
	}
	return nil
}
