package middleware

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxChunks is in how many cookies one value may be. Servers and proxies take request headers
// of 16 KiB, if one is lucky.
const maxChunks = 4

// A SessionTooBigError says that a session does not fit into cookies, as the provider's tokens
// are too large. Set [LoginConfig.Store] and leave SealedCookies out: a Store keeps sessions
// of up to 60 KiB. Or have the provider put less into its tokens.
type SessionTooBigError struct {
	Size int // bytes that it would take, of cookies or in the Store
	Max  int // bytes that it may take there
}

func (e *SessionTooBigError) Error() string {
	return fmt.Sprintf("middleware: the session takes %d bytes, and %d is the most: have the provider put less into its tokens and userinfo, or keep sessions in a Store, without SealedCookies", e.Size, e.Max)
}

// A cookie of several chunks has the first one under its own name, which begins with how many
// there are, and the others under "name_1" and so on. One seal is around all of them, so that
// chunks of two values never make a third.
func chunkName(name string, i int) string {
	if i == 0 {
		return name
	}
	return name + "_" + strconv.Itoa(i)
}

// setSealed gives the browser plain in one to four cookies, sealed for purpose, and drops the
// chunks that it has of a longer value. The error is a SessionTooBigError; then nothing is set.
func (l *Login) setSealed(w http.ResponseWriter, r *http.Request, name, purpose string, plain []byte, life time.Duration, sameSite http.SameSite) error {
	text := l.seal(name, purpose, plain)
	life = max(life, time.Second) // 0 would be a cookie that lasts as long as the browser
	room := maxCookieLine - len(l.newCookie(chunkName(name, maxChunks-1), "", life, sameSite).String())
	chunks := (1 + len(text) + room - 1) / room // the 1 is the number of chunks
	if chunks > maxChunks {
		return &SessionTooBigError{Size: 1 + len(text), Max: maxChunks * room}
	}
	text = strconv.Itoa(chunks) + text
	for i := range chunks {
		chunk := text[i*room : min((i+1)*room, len(text))]
		replaceCookie(w, l.newCookie(chunkName(name, i), chunk, life, sameSite))
	}
	l.dropChunks(w, r, name, chunks)
	return nil
}

// dropSealed takes all chunks of a cookie from the browser, those of this response too.
func (l *Login) dropSealed(w http.ResponseWriter, r *http.Request, name string) {
	l.dropChunks(w, r, name, 0)
}

// dropChunks takes those from number first on.
func (l *Login) dropChunks(w http.ResponseWriter, r *http.Request, name string, first int) {
	has := chunksOf(r, l.cookieName(name))
	for i := first; i < maxChunks; i++ {
		c := l.newCookie(chunkName(name, i), "", 0, l.dropSameSite())
		if has[i].count > 0 || withoutCookie(w, c.Name) {
			replaceCookie(w, c)
		}
	}
}

// getSealed returns what setSealed was given for the same name and purpose, as open does.
func (l *Login) getSealed(r *http.Request, name, purpose string) (plain []byte, stale, ok bool) {
	text, ok := joinChunks(chunksOf(r, l.cookieName(name)))
	if !ok {
		return nil, false, false
	}
	return l.open(name, purpose, text)
}

// A chunk is what a request has of one cookie name.
type chunk struct {
	value string
	count int // of cookies of this name
}

// cookieSpace is what net/http takes away around names and values, so that we see as many
// cookies of a name as it does.
const cookieSpace = " \t\r\n"

// chunksOf goes through the cookies of a request once. net/http's would do so for each name.
func chunksOf(r *http.Request, name string) (chunks [maxChunks]chunk) {
	for _, line := range r.Header["Cookie"] {
		for len(line) > 0 {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			rest, ok := strings.CutPrefix(strings.TrimLeft(pair, cookieSpace), name)
			if !ok {
				continue
			}
			suffix, value, _ := strings.Cut(rest, "=")
			if i, ok := chunkNumber(strings.TrimRight(suffix, cookieSpace)); ok {
				chunks[i].value = strings.TrimRight(value, cookieSpace)
				chunks[i].count++
			}
		}
	}
	return chunks
}

// chunkNumber is the other way round of chunkName.
func chunkNumber(suffix string) (i int, ok bool) {
	if suffix == "" {
		return 0, true
	}
	if len(suffix) != 2 || suffix[0] != '_' || suffix[1] < '1' || suffix[1] >= '0'+maxChunks {
		return 0, false
	}
	return int(suffix[1] - '0'), true
}

// joinChunks puts together what was sealed. Where there are two cookies of one name, one of
// them was planted (RFC 6265 section 8.6), and neither counts. Chunks beyond the number that
// the first one says are of an older value.
func joinChunks(chunks [maxChunks]chunk) (text []byte, ok bool) {
	if chunks[0].value == "" {
		return nil, false
	}
	n := int(chunks[0].value[0]) - '0'
	if n < 1 || n > maxChunks {
		return nil, false
	}
	chunks[0].value = chunks[0].value[1:]
	size := 0
	for _, c := range chunks[:n] {
		if c.count != 1 {
			return nil, false
		}
		size += len(c.value)
	}
	text = make([]byte, 0, size)
	for _, c := range chunks[:n] {
		text = append(text, c.value...)
	}
	return text, true
}

// replaceCookie sets a cookie in place of one that this response already sets: RFC 6265
// section 4.1.1 wants no two of one name.
func replaceCookie(w http.ResponseWriter, c *http.Cookie) {
	withoutCookie(w, c.Name)
	http.SetCookie(w, c)
}

// withoutCookie takes a cookie out of what a response sets, and reports whether it was there.
func withoutCookie(w http.ResponseWriter, name string) (found bool) {
	lines := w.Header()["Set-Cookie"]
	kept := lines[:0]
	for _, line := range lines {
		if strings.HasPrefix(line, name+"=") {
			found = true
			continue
		}
		kept = append(kept, line)
	}
	if found {
		w.Header()["Set-Cookie"] = kept
	}
	return found
}
