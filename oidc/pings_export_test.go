package oidc

import (
	"strconv"
	"time"
)

// MaxPings is how many requests are waited for at most.
const MaxPings = maxPings

// ExpectPings has a client wait for n pings, and returns how many it waits for then: to make
// so many requests would take a minute.
func ExpectPings(c *Client, n int, name string, expires, now time.Time) (waiting int) {
	for i := range n {
		c.pings.expect(&pendingRequest{code: name + strconv.Itoa(i), expires: expires}, "token", now)
	}
	return len(c.pings.waiting)
}
