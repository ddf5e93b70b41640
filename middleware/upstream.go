package middleware

import (
	"net/http"
	"strings"
)

// SetUpstreamHeaders prepares h, the headers of a request to a server that believes what
// they say of the user. It removes Authorization and all headers that such a server might
// take for one of values, whoever sent them, and sets those: CGI and its kin read X_User
// as X-User. An empty value is no header.
//
// Of the Connection header it leaves what names none of them, or the client could have the
// next proxy take them away (RFC 9110 section 7.6.1). With net/http/httputil.ReverseProxy the place
// to call it is Rewrite, on the headers of Out: what is set earlier is what the client could
// still talk about.
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
	keepConnectionOptions(h, names)
	for name, value := range values {
		if value != "" {
			h.Set(name, value)
		}
	}
}

// keepConnectionOptions removes the options that name a header that is ours.
func keepConnectionOptions(h http.Header, ours map[string]bool) {
	var kept []string
	for _, line := range h["Connection"] {
		for option := range strings.SplitSeq(line, ",") {
			if option = strings.TrimSpace(option); option != "" && !ours[folded(option)] {
				kept = append(kept, option)
			}
		}
	}
	if len(kept) == 0 {
		delete(h, "Connection")
		return
	}
	h["Connection"] = []string{strings.Join(kept, ", ")}
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
