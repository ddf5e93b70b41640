package middleware

import "time"

// A Store keeps bytes under a name until they expire. It is the interface of the stores of
// github.com/alexedwards/scs, all of which fit: Redis, PostgreSQL, MySQL and others. It must be
// safe for concurrent use, and find what a Commit that has returned put there: a replica that
// lags behind must not be asked. What it gets is sealed, and names are hashes: whoever reads it
// learns neither tokens nor who is logged in.
//
// One call may take 2 s. A Store that has FindCtx, CommitCtx and DeleteCtx as well, as scs
// names them, gets a context that ends then; with others the caller just stops waiting, so give
// their connections time limits of their own. After a failure the store is left alone for 2 s.
//
// Refreshes of a session need a lock. Without more it is made of Find and Commit, which takes
// 0.2 s, and clocks that agree within seconds. A Store that has the method
//
//	Lock(ctx context.Context, token string, ttl time.Duration) (unlock func(), err error)
//
// is asked instead. It waits until nobody else has the lock of this name or ctx ends, and takes
// it from whoever has not unlocked after ttl. Names of locks are none of what is kept.
type Store interface {
	// Find returns what is kept under token; found is false if there is nothing, or it has
	// expired.
	Find(token string) (b []byte, found bool, err error)
	// Commit keeps b under token until expiry, in place of what was there.
	Commit(token string, b []byte, expiry time.Time) error
	// Delete drops what is kept under token. Nothing there is no error.
	Delete(token string) error
}
