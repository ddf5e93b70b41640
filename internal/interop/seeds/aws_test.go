package seeds_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/interop"
)

const (
	roleARN      = "arn:aws:iam::123456789012:role/deploy"
	accessKeyID  = "ASIAIOSFODNN7EXAMPLE"
	sessionToken = "session-token-of-the-test"
)

// sts stands for AWS: it looks at what the CLI sends, and at the token as a stranger does, by its issuer's metadata.
type sts struct {
	e *edge

	mu       sync.Mutex
	assumed  []url.Values
	identity int
}

func (s *sts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	form, parseErr := url.ParseQuery(string(body))
	if err != nil || parseErr != nil || r.Method != http.MethodPost || r.URL.Path != "/" || form.Get("Version") != "2011-06-15" {
		s.refuse(w, "MalformedInput", "this is no request of the query API")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch form.Get("Action") {
	case "AssumeRoleWithWebIdentity":
		s.assume(w, r, form)
	case "GetCallerIdentity":
		// Signature Version 4: with the credentials that assume answered.
		if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential="+accessKeyID+"/") || r.Header.Get("X-Amz-Security-Token") != sessionToken {
			s.refuse(w, "InvalidClientTokenId", "these are not the credentials of the role")
			return
		}
		s.identity++
		answer(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>`+
			`<Arn>`+roleARN+`</Arn><UserId>AROA:job</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	default:
		s.refuse(w, "InvalidAction", "this action is not known")
	}
}

func (s *sts) assume(w http.ResponseWriter, r *http.Request, form url.Values) {
	if r.Header.Get("Authorization") != "" || form.Get("RoleArn") != roleARN || form.Get("DurationSeconds") != "3600" {
		s.refuse(w, "ValidationError", "the parameters are not those of the job")
		return
	}
	claims, err := s.verify(r, form.Get("WebIdentityToken"))
	if err != nil {
		s.refuse(w, "InvalidIdentityToken", err.Error())
		return
	}
	s.assumed = append(s.assumed, form)
	answer(w, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>`+
		`<SubjectFromWebIdentityToken>`+escape(claims.Subject)+`</SubjectFromWebIdentityToken><Audience>`+escape(claims.Audience[0])+`</Audience>`+
		`<Credentials><AccessKeyId>`+accessKeyID+`</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>`+sessionToken+
		`</SessionToken><Expiration>`+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+`</Expiration></Credentials>`+
		`</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`)
}

// verify has RS256 and the one provider, and the audience, that are configured in the account.
func (s *sts) verify(r *http.Request, token string) (claims jwt.Claims, err error) {
	var metadata struct {
		JWKSURI string `json:"jwks_uri"`
	}
	var set jose.JSONWebKeySet
	client := s.e.client()
	_, body := s.e.get(r.Context(), client, proxyURL+"/.well-known/openid-configuration")
	if err := json.Unmarshal(body, &metadata); err != nil {
		return claims, err
	}
	_, body = s.e.get(r.Context(), client, metadata.JWKSURI)
	if err := json.Unmarshal(body, &set); err != nil {
		return claims, err
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return claims, err
	}
	if err := parsed.Claims(&set, &claims); err != nil {
		return claims, err
	}
	return claims, claims.ValidateWithLeeway(jwt.Expected{Issuer: proxyURL, AnyAudience: jwt.Audience{forAWS}, Time: time.Now()}, 0)
}

func (*sts) refuse(w http.ResponseWriter, code, message string) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>`, code, escape(message))
}

func answer(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/xml")
	_, _ = io.WriteString(w, text)
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes all
	return b.String()
}

// The job of the document, step by step as its runner would run it: from GitLab's token to AWS's credentials, by the
// AWS CLI. What is not the document's is what a runner has in the environment.
func TestTokenProxy_AWS(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	upstream := e.provider(gitlab)
	stand := &sts{e: e}
	e.host("sts.us-east-1.amazonaws.com", stand)
	startProxy(t, e, interop.BuildExample(t, "tokenproxy"), proxyURL,
		documented(t, fenced(t, tokenProxy, "### Setup oidc-token-proxy")), fenced(t, tokenProxy, "### jwks_file"))

	var ci map[string]struct {
		IDTokens map[string]struct{ Aud string } `yaml:"id_tokens"`
		Script   []string
	}
	parseYAML(t, fenced(t, tokenProxy, "### Configure a CI/CD job"), &ci)
	of := ci["job_with_id_tokens"]
	require.Len(t, of.Script, 4)
	audience := of.IDTokens["PRIVATE_ID_TOKEN_FOR_AWS"].Aud
	require.Equal(t, forAWS, audience)

	home := t.TempDir()
	run := func(token string) (out, errs string, code int) {
		return e.finish(t.Context(), []string{
			"PRIVATE_ID_TOKEN_FOR_AWS=" + token, "ROLE_ARN=" + roleARN, "CI_PROJECT_ID=20", "CI_PIPELINE_ID=574",
			"PATH=" + filepath.Dir(installed(t, "venv/bin/aws")) + string(os.PathListSeparator) + os.Getenv("PATH"),
			"HOME=" + home, "AWS_DEFAULT_REGION=us-east-1", "AWS_MAX_ATTEMPTS=1", "AWS_EC2_METADATA_DISABLED=true",
		}, "bash", "-e", "-o", "pipefail", "-c", strings.Join(of.Script, "\n"))
	}
	needs(t, "bash", "curl")
	const sub = "project_path:acme/app:ref_type:branch:ref:main"
	out, errs, code := run(job(upstream, map[string]any{"sub": sub, "aud": audience}))
	require.Zero(t, code, errs)
	require.Contains(t, out, roleARN)
	require.Len(t, stand.assumed, 1)
	require.Equal(t, "GitLabRunner-20-574", stand.assumed[0].Get("RoleSessionName"))
	require.Equal(t, sub, payload(t, stand.assumed[0].Get("WebIdentityToken"))["sub"])
	require.Equal(t, 1, stand.identity)

	// AWS is not asked in vain only: what it must refuse it refuses.
	_, errs, code = run(job(upstream, map[string]any{"sub": sub, "aud": "https://other.example"}))
	require.NotZero(t, code)
	require.Contains(t, errs, "InvalidIdentityToken")
	// What the proxy refuses is no token that AWS would take.
	_, errs, code = run(changed(job(upstream, map[string]any{"sub": sub, "aud": audience})))
	require.NotZero(t, code)
	require.Contains(t, errs, "InvalidIdentityToken")
	require.Len(t, stand.assumed, 1)
	require.Equal(t, 1, stand.identity)
}
