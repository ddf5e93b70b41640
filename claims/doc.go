// Package claims reads what a token says.
//
// A [Set] is the payload of a token, or the answer of a userinfo endpoint: JSON
// that was checked for duplicate and case-folded member names and for broken
// text, and whose values are decoded on demand. A [Path] leads to a value, also
// through nested objects and names with dots:
//
//	roles, err := set.Strings(claims.P("resource_access", clientID, "roles"))
//
// A value that is missing, null or of another type is never an empty list: it is
// an [*Error] that says which.
package claims
