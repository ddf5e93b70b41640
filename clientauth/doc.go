// Package clientauth is how a client proves to an endpoint who it is.
//
// A [Method] puts the proof into a request, freshly each time: [SecretBasic],
// [SecretPost] or [None]. Each is one of the methods of OpenID Connect Core
// section 9, under the name that registration calls it.
package clientauth
