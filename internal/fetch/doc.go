// Package fetch is the one way in which this module makes HTTP requests.
//
// Whatever the request is for, it has a context, a time limit, a cap on the
// body after decompression, no redirects and https; its answer is read whole
// and closed. Errors never hold a URL's query or an answer's body, for both may
// hold secrets.
package fetch
