package main

import (
	"strconv"
	"strings"
	"time"
)

// A scale says how long the scenarios take.
type scale struct {
	flood    time.Duration // of 2,000 bad tokens a second
	outage   time.Duration
	after    time.Duration // watched when an outage is over
	hang     time.Duration // of each answer
	hanging  time.Duration // how long answers hang
	down     time.Duration // at the start
	watch    time.Duration // how long a success is waited for
	cooldown time.Duration // of this library; zero is its default
	before   time.Duration // that a flood begins before a rotation
	issuers  int
	rounds   int // of trouble that is compared with the undisturbed
}

var full = scale{
	flood: 5 * time.Second, outage: 5 * time.Second, after: 2 * time.Second, hang: 2 * time.Second,
	hanging: 8 * time.Second, down: 2 * time.Second, watch: 11 * time.Second, before: 2 * time.Second, issuers: 1000, rounds: 3,
}

var quick = scale{
	flood: 4 * time.Second, outage: 2 * time.Second, after: 500 * time.Millisecond, hang: 500 * time.Millisecond,
	hanging: 2 * time.Second, down: 500 * time.Millisecond, watch: 4 * time.Second, cooldown: time.Second,
	before: 500 * time.Millisecond, issuers: 200, rounds: 1,
}

// ourCooldown is what a cooldown of zero means (jwks.RemoteConfig).
func (sc scale) ourCooldown() time.Duration {
	if sc.cooldown == 0 {
		return 10 * time.Second
	}
	return sc.cooldown
}

// describe puts the scale into the title.
func (s scenario) describe(sc scale) string {
	return strings.NewReplacer(
		"{flood}", sc.flood.String(), "{bad}", strconv.Itoa(int(badPerSecond*sc.flood.Seconds())),
		"{outage}", sc.outage.String(), "{after}", sc.after.String(), "{hang}", sc.hang.String(),
		"{hanging}", sc.hanging.String(), "{down}", sc.down.String(), "{watch}", sc.watch.String(),
		"{rounds}", strconv.Itoa(sc.rounds), "{before}", sc.before.String(), "{issuers}", strconv.Itoa(sc.issuers), "{cooldown}", sc.ourCooldown().String(),
	).Replace(s.title)
}
