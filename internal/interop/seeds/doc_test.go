// Package seeds_test builds the systems of four public documents from the repository's examples, and runs what the
// documents tell people to write: their configuration, their curl lines, the steps of their CI jobs. The programs run as
// the processes that they are, and what they issue is verified by libraries of other languages.
//
// testdata has the documents; a snippet is cut out of one when it is run, so what runs is what is written there. An
// [edge] stands for the Internet, so that snippets reach api.cloudsmith.io or sts.amazonaws.com by these names, and no
// packet leaves the machine.
//
// OIDCKIT_LOAD=1m has the 200 clients of the load tests go on for a minute.
//
// install.sh installs what is needed besides Go.
package seeds_test
