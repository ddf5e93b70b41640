package discovery

import (
	"fmt"
	"strings"

	"github.com/oidckit/oidckit"
)

// configError is an error of a configuration, by the name of its field.
func configError(text string) error { return fmt.Errorf("discovery: %s", text) }

// IssuerError says that metadata are of another issuer than the configured one
// (OpenID Connect Discovery 1.0 section 4.3, RFC 8414 section 3.3).
type IssuerError struct {
	Configured string
	Found      string // in the document; not in the text unless only a slash differs
}

func (e *IssuerError) Error() string {
	if strings.TrimSuffix(e.Configured, "/") == strings.TrimSuffix(e.Found, "/") {
		return fmt.Sprintf("discovery: the provider writes its issuer with another final slash: configure %q", e.Found)
	}
	return fmt.Sprintf("discovery: the metadata for %q are of another issuer", e.Configured)
}

// NotFoundError says that no document is where it could be: each place answered
// 404 or 410.
type NotFoundError struct {
	// URLs are the places, in the order in which they were asked.
	URLs []string
	// Err is what the first one answered.
	Err error
}

func (e *NotFoundError) Error() string {
	places := make([]string, len(e.URLs))
	for i, u := range e.URLs {
		places[i], _, _ = strings.Cut(u, "?") // a query may hold a secret
	}
	return "discovery: no metadata at " + strings.Join(places, ", nor at ")
}

// Unwrap returns Err.
func (e *NotFoundError) Unwrap() error { return e.Err }

// IssuerNotAllowedError says that a [Cache] does not serve an issuer. Nothing was
// sent anywhere. It answers errors.Is for oidckit.ErrInvalidToken: whoever came
// with this issuer is at fault.
type IssuerNotAllowedError struct {
	Issuer string // not in the text: a stranger may have written it
	// Err is nil if CacheConfig.Allow said no, and else why an issuer cannot be one.
	Err error
}

func (e *IssuerNotAllowedError) Error() string {
	return "discovery: the issuer is not one of those that are allowed"
}

// Unwrap returns Err.
func (e *IssuerNotAllowedError) Unwrap() error { return e.Err }

// Is reports whether target is oidckit.ErrInvalidToken.
func (e *IssuerNotAllowedError) Is(target error) bool { return target == oidckit.ErrInvalidToken }
