package oidctest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// serveDeviceAuthorization is the device authorization endpoint (RFC 8628,
// section 3.1).
func (p *Provider) serveDeviceAuthorization(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	request, perr := p.deviceRequest(r)
	if perr != nil {
		p.tokenError(w, r, perr)
		return
	}
	p.pendings.add(request, p.Now())
	page := p.url(DeviceVerification)
	p.answer(w, DeviceAuthorization, http.StatusOK, merged(p.waiting(request), map[string]any{
		"device_code":               request.id,
		"user_code":                 request.userCode,
		"verification_uri":          page,
		"verification_uri_complete": page + "?" + url.Values{"user_code": {request.userCode}}.Encode(),
	}))
}

func (p *Provider) deviceRequest(r *http.Request) (*pending, *protocolError) {
	client, v, perr := p.clientRequest(r)
	if perr != nil {
		return nil, perr
	}
	if perr := client.mayUse(grantDeviceCode); perr != nil {
		return nil, perr
	}
	request := &pending{
		client: client, userCode: newUserCode(), life: p.cfg.DeviceCodeTTL, interval: p.cfg.PollInterval,
		acr: firstWord(v.get("acr_values")),
	}
	if request.scopes, perr = client.allowedScopes(v.get("scope")); perr != nil {
		return nil, perr
	}
	if request.resources, perr = client.allowedResources(v); perr != nil {
		return nil, perr
	}
	return request, nil
}

// userCodeLetters are those of RFC 8628, section 6.1: no vowels, so that no words
// come out.
const userCodeLetters = "BCDFGHJKLMNPQRSTVWXZ"

func newUserCode() string {
	random := make([]byte, 8)
	_, _ = rand.Read(random) // never fails
	code := make([]byte, 0, 9)
	for i, b := range random {
		if i == 4 {
			code = append(code, '-')
		}
		code = append(code, userCodeLetters[int(b)%len(userCodeLetters)])
	}
	return string(code)
}

// deviceCode exchanges a device code (RFC 8628, section 3.4).
func (p *Provider) deviceCode(t *tokenRequest) (map[string]any, *protocolError) {
	code := t.v.get("device_code")
	if code == "" {
		return nil, invalidRequest("device_code is missing")
	}
	return p.deliver(t, p.pendings.find(func(r *pending) bool { return r.userCode != "" && r.id == code }))
}

// ApproveDevice is what a person does who types the user_code at the
// verification_uri and logs in. An error says that there is no such user, or that
// the code is unknown, decided or expired.
func (p *Provider) ApproveDevice(userCode, username string) error {
	user := p.users[username]
	if user == nil {
		return fmt.Errorf("oidctest: ApproveDevice: no user %q", username)
	}
	return p.decideDevice(userCode, user, approved)
}

// DenyDevice is what a person does who refuses.
func (p *Provider) DenyDevice(userCode string) error {
	return p.decideDevice(userCode, nil, denied)
}

func (p *Provider) decideDevice(userCode string, by *User, v verdict) error {
	request := p.deviceOf(userCode)
	if request == nil || !p.pendings.decide(request, by, v, p.Now()) {
		return errors.New("oidctest: the user_code is unknown, decided or expired")
	}
	return nil
}

// deviceOf compares user codes as people type them (RFC 8628, section 6.1).
func (p *Provider) deviceOf(userCode string) *pending {
	typed := plainCode(userCode)
	return p.pendings.find(func(r *pending) bool { return r.userCode != "" && plainCode(r.userCode) == typed })
}

func plainCode(code string) string {
	return strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(code))
}

type devicePage struct {
	Action, UserCode, Username string
	Problem                    string
	Users                      []User
}

func (p *Provider) devicePage(w http.ResponseWriter, status int, data devicePage) {
	data.Action = p.path + string(DeviceVerification)
	data.Users = p.cfg.Users[:min(len(p.cfg.Users), 6)]
	page(w, status, "device.html", data)
}

// serveDevice is the page at the verification_uri (RFC 8628, section 3.3).
func (p *Provider) serveDevice(w http.ResponseWriter, r *http.Request) {
	v, err := requestParams(r)
	if err != nil {
		errorPage(w, "The form is malformed.")
		return
	}
	data := devicePage{UserCode: v.get("user_code"), Username: v.get("username")}
	if r.Method != http.MethodPost {
		// A link may fill the code in and no more: the person has to compare it.
		p.devicePage(w, http.StatusOK, data)
		return
	}
	user := p.users[data.Username]
	if user == nil || !sameSecret(user.Password, v.get("password")) {
		data.Problem = "That user name and password do not go together. Please try again."
		p.devicePage(w, http.StatusUnauthorized, data)
		return
	}
	said, title := approved, "Signed in"
	if v.get("deny") != "" {
		said, title = denied, "Refused"
	}
	if p.decideDevice(data.UserCode, user, said) != nil {
		data.Problem = "That code is not known, or it is too late for it. Please try again."
		p.devicePage(w, http.StatusBadRequest, data)
		return
	}
	page(w, http.StatusOK, "message.html", messagePage{title, "You can go back to your device."})
}
