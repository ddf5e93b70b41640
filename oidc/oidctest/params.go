package oidctest

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// protocolError is an error response (RFC 6749, sections 4.1.2.1 and 5.2).
type protocolError struct {
	code, description string
	status            int // at the token endpoint; zero is 400
}

func invalidRequest(description string) *protocolError {
	return &protocolError{code: "invalid_request", description: description}
}

// params are the parameters of a request.
type params url.Values

// get returns the only value of a parameter. RFC 6749, section 3.1: "Parameters
// sent without a value MUST be treated as if they were omitted from the request."
func (v params) get(name string) string { return url.Values(v).Get(name) }

// duplicate returns the name of a parameter that is there more than once, which
// RFC 6749, section 3.1, forbids for all of them. RFC 8707, section 2, allows it
// for "resource", RFC 8693, section 2.1, for "audience" in an exchange.
func (v params) duplicate() string {
	for name, values := range v {
		repeats := name == "resource" || name == "audience" && v.get("grant_type") == grantTokenExchange
		if len(values) > 1 && !repeats {
			return name
		}
	}
	return ""
}

func parseParams(encoded string) (params, error) {
	v, err := url.ParseQuery(encoded)
	return params(v), err
}

// requestParams reads the query of a GET or the form of a POST. The query of a
// POST is ignored.
func requestParams(r *http.Request) (params, error) {
	if r.Method != http.MethodPost {
		return parseParams(r.URL.RawQuery)
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/x-www-form-urlencoded" {
		return nil, errors.New("the request is not application/x-www-form-urlencoded")
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	return parseParams(string(body))
}

// scopeToken is the grammar of RFC 6749, section 3.3.
var scopeToken = regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]+$`)

// parseScope splits a scope value, dropping repetitions.
func parseScope(value string) ([]string, *protocolError) {
	var scopes []string
	if value == "" {
		return nil, nil
	}
	for s := range strings.SplitSeq(value, " ") {
		if !scopeToken.MatchString(s) {
			return nil, &protocolError{code: "invalid_scope", description: "the scope is malformed"}
		}
		if !slices.Contains(scopes, s) {
			scopes = append(scopes, s)
		}
	}
	return scopes, nil
}

// allowedScopes parses a scope value and checks that the client may ask for it.
func (c *Client) allowedScopes(value string) ([]string, *protocolError) {
	scopes, perr := parseScope(value)
	if perr != nil {
		return nil, perr
	}
	for _, s := range scopes {
		if c.Scopes != nil && !slices.Contains(c.Scopes, s) {
			return nil, &protocolError{code: "invalid_scope", description: "the client may not ask for this scope"}
		}
	}
	return scopes, nil
}

// allowedResources checks the values of "resource" (RFC 8707, section 2).
func (c *Client) allowedResources(v params) ([]string, *protocolError) {
	var resources []string
	for _, resource := range v["resource"] {
		if !absoluteURI(resource) {
			return nil, invalidTarget("the resource is not an absolute URI without a fragment")
		}
		if c.Resources != nil && !slices.Contains(c.Resources, resource) {
			return nil, invalidTarget("the client may not ask for this resource")
		}
		if !slices.Contains(resources, resource) {
			resources = append(resources, resource)
		}
	}
	return resources, nil
}

func invalidTarget(description string) *protocolError {
	return &protocolError{code: "invalid_target", description: description}
}
