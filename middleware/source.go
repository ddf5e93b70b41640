package middleware

import (
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A Source is a place besides the Authorization header where a request may have its token.
// The zero Source is no place. The functions that return one say what it costs.
type Source struct {
	find    func(r *http.Request) ([]string, error)
	private bool   // the answer must not be kept by caches that are shared
	query   bool   // it looks at the query
	cookie  string // the one that it looks at
	header  string // likewise, in canonical form
}

// FromForm takes the token from the field access_token of a form in the body (RFC 6750
// section 2.2). The form of every such request is read before its sender is known, up to 1
// MiB; the handler has it by ParseForm.
func FromForm() Source { return Source{find: formTokens} }

// FromCookie takes the token from a cookie. Browsers send cookies with what other sites
// make them send: such requests are refused by the rules of [http.CrossOriginProtection],
// if they are not safe (RFC 9110 section 9.2.1) or open a WebSocket. Handlers do not get the
// cookie, unless KeepToken is set.
func FromCookie(name string) Source {
	return Source{
		find:    func(r *http.Request) ([]string, error) { return cookieTokens(r, name) },
		private: true, cookie: name,
	}
}

// FromHeader takes the token from a header of the API's own, such as X-Api-Key, whose value
// is the token, with or without the word Bearer before it. Handlers do not get the header,
// unless KeepToken is set. Proxies may log it, for they know only Authorization to be
// secret. A name that no header has, Host, and the headers that have a meaning of their own here
// (Authorization, which is looked at anyway, DPoP, and Cookie) make the zero Source, which is no place.
func FromHeader(name string) Source {
	name = http.CanonicalHeaderKey(name)
	if !isHeaderName(name) || slices.Contains(notForTokens, name) {
		return Source{}
	}
	return Source{
		find:    func(r *http.Request) ([]string, error) { return headerTokens(r.Header[name]), nil },
		private: true, header: name,
	}
}

// isHeaderName: field-name = token (RFC 9110 section 5.1).
func isHeaderName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(c rune) bool { return !isTokenRune(c) })
}

// notForTokens: a server has the first one elsewhere; the others have readers of their own.
var notForTokens = []string{"Host", "Authorization", "Cookie", http.CanonicalHeaderKey("DPoP")}

// InsecureFromQuery takes the token from the parameter access_token of the URL (RFC 6750
// section 2.3), which servers, proxies and browsers keep in logs and histories.
func InsecureFromQuery() Source { return Source{find: queryTokens, private: true, query: true} }

// identify finds the token of a request, wherever it may be, and who sends it.
func (b *Bearer) identify(w http.ResponseWriter, r *http.Request) (*Principal, string, error) {
	var c Credentials
	b.gather(&c, r)
	tokens, err := b.tokensElsewhere(w, r)
	switch {
	case err != nil:
		return nil, "", err
	case len(tokens) > 1,
		len(tokens) == 1 && len(c.Authorization) > 0,
		len(c.Authorization) > 0 && hasTokenInQuery(r.URL.RawQuery):
		// "Clients MUST NOT use more than one method" (RFC 6750 section 2); one in the
		// query is in every log by now.
		return nil, "", ErrMalformed
	case len(tokens) == 0:
		return b.authenticate(r.Context(), &c)
	}
	p, err := b.judge(r.Context(), &c, bearerScheme, tokens[0])
	return p, bearerScheme, err
}

// tokensElsewhere returns what the Sources have.
func (b *Bearer) tokensElsewhere(w http.ResponseWriter, r *http.Request) (tokens []string, err error) {
	if b == nil {
		return nil, nil
	}
	for _, s := range b.Sources {
		if s.find == nil {
			continue
		}
		found, err := s.find(r)
		if err != nil {
			return nil, err
		}
		if !s.query && len(found) > 0 && hasTokenInQuery(r.URL.RawQuery) {
			return nil, ErrMalformed
		}
		if s.private && len(found) > 0 {
			// RFC 6750 section 2.3. Only Authorization keeps shared caches from it unasked (RFC
			// 9111 section 3.5).
			w.Header().Set("Cache-Control", "private")
		}
		tokens = append(tokens, found...)
	}
	return tokens, nil
}

// maxForm is the longest form that is read for its token.
const maxForm = 1 << 20

func formTokens(r *http.Request) ([]string, error) {
	// Another body is not ours to read, whatever is wrong with what it is called.
	if mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); mediaType != "application/x-www-form-urlencoded" {
		return nil, nil
	}
	if r.Body == nil { // as http.NewRequest has it, for want of one
		return nil, nil
	}
	r.Body = http.MaxBytesReader(nil, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return nil, ErrMalformed
	}
	return r.PostForm["access_token"], nil
}

func queryTokens(r *http.Request) ([]string, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil && hasTokenInQuery(r.URL.RawQuery) {
		return nil, ErrMalformed
	}
	return query["access_token"], nil
}

func cookieTokens(r *http.Request, name string) (tokens []string, err error) {
	for _, c := range r.CookiesNamed(name) {
		tokens = append(tokens, c.Value)
	}
	if len(tokens) > 0 {
		err = checkOrigin(r)
	}
	return tokens, err
}

// headerTokens leave out the scheme, in any case, and the one space behind it (RFC 9110
// section 11.4).
func headerTokens(values []string) (tokens []string) {
	for _, value := range values {
		if word, token, _ := strings.Cut(value, " "); strings.EqualFold(word, bearerScheme) {
			value = token
		}
		tokens = append(tokens, value)
	}
	return tokens
}

// withoutToken is a copy of h that lacks the token; the caller's own stays as it was.
func (b *Bearer) withoutToken(h http.Header) http.Header {
	h = maps.Clone(h)
	delete(h, "Authorization")
	for _, s := range b.Sources {
		if s.cookie != "" {
			removeCookie(h, s.cookie)
		}
		delete(h, s.header)
	}
	return h
}

// removeCookie leaves the other cookies as they were sent.
func removeCookie(h http.Header, name string) {
	var kept []string
	for _, line := range h["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			pair = strings.TrimSpace(pair)
			if found, _, _ := strings.Cut(pair, "="); pair != "" && strings.TrimSpace(found) != name {
				kept = append(kept, pair)
			}
		}
	}
	if len(kept) == 0 {
		delete(h, "Cookie")
		return
	}
	h["Cookie"] = []string{strings.Join(kept, "; ")} // one line (RFC 6265 section 5.4)
}

// checkOrigin refuses what another site made a browser send. A WebSocket begins with GET,
// which is not as safe as it looks.
func checkOrigin(r *http.Request) error {
	asked := *r
	if r.Header.Get("Upgrade") != "" {
		asked.Method = http.MethodPost
	}
	if err := http.NewCrossOriginProtection().Check(&asked); err != nil {
		return &RequirementError{Err: err}
	}
	return nil
}

// hasTokenInQuery reads a query as generously as anybody might who reads it later.
func hasTokenInQuery(query string) bool {
	for query != "" {
		end := strings.IndexAny(query, "&;")
		if end < 0 {
			end = len(query)
		}
		name, _, _ := strings.Cut(query[:end], "=")
		if plain, err := url.QueryUnescape(name); err == nil && plain == "access_token" {
			return true
		}
		query = query[min(end+1, len(query)):]
	}
	return false
}
