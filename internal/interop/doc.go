// Package interop tests oidckit against programs that other people wrote: a certified OpenID provider, and
// the repository's own examples run as the separate processes that they are in real life.
//
// It is a module of its own, so that nothing here reaches the go.sum of a program that uses oidckit.
//
// [StartOP] starts the provider, npm's oidc-provider behind op/provider.mjs, whose head comment says what it can do.
// It needs node, and installs its packages once by itself. [OP.Register] registers clients of every kind, [PKI] issues their
// certificates. A [Browser] stands for the person: it keeps cookies, follows redirects, logs in, lets devices in and logs
// out; [OP.FinishCIBA] is the person's other device. [BuildExample] and [Run] start programs.
//
// Tests whose names begin with TestHarness try the provider by hand, without oidckit. Those that begin with TestOP are of
// oidckit's client authentication and calls against it.
//
// Nothing here skips: what is missing fails the test and says what to do.
package interop
