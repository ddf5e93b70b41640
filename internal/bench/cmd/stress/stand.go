package main

import (
	"context"
	"time"

	"github.com/oidckit/oidckit/internal/bench"
)

// deadline is how long a request waits for its verification.
const deadline = 5 * time.Second

// A stand is a peer at an issuer of its own, with a good token.
type stand struct {
	*bench.Rig
	verifier bench.Verifier
	good     string
}

// newStand sets a peer up without asking it anything. The reply with keys takes
// the delay from the beginning.
func newStand(ctx context.Context, p bench.Peer, delay time.Duration, change func(*bench.Options)) (*stand, error) {
	rig, err := bench.NewRig(ctx, "RS256")
	if err != nil {
		return nil, err
	}
	rig.Delay(delay)
	tokens, err := rig.Tokens("large", 1)
	if err != nil {
		return nil, err
	}
	options := rig.Options()
	if change != nil {
		change(&options)
	}
	v, err := p.New(ctx, options)
	if err != nil {
		return nil, err
	}
	return &stand{Rig: rig, verifier: v, good: tokens[0]}, nil
}

// newWarmStand is one that has verified a token. What is counted comes after.
func newWarmStand(ctx context.Context, p bench.Peer, delay time.Duration, change func(*bench.Options)) (*stand, error) {
	s, err := newStand(ctx, p, delay, change)
	if err != nil {
		return nil, err
	}
	if err := bench.Accept(ctx, s.verifier, s.good); err != nil {
		return nil, err
	}
	s.Reset()
	return s, nil
}

// rotate adds a signing key to the published ones and returns a token of it.
func (s *stand) rotate() (string, error) {
	key, err := bench.NewKey("2026-12", s.Key.Algorithm)
	if err != nil {
		return "", err
	}
	document, err := bench.Document(s.Key, key)
	if err != nil {
		return "", err
	}
	token, err := key.Sign(bench.Large(s.URL, 2))
	s.Publish(document)
	return token, err
}

// verify is a request with the token.
func (s *stand) verify(ctx context.Context, token string) error {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	_, err := s.verifier.Verify(ctx, token)
	return err
}

// firstSuccess tries a token again and again and returns how long after since it
// was accepted; no success in time is false.
func (s *stand) firstSuccess(ctx context.Context, token string, since time.Time, every, atMost time.Duration) (time.Duration, bool) {
	for time.Since(since) < atMost {
		if s.verify(ctx, token) == nil {
			return time.Since(since), true
		}
		time.Sleep(every)
	}
	return atMost, false
}
