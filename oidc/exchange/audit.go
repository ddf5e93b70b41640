package exchange

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

func (a *attempt) record(ctx context.Context, err error) Record {
	r := Record{Correlation: CorrelationID(ctx), Client: a.req.Client, Issued: err == nil, Err: err}
	if r.Client == "" {
		r.Client = ClientOf(ctx)
	}
	if a.token != nil {
		r.Issuer, r.Subject, r.Input = a.token.Issuer, a.token.Subject, a.input()
	}
	if a.rule != nil {
		r.Rule = a.rule.Name
	}
	if a.minted != nil {
		r.ID, r.Expiry, r.Algorithm, r.KeyID = a.minted.ID, a.minted.Expiry, a.minted.Algorithm, a.minted.KeyID
	}
	return r
}

// tell logs a decision. A refusal is told without the subject: a claim belongs into a log only
// where it explains a token that is in somebody's hands.
func (x *Exchanger) tell(ctx context.Context, r Record) {
	if x.cfg.Audit != nil {
		x.cfg.Audit(ctx, r)
	}
	attrs := []slog.Attr{slog.String("correlation_id", r.Correlation), slog.String("client", r.Client)}
	if r.Issuer != "" {
		attrs = append(attrs, slog.String("upstream_iss", r.Issuer), slog.String("input", r.Input), slog.String("rule", r.Rule))
	}
	var refused *Error
	switch {
	case r.Issued:
		x.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "exchange: issued", append(attrs, slog.String("upstream_sub", r.Subject),
			slog.String("jti", r.ID), slog.Time("exp", r.Expiry.UTC().Truncate(time.Second)), slog.String("alg", r.Algorithm), slog.String("kid", r.KeyID))...)
	case errors.As(r.Err, &refused):
		x.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "exchange: refused", append(attrs, slog.String("reason", string(refused.Reason)), slog.Any("error", r.Err))...)
	default:
		x.cfg.Logger.LogAttrs(ctx, slog.LevelError, "exchange: not judged", append(attrs, slog.Any("error", r.Err))...)
	}
}
