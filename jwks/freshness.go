package jwks

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// No answer makes us ask every second, or never again.
const (
	minFresh = time.Minute
	maxFresh = 24 * time.Hour
)

// freshness reads for how long an answer is fresh (RFC 9111 section 4.2), within
// bounds. told is false if it does not say.
func freshness(h http.Header, now func() time.Time) (d time.Duration, told bool) {
	life, told := lifetime(h, now)
	if !told {
		return 0, false
	}
	return min(max(max(life, 0)-age(h), minFresh), maxFresh), true
}

// lifetime: max-age counts before Expires (RFC 9111 section 5.3).
func lifetime(h http.Header, now func() time.Time) (d time.Duration, told bool) {
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-cache", "no-store":
			return 0, true
		case "max-age":
			if seconds, ok := deltaSeconds(strings.Trim(value, `"`)); ok && !told {
				d, told = seconds, true
			}
		}
	}
	if expires := h.Get("Expires"); !told && expires != "" {
		return expiry(expires, h.Get("Date"), now), true
	}
	return d, told
}

// expiry: a date that is none has passed (RFC 9111 section 5.3).
func expiry(expires, date string, now func() time.Time) time.Duration {
	end, err := http.ParseTime(expires)
	if err != nil {
		return 0
	}
	start, err := http.ParseTime(date)
	if err != nil {
		start = now()
	}
	return end.Sub(start)
}

// age is how long the answer has lain in caches (RFC 9111 section 5.1).
func age(h http.Header) time.Duration {
	d, _ := deltaSeconds(h.Get("Age"))
	return d
}

// deltaSeconds reads a number of seconds; one that is too large is as large as can
// be (RFC 9111 section 1.2.2).
func deltaSeconds(s string) (d time.Duration, ok bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, false
	}
	return time.Duration(n) * time.Second, true
}
