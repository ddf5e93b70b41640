package clientauth

// What providers want whose assertions are not those of RFC 10070. Each says where the
// provider writes so. All take the URL of the token endpoint: see
// [AssertionConfig.InsecureTokenEndpointAudience].
var (
	// EntraID is for Microsoft Entra ID. The header needs the certificate's thumbprint
	// besides: the key is one with a certificate and Thumbprint set, RS256 or PS256.
	// (https://learn.microsoft.com/entra/identity-platform/certificate-credentials)
	EntraID = AssertionConfig{InsecureTokenEndpointAudience: true, Type: "JWT"}

	// LoginGov is for Login.gov of the United States. The key is an RSA key, with
	// RS256. (https://developers.login.gov/oidc/token/)
	LoginGov = AssertionConfig{InsecureTokenEndpointAudience: true, OmitType: true}
)
