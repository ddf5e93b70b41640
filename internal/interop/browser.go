package interop

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Browser stands for a person with a browser: it keeps cookies, as browsers do for all ports of a host alike, and
// follows redirects. It is for one goroutine at a time.
type Browser struct {
	// Client does the browser's requests, and may be used for others with the same cookies.
	Client *http.Client

	op   *OP
	stop bool // at a redirect URI, for Authorize
}

// NewBrowser returns a browser without a cookie.
func (o *OP) NewBrowser() *Browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err) // never: it has no options to object to
	}
	b := &Browser{op: o}
	b.Client = &http.Client{Jar: jar, Timeout: waitTimeout, CheckRedirect: b.checkRedirect, Transport: o.PKI.Transport()}
	return b
}

func (b *Browser) checkRedirect(req *http.Request, via []*http.Request) error {
	if b.stop && b.isRedirectURI(req.URL) {
		return http.ErrUseLastResponse
	}
	if len(via) >= 20 {
		return errors.New("interop: 20 redirects")
	}
	return nil
}

func (b *Browser) isRedirectURI(u *url.URL) bool {
	bare := *u
	bare.RawQuery, bare.Fragment = "", ""
	return slices.Contains(b.op.redirectURIs, bare.String())
}

// Authorize visits an authorization URL and returns the redirect URI with what the provider said to it, without
// visiting it. Without a login_hint, or a session from an earlier login, the provider shows its form: that is an error here.
func (b *Browser) Authorize(ctx context.Context, authorizationURL string) (*url.URL, error) {
	b.stop = true
	defer func() { b.stop = false }()
	res, err := b.get(ctx, authorizationURL)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	location, err := res.Location()
	if errors.Is(err, http.ErrNoLocation) {
		return nil, stoppedAt(res)
	}
	return location, err
}

// Visit opens a URL of an application, goes where it is sent, and signs in as user ("alice", "bob") if the
// provider shows its form. It returns the page where this ends; the caller closes its body.
func (b *Browser) Visit(ctx context.Context, target, user string) (*http.Response, error) {
	res, err := b.get(ctx, target)
	if err != nil || !strings.HasPrefix(res.Request.URL.String(), b.op.Issuer+"/interaction/") {
		return res, err
	}
	if err := res.Body.Close(); err != nil {
		return nil, err
	}
	return b.post(ctx, res.Request.URL.String(), url.Values{"login": {user}})
}

// Logout visits an end-session URL, answers the provider's question with yes, and returns the page where that
// ends; the caller closes its body.
func (b *Browser) Logout(ctx context.Context, endSessionURL string) (*http.Response, error) {
	res, err := b.get(ctx, endSessionURL)
	if err != nil {
		return nil, err
	}
	action, xsrf, err := formOf(res)
	if err != nil {
		return nil, err
	}
	return b.post(ctx, action, url.Values{"xsrf": {xsrf}, "logout": {"yes"}})
}

// ApproveDevice visits the verification_uri_complete of a device authorization (RFC 8628, section 3.3), confirms the
// code that stands there, and signs in as user ("alice", "bob").
func (b *Browser) ApproveDevice(ctx context.Context, target, user string) error {
	res, err := b.device(ctx, target, "confirm")
	if err != nil {
		return err
	}
	if strings.HasPrefix(res.Request.URL.String(), b.op.Issuer+"/interaction/") {
		if err := res.Body.Close(); err != nil {
			return err
		}
		if res, err = b.post(ctx, res.Request.URL.String(), url.Values{"login": {user}}); err != nil {
			return err
		}
	}
	defer res.Body.Close()
	page, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return err
	}
	if !strings.Contains(string(page), "Sign-in Success") {
		return fmt.Errorf("interop: no device was signed in: %s: %s", res.Status, page)
	}
	return nil
}

// DenyDevice visits the same page, and refuses.
func (b *Browser) DenyDevice(ctx context.Context, target string) error {
	res, err := b.device(ctx, target, "abort")
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// device goes through the provider's two pages: the code from the URL, and the question whether it is the right one.
func (b *Browser) device(ctx context.Context, target, answer string) (*http.Response, error) {
	code, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	form := url.Values{"user_code": code.Query()["user_code"]}
	res, err := b.get(ctx, target)
	if err != nil {
		return nil, err
	}
	for _, button := range []string{"", answer} {
		action, xsrf, err := formOf(res)
		if err != nil {
			return nil, err
		}
		form.Set("xsrf", xsrf)
		if button != "" {
			form.Set(button, "yes")
		}
		if res, err = b.post(ctx, action, form); err != nil {
			return nil, err
		}
	}
	return res, nil
}

// formOf reads and closes a page of the provider, and returns where its form goes to and the token that goes with it.
func formOf(res *http.Response) (action, xsrf string, err error) {
	defer res.Body.Close()
	page, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return "", "", err
	}
	to, token := formAction.FindSubmatch(page), xsrfField.FindSubmatch(page)
	if to == nil || token == nil {
		return "", "", fmt.Errorf("interop: no form at %s (%s): %.4096s", res.Request.URL.Redacted(), res.Status, page)
	}
	return html.UnescapeString(string(to[1])), string(token[1]), nil
}

// The provider's own confirmation page is one form. Where nobody is logged in it is another, which a script sends.
var (
	formAction = regexp.MustCompile(`<form[^>]* action="([^"]+)"`)
	xsrfField  = regexp.MustCompile(`name="xsrf" value="([^"]+)"`)
)

func (b *Browser) get(ctx context.Context, target string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Sec-Fetch-Site", "none") // as browsers do for an address that was typed
	return b.Client.Do(req)
}

func (b *Browser) post(ctx context.Context, target string, form url.Values) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.Client.Do(req)
}

// stoppedAt says where the browser is instead of where it should be.
func stoppedAt(res *http.Response) error {
	page, _ := io.ReadAll(io.LimitReader(res.Body, 4096)) // what there is of it
	return fmt.Errorf("interop: the browser stopped at %s (%s): %s", res.Request.URL.Redacted(), res.Status, page)
}
