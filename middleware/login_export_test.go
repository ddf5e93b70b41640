package middleware

import "net/http"

// ReturnTo is for the fuzz target, which would be slow over HTTP.
func ReturnTo(l *Login, target string) string { return l.returnTo(target) }

// SeeOther is for targets that no check lets through.
func SeeOther(w http.ResponseWriter, target string) { seeOther(w, target) }

// TargetLink is for hosts that no test has.
func TargetLink(l *Login, uri string) string { return l.targetLink(uri) }
