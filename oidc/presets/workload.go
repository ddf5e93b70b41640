package presets

import (
	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc"
)

// workload is the preset for a service that signs for all its customers: there is none
// without a policy.
func workload(issuer string, whose interface{ Policy() (claims.Policy, error) }, username claims.TextClaim, hints []hint) (Preset, error) {
	policy, err := whose.Policy()
	if err != nil {
		return Preset{}, err
	}
	return Preset{
		Config:      oidc.Config{Issuer: issuer},
		AccessToken: oidc.AccessTokenConfig{InsecureAllowUntyped: true, Policy: policy},
		Mapping:     claims.Mapping{Username: username},
		hints:       hints,
	}, nil
}
