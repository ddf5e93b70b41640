// Package routes reads which routes an API has, and what each requires of access tokens.
//
//	namespaces:
//	  pagure: https://pagure.io/oidc/
//	roles_from: [userinfo.groups, userinfo.cla]
//	routes:
//	  - {method: POST, path: "/pagure/{project}/issues", scopes: [pagure:issue_create]}
//	  - {method: POST, path: "/bodhi/updates", scopes_any: [openid, https://pagure.io/oidc/create_project], roles: [packager]}
//
// A path is a pattern of [net/http.ServeMux]. A scope is written in full, or as a namespace
// and what is appended to it. Of scopes and roles a token must have all, of scopes_any and
// roles_any one. A route that requires nothing of this is for every good token.
//
// Roles are what is found at the places of roles_from together, in the access token or in
// userinfo; a place that is not there holds no roles.
package routes
