package fetch

import "net/http"

// RefuseSpecial is what looks at an address before it is connected to.
var RefuseSpecial = refuseSpecial

// Guard returns the transport that is used in place of a caller's.
var Guard = guard

// Guarded counts the copies of callers' transports.
func Guarded(t *http.Transport) (n int) {
	guarded.Range(func(_, g any) bool {
		if g == t {
			n++
		}
		return true
	})
	return n
}
