package fetch

import (
	"errors"
	"net/http"
	"strconv"
	"time"
)

const maxRetryAfter = time.Hour

// retryAfter returns for how long an answer wants to be left alone, at most an
// hour: the other side does not decide that we never come back (RFC 9110 section
// 10.2.3; RFC 6585 section 4).
func retryAfter(resp *http.Response, now time.Time) time.Duration {
	if resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return 0
	}
	value := resp.Header.Get("Retry-After")
	// ParseUint reads no sign, and returns the greatest number for a greater one.
	seconds, err := strconv.ParseUint(value, 10, 64)
	if err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(date.Sub(now), 0), maxRetryAfter)
}

// RetryAfter reads from an error for how long the other side wants to be left alone.
func RetryAfter(err error) time.Duration {
	var e *Error
	if errors.As(err, &e) {
		return e.RetryAfter
	}
	return 0
}
