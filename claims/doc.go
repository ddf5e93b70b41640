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
// an [*Error] that says which. Groups that a provider left out because there are too
// many are an [*OverageError].
//
// # Paths in configuration files
//
// [ParsePath] reads "realm_access.roles", "https://example\.com/roles" and the JSON
// Pointer "/realm_access/roles". A YAML file has it without quotes, in single quotes,
// or in double quotes with the backslash written twice. A [Pattern] fans out besides:
// "resource_access.*.roles".
//
// # Values
//
// Numbers and booleans are what JSON says they are, and so are lists. What a provider
// writes in another form is read by an option for that one call: [SplitSpaces],
// [SplitCommas], [Field], [JSONInString], [Limit], [BoolInString].
//
// # Identities
//
// A [Mapping] says where username, roles, groups and e-mail address are, and which of
// ID token, userinfo and access token is asked first. A [Mapper] makes an [Identity] of
// it that remembers where each part came from.
//
// # Policies
//
// A [Policy] says which claims a token must have, in code or in a configuration file.
// [Lint] finds policies that let in more than was meant.
package claims
