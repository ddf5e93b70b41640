package oidc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// errPanicked answers for no sentinel: a bug of the program is no outage of the provider.
var errPanicked = errors.New("oidc: a function of the program has panicked: Config.Logger was told where")

// guarded returns work that does not panic. Work calls functions of the program, and does
// so in a goroutine of ours: what panics there must not end the process, as in the
// goroutine of a request it would not.
func guarded[T any](logger *slog.Logger, work func(context.Context) (T, error)) func(context.Context) (T, error) {
	return func(ctx context.Context) (value T, err error) {
		defer func() {
			if p := recover(); p != nil {
				err = errPanicked
				tellPanic(ctx, logger, p)
			}
		}()
		return work(ctx)
	}
}

// tellPanic says where it was. What the program panicked with may hold a token: only its
// type is told.
func tellPanic(ctx context.Context, logger *slog.Logger, p any) {
	defer func() { _ = recover() }() // the logger is of the program too
	logger.ErrorContext(ctx, "a function of the program has panicked", slog.String("type", fmt.Sprintf("%T", p)), slog.String("stack", string(debug.Stack())))
}
