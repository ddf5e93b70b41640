package exchange

import (
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
)

// setClient says how it is found out who asks.
func (cfg *GuardConfig) setClient() error {
	switch {
	case cfg.Client != nil && cfg.ClientHeader != "":
		return errors.New("exchange: GuardConfig.ClientHeader is not asked if there is a Client: set one of them")
	case cfg.Client != nil:
	case cfg.ClientHeader == "":
		cfg.Client = Address
	case strings.EqualFold(cfg.ClientHeader, "Forwarded"):
		return errors.New("exchange: GuardConfig.ClientHeader: Forwarded is not understood: have the proxy write X-Forwarded-For or X-Real-IP")
	case strings.ContainsFunc(cfg.ClientHeader, notInName):
		return errors.New("exchange: GuardConfig.ClientHeader is no name of a header: write one like X-Real-IP")
	default:
		cfg.Client = fromHeader(cfg.ClientHeader, cfg.Logger)
	}
	return nil
}

// notInName: RFC 9110 section 5.1, of which "tchar" is in section 5.6.2.
func notInName(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", c)
}

// fromHeader takes the connection's word where the proxy says nothing: without it, all of
// those requests would be one client's.
func fromHeader(name string, logger *slog.Logger) func(*http.Request) string {
	var missing sync.Once
	return func(r *http.Request) string {
		if client := lastOf(r.Header.Values(name)); client != "" {
			return client
		}
		missing.Do(func() {
			logger.WarnContext(r.Context(), "exchange: a request came without the header that says who asks; such requests count as of the address of their connection: have the proxy write it",
				slog.String("header", name))
		})
		return Address(r)
	}
}

// lastOf is an address as Address has it, or else a name of some other kind, up to a length that
// may stand in a log.
func lastOf(values []string) string {
	list := strings.Split(strings.Join(values, ","), ",")
	name := strings.TrimSpace(list[len(list)-1])
	// Some proxies add the port, of which a client has thousands, or the brackets alone.
	if at, err := netip.ParseAddrPort(name); err == nil {
		return network(at.Addr())
	}
	bare := name
	if strings.HasPrefix(name, "[") && strings.HasSuffix(name, "]") {
		bare = name[1 : len(name)-1]
	}
	if address, err := netip.ParseAddr(bare); err == nil {
		return network(address)
	}
	return name[:min(len(name), 64)]
}

// Address returns the address of a connection: of IPv6 the first 64 bits, for whoever has
// them can use each address below.
func Address(r *http.Request) string {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return network(at.Addr())
}

func network(address netip.Addr) string {
	address = address.Unmap().WithZone("")
	if address.Is6() {
		prefix, _ := address.Prefix(64) // it has as many
		return prefix.String()
	}
	return address.String()
}

// shares count what each client has under way.
type shares struct {
	most  int
	mu    sync.Mutex
	taken map[string]int // without those that have nothing
}

func (s *shares) take(client string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[client] >= s.most {
		return false
	}
	s.taken[client]++
	return true
}

func (s *shares) release(client string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[client]--; s.taken[client] == 0 {
		delete(s.taken, client)
	}
}
