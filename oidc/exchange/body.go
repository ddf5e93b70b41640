package exchange

import (
	"bytes"
	"io"
	"net/http"
	"time"
)

const (
	maxBody  = 64 << 10 // bytes
	bodyTime = 3 * time.Second
)

// limitReading bounds how long the body is waited for, also by the server, which reads what
// nobody has read before it answers.
func limitReading(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime)) // not every w has one
}

// readAhead reads the body to its end, or to where it goes wrong.
func readAhead(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		// What is read from now on is whether the client has gone, which ends the context.
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
		err = io.EOF
	}
	r.Body = &body{Reader: io.MultiReader(bytes.NewReader(data), failing{err}), Closer: r.Body}
}

// A body that was read already.
type body struct {
	io.Reader
	io.Closer
}

type failing struct{ error }

func (f failing) Read([]byte) (int, error) { return 0, f.error }
