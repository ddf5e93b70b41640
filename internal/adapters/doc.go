// Package adapters shows package middleware with routers of others, in examples that run. It
// is a module of its own, so that the routers reach nobody's go.sum.
package adapters
