package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/middleware"
	"github.com/oidckit/oidckit/oidc"
)

// A problem is an answer that says what to do instead.
type problem struct {
	status int
	detail string
}

func (p problem) Error() string { return p.detail }

var errNotThere = problem{http.StatusNotFound, "there is no such thing here"}

// An edit changes an organization by what a request says.
type edit func(o *organization, r *http.Request) error

// adminRoutes are for whoever has the role Manager or Owner in the organization of the path.
func (s *server) adminRoutes(mux *http.ServeMux) error {
	a := s.cfg.Admin
	bearer, err := s.newBearer(oidc.Config{Issuer: a.Issuer}, oidc.AccessTokenConfig{
		Audience: []string{cmp.Or(a.Audience, s.publicURL)}, InsecureAllowUntyped: a.Untyped,
	})
	if err != nil {
		return s.cfg.in(fmt.Errorf("admin.issuer: %w: write the issuer of the managers' tokens", err))
	}
	for pattern, change := range map[string]edit{
		"GET /v1/orgs/{ACCOUNT}/{$}":                      nil,
		"PUT /v1/orgs/{ACCOUNT}/services/{name}":          putAccount,
		"DELETE /v1/orgs/{ACCOUNT}/services/{name}":       deleteAccount,
		"PUT /v1/orgs/{ACCOUNT}/openid-connect/{name}":    putProvider,
		"DELETE /v1/orgs/{ACCOUNT}/openid-connect/{name}": deleteProvider,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			bearer.Handler(s.editor(change), s.manages(r.PathValue("ACCOUNT"))).ServeHTTP(w, r)
		})
	}
	return nil
}

// manages requires a role in this very organization.
func (s *server) manages(organization string) middleware.Requirement {
	path, err := claims.ParsePath(strings.ReplaceAll(s.cfg.Admin.Roles, "{ACCOUNT}", organization)) // a slug has no dots
	return middleware.RequireFunc(func(p *middleware.Principal) error {
		manager, _ := p.Claims.Contains(path, "Manager")
		owner, _ := p.Claims.Contains(path, "Owner")
		if err != nil || !slug.MatchString(organization) || !manager && !owner {
			return errors.New("neither Manager nor Owner of the organization")
		}
		return nil
	})
}

// editor answers an organization, after the change if there is one. Who changes it must have
// seen what is changed: two managers at a time do not undo what the other one did.
func (s *server) editor(change edit) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("ACCOUNT")
		o, version, err := s.read(r.Context(), name)
		if err == nil && version == "" {
			err = errNotThere
		}
		var warnings []string
		if err == nil && change != nil {
			version, warnings, err = s.change(r, name, version, &o, change)
		}
		switch wrong := (problem{}); {
		case errors.As(err, &wrong):
			answer(w, wrong.status, map[string]string{"detail": wrong.detail})
		case err != nil:
			s.logger.ErrorContext(r.Context(), "the settings cannot be read or written", slog.Any("error", err))
			answer(w, http.StatusServiceUnavailable, map[string]string{"detail": "the settings cannot be read or written at the moment"})
		default:
			w.Header().Set("ETag", etag(version))
			answer(w, http.StatusOK, map[string]any{"service_accounts": o.ServiceAccounts, "providers": o.Providers, "warnings": append([]string{}, warnings...)})
		}
	})
}

func etag(version string) string {
	sum := sha256.Sum256([]byte(version))
	return `"` + hex.EncodeToString(sum[:8]) + `"`
}

func (s *server) change(r *http.Request, name, seen string, o *organization, change edit) (version string, warnings []string, err error) {
	if match := r.Header.Get("If-Match"); match == "" {
		return "", nil, problem{http.StatusPreconditionRequired, "send If-Match with the ETag that GET /v1/orgs/" + name + "/ answers"}
	} else if match != etag(seen) {
		return "", nil, errStale
	}
	if err := change(o, r); err != nil {
		return "", nil, err
	}
	if warnings, err = s.accept(name, *o); err != nil {
		return "", nil, problem{http.StatusBadRequest, err.Error()}
	}
	version, done, err := s.write(r.Context(), name, seen, *o)
	switch {
	case err != nil:
		return "", nil, err
	case !done:
		return "", nil, errStale
	}
	p, _ := middleware.PrincipalFrom(r.Context())
	s.logger.InfoContext(r.Context(), "settings changed", slog.String("organization", name), slog.String("request", r.Pattern), slog.String("name", r.PathValue("name")),
		slog.String("iss", p.Issuer), slog.String("sub", p.Subject), slog.Any("warnings", warnings))
	return version, warnings, nil
}

var errStale = problem{http.StatusPreconditionFailed, "somebody has changed the organization since: GET it again, and send the ETag of that in If-Match"}

func putAccount(o *organization, r *http.Request) error {
	if name := r.PathValue("name"); !slices.Contains(o.ServiceAccounts, name) {
		o.ServiceAccounts = append(o.ServiceAccounts, name)
	}
	return nil
}

// deleteAccount ends the tokens of the account too. One that a provider has is not accepted.
func deleteAccount(o *organization, r *http.Request) error {
	i := slices.Index(o.ServiceAccounts, r.PathValue("name"))
	if i < 0 {
		return errNotThere
	}
	o.ServiceAccounts = slices.Delete(o.ServiceAccounts, i, i+1)
	return nil
}

func (o *organization) find(name string) int {
	return slices.IndexFunc(o.Providers, func(p provider) bool { return p.Name == name })
}

func putProvider(o *organization, r *http.Request) error {
	var tree map[string]any
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, 64<<10))
	if err == nil {
		set, parseErr := claims.Parse(body) // no member is there twice
		if err = errors.Join(parseErr, set.Decode(&tree)); err != nil {
			err = fmt.Errorf("%w: write one JSON object, with each member once", err)
		}
	}
	p := provider{Name: r.PathValue("name")}
	if err == nil {
		err = assign(tree, &p)
	}
	if err == nil && p.Name != r.PathValue("name") {
		err = errors.New("name: is not the one in the URL: leave it out")
	}
	if err != nil {
		return problem{http.StatusBadRequest, err.Error()}
	}
	if i := o.find(p.Name); i >= 0 {
		o.Providers[i] = p
		return nil
	}
	o.Providers = append(o.Providers, p)
	return nil
}

func deleteProvider(o *organization, r *http.Request) error {
	i := o.find(r.PathValue("name"))
	if i < 0 {
		return errNotThere
	}
	o.Providers = slices.Delete(o.Providers, i, i+1)
	return nil
}
