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
// page, with what that says, when there is no such user, and when a fault or ctx
// ends the request. [Provider.Browser] goes the rest of the way too.
func (p *Provider) Login(ctx context.Context, authorizationURL, username string) (*url.URL, error) {
	end, err := p.logIn(ctx, authorizationURL, username)
	if err != nil || end.values == nil {
		return end.to, err
	}
	return url.Parse(appendQuery(end.to.String(), end.values))
}

// loginEnd is where the provider sends the browser.
type loginEnd struct {
	to     *url.URL
	values url.Values // what the browser posts there; nil if it is redirected
}

func (p *Provider) logIn(ctx context.Context, authorizationURL, username string) (loginEnd, error) {
	user := p.users[username]
	if user == nil {
		return loginEnd{}, fmt.Errorf("oidctest: Login: no user %q", username)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, authorizationURL, nil) //nolint:gosec // G704: served in process
	if err != nil {
		return loginEnd{}, err
	}
	form, end, err := p.browse(req)
	if err != nil || form == nil {
		return end, err
	}
	form.values.Set("username", user.Username)
	form.values.Set("password", user.Password)
	body := strings.NewReader(form.values.Encode())
	req, err = http.NewRequestWithContext(ctx, http.MethodPost, p.origin+form.action, body)
	if err != nil {
		return loginEnd{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	form, end, err = p.browse(req)
	if form != nil {
		return loginEnd{}, errors.New("oidctest: Login: the login page came back")
	}
	return end, err
}

// browse sends a request and returns either the login form it finds or where the
// provider sends the browser.
func (p *Provider) browse(req *http.Request) (*scrapedForm, loginEnd, error) {
	client := p.HTTPClient()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req) //nolint:gosec // as above
	if err != nil {
		return nil, loginEnd{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusSeeOther {
		to, err := resp.Location()
		return nil, loginEnd{to: to}, err
	}
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, loginEnd{}, err
	}
	form := scrape(string(page))
	switch {
	case resp.StatusCode != http.StatusOK, form == nil:
		return nil, loginEnd{}, refusal(resp.Status, string(page))
	case form.values.Has("authorization"):
		return form, loginEnd{}, nil
	}
	to, err := url.Parse(form.action)
	return nil, loginEnd{to, form.values}, err
}

// errorText is what an error page of ours says.
var errorText = regexp.MustCompile(`<h1>This does not work</h1>\n<p>([^<]*)</p>`)

// refusal quotes the page, if it is ours and not that of a fault.
func refusal(status, page string) error {
	why := "no redirect"
	if text := errorText.FindStringSubmatch(page); text != nil {
		why = html.UnescapeString(text[1])
	}
	return fmt.Errorf("oidctest: Login: the provider answered %s: %s", status, why)
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
