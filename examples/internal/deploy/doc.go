// Package deploy reads the OIDC settings of Digital.ai Deploy (deploy-oidc.yaml), and makes of
// them a client for logins and a verifier for REST access tokens.
//
//	deploy.security:
//	  auth:
//	    providers:
//	      oidc:
//	        clientId: deploy
//	        clientSecret: …
//	        issuer: https://keycloak.example.com/realms/XLDeploy
//	        redirectUri: https://xl-deploy.example.com/login/external-login
//	        rolesClaimName: realm_access.roles
//	        userNameClaimName: preferred_username
//
// Names may be written as the document does in one place or another: keyStore, key-store. What
// has lost its indentation on the way from a web page is read as it was meant. A name that is
// not known is an error, which tells the nearest one.
package deploy
