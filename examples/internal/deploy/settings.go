package deploy

import (
	"fmt"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/clientauth"
)

// Settings are those of the file, with its defaults filled in. They print as nothing.
type Settings struct {
	LoginMethodDescription string
	ClientID               string
	ClientSecret           clientauth.Secret
	ClientAuthMethod       string
	ClientAuthJWT          ClientAuthJWT

	Issuer               string
	KeyRetrievalURI      string // these four override discovery; all together replace it
	AccessTokenURI       string
	UserAuthorizationURI string
	LogoutURI            string

	RedirectURI           string
	PostLogoutRedirectURI string
	IDTokenJWSAlg         string
	RolesClaimName        claims.Path
	UserNameClaimName     claims.Path
	Scopes                []string
	AdditionalParameters  map[string]string

	AccessToken AccessToken

	file  string // for errors
	lines map[string]int
}

// ClientAuthJWT says how client_secret_jwt and private_key_jwt sign.
type ClientAuthJWT struct {
	JWSAlg           string // empty for other methods
	KeyStore         string // a path; in the file it may be relative to that
	KeyStoreType     string
	KeyStorePassword clientauth.Secret
	KeyPassword      clientauth.Secret
	KeyAlias         string
	TokenKeyID       string
}

// AccessToken says which bearer tokens the REST API takes.
type AccessToken struct {
	Issuer          string
	Audience        string
	KeyRetrievalURI string
	JWSAlg          string
	SecretKey       clientauth.Secret
}

// Format prints no more than what it is, with every verb.
func (s Settings) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("deploy.Settings[redacted]")) }

// A SettingError says what is wrong with a setting, and what to write.
type SettingError struct {
	File    string
	Line    int    // 0 if the setting is missing
	Setting string // its path below oidc, such as clientAuthJwt.jwsAlg
	Problem string
	Err     error // that of the library, if it is one
}

func (e *SettingError) Error() string {
	at := e.File
	if e.Line > 0 {
		at = fmt.Sprintf("%s:%d", e.File, e.Line)
	}
	return at + ": " + e.Setting + ": " + e.Problem
}

// Unwrap returns Err.
func (e *SettingError) Unwrap() error { return e.Err }
