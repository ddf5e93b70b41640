// Package fetch is the one way in which this module makes HTTP requests.
//
// Whatever the request is for, it has a context, a time limit, a cap on the
// body after decompression, no redirects, https and TLS 1.2 or newer; its answer
// is read whole or refused, and closed. Errors never hold a URL's query, a
// header or an answer's body, for all of them may hold secrets.
package fetch
