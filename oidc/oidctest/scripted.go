package oidctest

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// Login is what a person does with a browser, as a script and in process: it
// requests the URL, fills in the login form with that user's password, and
// returns where the provider redirects to, a URL of the client with code, state
// and iss, or with error. With response_mode=form_post the URL carries in its
// query what the browser would post. It fails when the provider shows an error
// page, when there is no such user, and when a fault or ctx ends the request.
func (p *Provider) Login(ctx context.Context, authorizationURL, username string) (*url.URL, error) {
	user := p.users[username]
	if user == nil {
		return nil, fmt.Errorf("oidctest: Login: no user %q", username)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, authorizationURL, nil)
	if err != nil {
		return nil, err
	}
	form, done, err := p.browse(req)
	if err != nil || done != nil {
		return done, err
	}
	form.values.Set("username", user.Username)
	form.values.Set("password", user.Password)
	body := strings.NewReader(form.values.Encode())
	req, err = http.NewRequestWithContext(ctx, http.MethodPost, p.origin+form.action, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	_, done, err = p.browse(req)
	if err == nil && done == nil {
		return nil, errors.New("oidctest: Login: the login page came back")
	}
	return done, err
}

// browse sends a request and returns either the login form it finds or the URL
// that the provider sends the browser to.
func (p *Provider) browse(req *http.Request) (*scrapedForm, *url.URL, error) {
	client := p.HTTPClient()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusSeeOther {
		u, err := resp.Location()
		return nil, u, err
	}
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil, err
	}
	form := scrape(string(page))
	switch {
	case resp.StatusCode != http.StatusOK, form == nil:
		return nil, nil, fmt.Errorf("oidctest: Login: the provider answered %s and no redirect", resp.Status)
	case form.values.Has("authorization"):
		return form, nil, nil
	}
	u, err := url.Parse(appendQuery(form.action, form.values))
	return nil, u, err
}

// scrapedForm is the form of a page, with its hidden fields.
type scrapedForm struct {
	action string
	values url.Values
}

var (
	formAction  = regexp.MustCompile(`<form method="post" action="([^"]*)">`)
	hiddenField = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
)

// scrape reads our own pages, not HTML in general.
func scrape(page string) *scrapedForm {
	action := formAction.FindStringSubmatch(page)
	if action == nil {
		return nil
	}
	form := &scrapedForm{action: html.UnescapeString(action[1]), values: url.Values{}}
	for _, field := range hiddenField.FindAllStringSubmatch(page, -1) {
		form.values.Add(html.UnescapeString(field[1]), html.UnescapeString(field[2]))
	}
	return form
}
