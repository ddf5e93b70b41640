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
// [StartRedis] and [StartPostgres] start servers of their own, [StartProxy] a load balancer with TLS in front of several
// processes of an application, and [Play] has Chromium do what a script in chromium/ says. The tests in replicas put
// them together.
//
// Tests whose names begin with TestHarness try the provider by hand, without oidckit. Those that begin with TestOP are of
// oidckit's client authentication and calls against it.
//
// [StartKeycloak] starts a Keycloak; the tests in seeds run the lines of the four documented systems as they are
// written, behind a stand-in for the Internet, and have libraries of other languages read the tokens that we mint.
//
// Nothing here skips but Keycloak, which is large: what is missing fails the test and says what to do. .ci/run sets
// OIDCKIT_KEYCLOAK_REQUIRED, and then that fails too.
package interop
