package seeds_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/interop"
	"github.com/oidckit/oidckit/oidc/oidctest"
)

const (
	cloudsmithAPI = "https://api.cloudsmith.io"
	githubIssuer  = "https://token.actions.githubusercontent.com"
	circleIssuer  = "https://oidc.circleci.com/org/3fa85f64-5717-4562-b3fc-2c963f66afa6"
)

// exchangeConfig has what a manager of acme would fill in the form of the document.
const exchangeConfig = `
organizations:
  acme:
    service_accounts: [github-service, circleci-service]
    providers:
      - name: GitHub Actions
        url: ` + githubIssuer + `
        audience: api://AzureADTokenExchange
        claims: {repository_owner: acme}
        service_accounts: [github-service]
      - name: CircleCI
        url: ` + circleIssuer + `
        claims: {oidc.circleci.com/vcs-origin: github.com/acme/widgets}
        service_accounts: [circleci-service]
private_issuers: true # they are at the edge of the test, behind a proxy
`

var exchangeReady = regexp.MustCompile(`^The exchange is at (\S+)$`)

// startExchange starts examples/ciexchange as api.cloudsmith.io.
func startExchange(t *testing.T, e *edge, config string) (process *interop.Process, base string) {
	t.Helper()
	dir, addr := t.TempDir(), interop.FreeAddress(t)
	_, process = e.run(exchangeReady, interop.BuildExample(t, "ciexchange"), "-listen", addr, "-public-url", cloudsmithAPI,
		"-config", write(t, dir, "exchange.yaml", config), "-database", dir+"/exchange.db")
	base = "http://" + addr
	e.forward("api.cloudsmith.io", base)
	return process, base
}

// ciClaims are those that a CI service writes; examples/ciexchange has them for its trial.
func ciClaims(t *testing.T, service string) (claims map[string]any) {
	t.Helper()
	text, err := os.ReadFile("../../../examples/ciexchange/trial.json")
	require.NoError(t, err)
	var all map[string]map[string]any
	require.NoError(t, json.Unmarshal(text, &all))
	for name, c := range all {
		if strings.HasPrefix(name, service) {
			claims = c
		}
	}
	require.NotEmpty(t, claims)
	return claims
}

// github answers where a job asks for its token, and stands for what GitHub has there.
func github(p *oidctest.Provider, claims map[string]any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		if r.Header.Get("Authorization") != "bearer of-the-job" || query.Get("api-version") != "2.0" || !query.Has("audience") {
			http.Error(w, "this is no request of a job", http.StatusUnauthorized)
			return
		}
		c := maps.Clone(claims)
		c["aud"] = query.Get("audience")
		_ = json.NewEncoder(w).Encode(map[string]any{"count": 1, "value": job(p, c)})
	}
}

// githubSteps are the commands of the document's workflow.
func githubSteps(t *testing.T) string {
	t.Helper()
	var workflow struct {
		Jobs map[string]struct{ Steps []struct{ Run string } }
	}
	parseYAML(t, between(t, cloudsmith, "name: OpenID Connect Demo", "For further details on configuring Github Actions for OIDC see the guide at https://help.cloudsmith.io/docs/setup-cloudsmith-to-authenticate-with-oidc-in-github-actions.", 0), &workflow)
	steps := workflow.Jobs["test-openid-connect"].Steps
	require.Len(t, steps, 2)
	return steps[0].Run + "\n" + steps[1].Run
}

// circleSteps are the commands of the document's CircleCI configuration.
func circleSteps(t *testing.T) string {
	t.Helper()
	var config struct {
		Commands map[string]struct {
			Steps []struct{ Run string }
		}
	}
	parseYAML(t, between(t, cloudsmith, "version: 2.1", "If successful, this will give a JWT token that can be used as an API key", 0), &config)
	steps := config.Commands["make_oidc_request"].Steps
	require.Len(t, steps, 1)
	return steps[0].Run
}

// filled replaces the names in braces, as the document has its readers do.
func filled(script string) string {
	return strings.NewReplacer("{ACCOUNT}", "acme", "{SERVICE_SLUG}", "circleci-service").Replace(script)
}

var issued = regexp.MustCompile(`OIDC token from Cloudsmith: (eyJ[\w-]+\.[\w-]+\.[\w-]+)\n$`)

func TestCloudsmith_GitHubActions(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	claims := ciClaims(t, "github-actions")
	provider := e.provider(githubIssuer)
	e.host("pipelines.actions.githubusercontent.com", github(provider, claims))
	process, _ := startExchange(t, e, exchangeConfig)

	// What GitHub sets for a job: the URL has a query already.
	env := []string{"ACTIONS_ID_TOKEN_REQUEST_TOKEN=of-the-job", "ACTIONS_ID_TOKEN_REQUEST_URL=https://pipelines.actions.githubusercontent.com/1/idtoken?api-version=2.0"}
	found := issued.FindStringSubmatch(e.bash(filled(githubSteps(t)), env...))
	require.NotNil(t, found)
	token := payload(t, found[1])
	require.Equal(t, "acme/github-service", token["sub"])
	require.InDelta(t, 90*60, token["exp"].(float64)-token["iat"].(float64), 1, "around 90 minutes")

	// "X-Api-Key header", as the document spells it.
	header := strings.Trim(strings.TrimPrefix(strings.TrimSpace(between(t, cloudsmith, `X-Api-Key header: "X-Api-Key:Bearer OIDC_TOKEN"`, "", 0)), "X-Api-Key header: "), `"`)
	require.Equal(t, "X-Api-Key:Bearer OIDC_TOKEN", header)
	out := e.bash(`curl -sS --fail-with-body -H "$HEADER" `+cloudsmithAPI+`/v1/user/self/`, "HEADER="+strings.Replace(header, "OIDC_TOKEN", found[1], 1))
	require.Contains(t, out, `"github-service"`)

	// A job of somebody else learns nothing but that; jq prints null, which is no token.
	stranger := maps.Clone(claims)
	stranger["repository_owner"] = "evil"
	e.host("pipelines.actions.githubusercontent.com", github(provider, stranger))
	out = e.bash(filled(githubSteps(t)), env...)
	require.True(t, strings.HasSuffix(out, "OIDC token from Cloudsmith: null\n"), out)
	require.Contains(t, process.Output(), "repository_owner", "the log has the condition that failed")
}

func TestCloudsmith_CircleCI(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	provider := e.provider(circleIssuer)
	startExchange(t, e, exchangeConfig)
	script := circleSteps(t)

	// The quotes of the document's example do not match, and no shell takes it.
	require.Error(t, exec.CommandContext(t.Context(), "bash", "-n", "-c", script).Run())
	mended := strings.Replace(script, `{SERVICE_SLUG}"}"`, `{SERVICE_SLUG}\"}"`, 1)
	require.Len(t, mended, len(script)+1)
	found := issued.FindStringSubmatch(e.bash(filled(mended), "CIRCLE_OIDC_TOKEN_V2="+job(provider, ciClaims(t, "circleci"))))
	require.NotNil(t, found)
	require.Equal(t, "acme/circleci-service", payload(t, found[1])["sub"])
}
