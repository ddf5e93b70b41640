package presets

import (
	"errors"
	"fmt"
	"strings"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/oidc"
)

// A ServiceAccount is one of Kubernetes.
type ServiceAccount struct {
	Namespace string
	Name      string
}

// Kubernetes is for the tokens of service accounts of one cluster; the issuer is what
// kubectl get --raw /.well-known/openid-configuration says. Every pod of the cluster has a
// token: those of the named accounts alone are ours, and at least one must be named.
//
// Managed clusters publish metadata and keys. Otherwise the API server shows them to who
// may read them: Config.HTTPClient must trust its authority (ca.crt of the pod) and add the
// pod's own token, to no other host, and Config.DiscoveryURL is then
// https://kubernetes.default.svc/.well-known/openid-configuration.
func Kubernetes(issuer string, accounts ...ServiceAccount) (Preset, error) {
	return workload(issuer, serviceAccounts(accounts), text("sub"), kubernetesHints)
}

type serviceAccounts []ServiceAccount

// Policy compares sub as a whole: "system:serviceaccount:NAMESPACE:NAME".
func (s serviceAccounts) Policy() (claims.Policy, error) {
	var subjects []any
	for _, a := range s {
		if !isDNSName(a.Namespace) || !isDNSName(a.Name) {
			return claims.Policy{}, fmt.Errorf("presets: Kubernetes: accounts: %q in namespace %q is no name of Kubernetes: write that of a namespace and of a service account", a.Name, a.Namespace)
		}
		subjects = append(subjects, "system:serviceaccount:"+a.Namespace+":"+a.Name)
	}
	if len(subjects) == 0 {
		return claims.Policy{}, errors.New("presets: Kubernetes: accounts: name a service account: without one every pod of the cluster is let in")
	}
	return claims.NewPolicy(claims.OneOf(claims.P("sub"), subjects...))
}

// isDNSName: the names of Kubernetes have no colon, which keeps them apart in sub.
func isDNSName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-.") == ""
}

var kubernetesHints = []hint{
	{isLegacyServiceAccount, "this is a token of a Secret, without audience and end: mount a projected one (volumes: projected: sources: serviceAccountToken: with audience and expirationSeconds), or kubectl create token --audience"},
	{because(oidc.ReasonAudience), "the token of every pod is for the API server alone: project one with the audience of this API (serviceAccountToken: audience:)"},
	{because(oidc.ReasonPolicy), "the pod runs with another service account (serviceAccountName), or in another namespace, than the preset names"},
	{because(oidc.ReasonIssuer), "iss is --service-account-issuer of the API server: kubectl get --raw /.well-known/openid-configuration tells it"},
	{func(f *failure) bool { return f.unavailable }, "if the API server answers 401 or 403, it shows its keys to who may read them: bind the cluster role system:service-account-issuer-discovery to the account of this program, and give Config.HTTPClient its token and ca.crt"},
}

func isLegacyServiceAccount(f *failure) bool {
	return f.reason != "" && (f.says("iss", "kubernetes/serviceaccount") || f.has("kubernetes.io/serviceaccount/secret.name"))
}
