// Package strictjson reads JSON that a stranger may have written, in the one
// way that leaves no room for two readings of it.
//
// encoding/json lets the last of two equal members win, matches "ISS" and
// "iſs" to a field called iss, and turns broken UTF-8 into U+FFFD, so that two
// different subjects become one. Here all of that is an error, at every depth,
// found in a single pass that decodes nothing. Values are decoded on demand,
// from exactly the bytes that were checked.
package strictjson
