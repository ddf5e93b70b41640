package main

import (
	"context"
	"time"
)

// replays remembers in the database which tokens were exchanged, for all processes that share it.
type replays struct {
	store
	now func() time.Time
}

// Once implements oidc.ReplayStore.
func (r replays) Once(ctx context.Context, key string, until time.Time) (first bool, err error) {
	if _, err := r.ExecContext(ctx, "DELETE FROM replays WHERE until < $1", r.now().Unix()); err != nil {
		return false, unavailable(err)
	}
	// A second more, for what was cut off it.
	result, err := r.ExecContext(ctx, "INSERT INTO replays VALUES ($1, $2) ON CONFLICT DO NOTHING", key, until.Unix()+1)
	if err != nil {
		return false, unavailable(err)
	}
	n, err := result.RowsAffected()
	return n == 1, unavailable(err)
}
