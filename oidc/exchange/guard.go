package exchange

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"
)

// GuardConfig bounds what a public endpoint can be made to do.
type GuardConfig struct {
	// Rate is how many requests a client may make in a second, over time; default 5, and at
	// least one in an hour. Burst is how many at once; default 20.
	Rate  float64
	Burst int
	// InsecureNoRate takes as many as come.
	InsecureNoRate bool
	// Concurrent is how many requests are worked on at the same time, of all clients;
	// default 256. What comes beyond it is answered with 503. A client has an eighth of them,
	// and at least one, while its body is read too: what comes beyond that gets 429.
	Concurrent int
	// Client says who asks; nil is the address of the connection, of IPv6 the first 64 bits,
	// or what ClientHeader has.
	Client func(*http.Request) string
	// ClientHeader is the header in which the proxy before this program writes who asks, such
	// as X-Forwarded-For: the last name of the list counts, for those before are the client's
	// word. A port is left off. A request without it counts as of the address of the
	// connection, and the first one is told to Logger. Empty for programs that clients reach
	// directly: they could call themselves anything. Forwarded (RFC 7239) is not understood.
	ClientHeader string
	// Logger gets a line for each request that was refused here. Nil is silent.
	Logger *slog.Logger
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

const (
	defaultRate       = 5
	defaultBurst      = 20
	defaultConcurrent = 256
	leastRate         = 1.0 / 3600
	shareOf           = 8
)

// A Guard stands before an endpoint that everybody can reach. It is safe for concurrent use,
// and can guard several: they share its bounds then.
type Guard struct {
	cfg     GuardConfig
	buckets *buckets
	shares  *shares
	places  chan struct{}
}

// NewGuard does no I/O. Errors are about cfg alone.
func NewGuard(cfg GuardConfig) (*Guard, error) {
	cfg.Rate, cfg.Burst, cfg.Concurrent = cmp.Or(cfg.Rate, defaultRate), cmp.Or(cfg.Burst, defaultBurst), cmp.Or(cfg.Concurrent, defaultConcurrent)
	switch {
	case !(cfg.Rate >= leastRate) || math.IsInf(cfg.Rate, 0): // NaN is neither
		return nil, errors.New("exchange: GuardConfig.Rate must be a number of requests in a second, at least 1.0/3600, which is one in an hour")
	case cfg.Burst < 0:
		return nil, errors.New("exchange: GuardConfig.Burst must be positive")
	case cfg.Concurrent < 0:
		return nil, errors.New("exchange: GuardConfig.Concurrent must be positive")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if err := cfg.setClient(); err != nil {
		return nil, err
	}
	return &Guard{
		cfg: cfg, buckets: newBuckets(cfg.Rate, cfg.Burst), places: make(chan struct{}, cfg.Concurrent),
		shares: &shares{most: max(1, cfg.Concurrent/shareOf), taken: map[string]int{}},
	}, nil
}

// Handler lets through to next what is within the bounds, with a number and the name of who
// asks: see [CorrelationID] and [ClientOf]. The answer has the number in the header
// Correlation-Id. What is beyond the bounds is answered with 429 or 503, and Retry-After.
//
// Up to 64 KiB of a body are read before next is called, within 3 seconds if the server has
// deadlines (see [http.ResponseController]). Next gets what was read, and an error at its end
// if there was more or the rest did not come.
func (g *Guard) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client := g.cfg.Client(r)
		r = identify(w, r, client)
		limitReading(w)
		if wait := g.wait(client); wait > 0 {
			g.refuse(w, r, http.StatusTooManyRequests, wait)
			return
		}
		if !g.shares.take(client) {
			g.refuse(w, r, http.StatusTooManyRequests, time.Second)
			return
		}
		defer g.shares.release(client)
		readAhead(w, r) // before it has a place: who sends slowly must not keep others out
		select {
		case g.places <- struct{}{}:
			defer func() { <-g.places }()
			next.ServeHTTP(w, r)
		default:
			g.refuse(w, r, http.StatusServiceUnavailable, time.Second)
		}
	})
}

func (g *Guard) wait(client string) time.Duration {
	if g.cfg.InsecureNoRate {
		return 0
	}
	return g.buckets.take(client, g.cfg.Now())
}

func (g *Guard) refuse(w http.ResponseWriter, r *http.Request, status int, wait time.Duration) {
	ctx := r.Context()
	g.cfg.Logger.WarnContext(ctx, "exchange: too many requests", slog.String("correlation_id", CorrelationID(ctx)),
		slog.String("client", ClientOf(ctx)), slog.Int("status", status))
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	answerError(w, r, status, "temporarily_unavailable", "too many requests")
}

type guardKey struct{}

type guarded struct{ correlation, client string }

// identify gives a request its number, unless it has one.
func identify(w http.ResponseWriter, r *http.Request, client string) *http.Request {
	g, ok := r.Context().Value(guardKey{}).(guarded)
	if !ok {
		g = guarded{correlation: rand.Text(), client: client}
		r = r.WithContext(context.WithValue(r.Context(), guardKey{}, g))
	}
	w.Header().Set("Correlation-Id", g.correlation)
	return r
}

// CorrelationID returns the random number of a request that came through a [Guard] or to a
// handler of this package, which its answer and its lines in the log have; empty otherwise.
func CorrelationID(ctx context.Context) string {
	g, _ := ctx.Value(guardKey{}).(guarded)
	return g.correlation
}

// ClientOf returns who asks, as the [Guard] found out; empty otherwise.
func ClientOf(ctx context.Context) string {
	g, _ := ctx.Value(guardKey{}).(guarded)
	return g.client
}
