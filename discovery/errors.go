package discovery

import (
	"fmt"
	"strings"
)

// IssuerError says that metadata are of another issuer than the configured one
// (OpenID Connect Discovery 1.0 section 4.3).
type IssuerError struct {
	Configured string
	Found      string // in the document; not in the text unless only a slash differs
}

func (e *IssuerError) Error() string {
	if strings.TrimSuffix(e.Configured, "/") == strings.TrimSuffix(e.Found, "/") {
		return fmt.Sprintf("discovery: the provider writes its issuer with another final slash: configure %q", e.Found)
	}
	return fmt.Sprintf("discovery: the metadata at %q are of another issuer", e.Configured)
}
