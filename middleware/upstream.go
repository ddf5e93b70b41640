package middleware

import (
	"net/http"
	"strings"
)

// SetUpstreamHeaders prepares h, the headers of a request to a server that believes what
// they say of the user. It removes Authorization and all headers that such a server might
// take for one of values, whoever sent them, and sets those: CGI and its kin read X_User
// as X-User. An empty value is no header.
func SetUpstreamHeaders(h http.Header, values map[string]string) {
	names := map[string]bool{folded("Authorization"): true}
	for name := range values {
		names[folded(name)] = true
	}
	for name := range h {
		if names[folded(name)] {
			delete(h, name)
		}
	}
	for name, value := range values {
		if value != "" {
			h.Set(name, value)
		}
	}
}

// folded is a name as the variables of CGI have it (RFC 3875 section 4.1.18), with
// whatever is no letter or digit made alike.
func folded(name string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			return c
		case c >= 'A' && c <= 'Z':
			return c + 'a' - 'A'
		}
		return '_'
	}, name)
}
