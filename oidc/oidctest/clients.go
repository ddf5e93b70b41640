package oidctest

import "sync"

// registry holds the clients: those of the Config and those that registered
// themselves. A client in it is never changed, only replaced.
type registry struct {
	mu      sync.RWMutex
	clients map[string]*Client
}

func (s *registry) put(c *Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clients == nil {
		s.clients = map[string]*Client{}
	}
	s.clients[c.ID] = c
}

// client returns nil for one that is not registered.
func (p *Provider) client(id string) *Client {
	p.clients.mu.RLock()
	defer p.clients.mu.RUnlock()
	return p.clients.clients[id]
}

func (s *registry) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.clients, id)
}
