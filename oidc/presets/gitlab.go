package presets

import (
	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/claims/ci"
	"github.com/oidckit/oidckit/oidc"
)

// GitLab is for logins with GitLab; the issuer is https://gitlab.com, or the URL of an
// instance. Names are in userinfo, groups that people are direct members of in both; access
// tokens are opaque. For the tokens of jobs there is [GitLabCI].
func GitLab(issuer string) Preset {
	return Preset{
		Config: oidc.Config{Issuer: issuer},
		Mapping: claims.Mapping{
			Username: text("preferred_username", "nickname"), Name: optionalText("name"), Email: optionalText("email"),
			Groups: optionalList(claims.P("groups_direct")),
		},
		hints: gitLabHints,
	}
}

var gitLabHints = []hint{
	{isOpaque, "access tokens of GitLab are opaque: ask its userinfo endpoint about them (oidc.UserInfoVerifier), or send the ID token of a job"},
	{without("preferred_username"), "GitLab has the name in userinfo: ask for it (Client.UserInfo) with the scope profile, and give it to the mapper"},
}

// GitLabCI is for the tokens of jobs of GitLab CI/CD. Errors are those of [ci.GitLab].
func GitLabCI(whose ci.GitLab) (Preset, error) {
	issuer := whose.Issuer
	if issuer == "" {
		issuer = ci.GitLabIssuer
	}
	return workload(issuer, whose, text("project_path"), []hint{
		{because(oidc.ReasonAudience), "the job chooses the audience (id_tokens: TOKEN: aud: in .gitlab-ci.yml): write the same into Audience"},
		{because(oidc.ReasonIssuer), "iss is the URL of the instance, https:// included: set it as Issuer"},
		{because(oidc.ReasonPolicy), "the job is of another project, ref or environment than the preset names, or its ref is not protected"},
	})
}
