package middleware

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
)

// Either lets requests through to next that b lets through by their token or l by their
// session, for what programs and browsers use alike. It works behind [Login.Handler] alone. A
// token that is there decides: one that is bad, or lacks a right, is refused by b, whoever is
// logged in, and never leads to a login. The handler finds with [PrincipalFrom] who it is by
// that; [SessionFrom] finds nobody beside a token. Without a token it is as with
// [Login.RequireLogin], but that 401 names the schemes of b too.
//
// Bearer.Optional counts for nothing here: nobody has to log in.
func Either(b *Bearer, l *Login, next http.Handler, require ...Requirement) http.Handler {
	require = slices.Clone(require)
	l = cmp.Or(l, &Login{}) // behind whose Handler nobody stands
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b.isPreflight(r) {
			next.ServeHTTP(w, r)
			return
		}
		start := b.traceStart()
		p, scheme, err := b.identify(w, r)
		if errors.Is(err, ErrNoCredentials) && !namesTokenScheme(r.Header["Authorization"]) {
			l.admit(w, r, next, require, b.challenges(b.newRefusal(err, scheme), require))
			return
		}
		if err == nil {
			err = Authorize(p, require...)
		}
		if err != nil {
			f := b.newRefusal(err, scheme)
			b.traceEnd(r.Context(), start, Decision{Refusal: f})
			b.refuse(w, r, f, require)
			return
		}
		b.traceEnd(r.Context(), start, Decision{Principal: p})
		ctx := context.WithValue(r.Context(), sessionKey{}, (*Session)(nil))
		b.letThrough(w, r.WithContext(ctx), next, p)
	})
}

// namesTokenScheme tells tokens, also such that b does not take, from what a proxy in front may
// have asked a browser for: a password, say. It looks at whatever somebody behind us may take for
// a scheme: the header is no list, but is read as one.
func namesTokenScheme(values []string) bool {
	return slices.ContainsFunc(values, func(value string) bool {
		for part := range strings.SplitSeq(value, ",") {
			if word := schemeOf(part); strings.EqualFold(word, bearerScheme) || strings.EqualFold(word, dpopScheme) {
				return true
			}
		}
		return false
	})
}

// schemeOf is the token (RFC 9110 section 5.6.2) that credentials begin with.
func schemeOf(credentials string) string {
	credentials = strings.TrimLeft(credentials, cookieSpace)
	if end := strings.IndexFunc(credentials, func(c rune) bool { return !isTokenRune(c) }); end >= 0 {
		return credentials[:end]
	}
	return credentials
}

// isTokenRune: tchar of RFC 9110 section 5.6.2.
func isTokenRune(c rune) bool { return isNameRune(c) || strings.ContainsRune("!#$%&'*+.^_`|~", c) }
