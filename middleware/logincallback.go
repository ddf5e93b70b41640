package middleware

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/oidckit/oidckit/oidc"
)

// callback ends a login at p. Without any parameter it is no answer: some have the provider
// send browsers there after a logout, and then it leads to the start page, for a new login
// would undo the logout where the provider remembers the user.
func (l *Login) callback(p *loginProvider) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && r.URL.RawQuery == "" {
			seeOther(w, l.base+"/")
			return
		}
		answer, err := l.answerOf(w, r)
		if err != nil {
			l.showError(w, r, LoginStep{Provider: p.id, Err: err})
			return
		}
		state := answer.Get("state")
		a, err := l.takeAttempt(w, r, state)
		step := LoginStep{Flow: flowName(state), Provider: p.id, Err: err, returnTo: a.ReturnTo}
		switch {
		case err != nil:
			l.showError(w, r, step)
		case a.flow() == nil:
			step.Err = errNoAttempt
			l.stray(w, r, answer, step)
		case a.Provider != p.id: // RFC 9700 section 4.4.2: a redirect URL tells who answers
			step.Err = errMixUp
			l.showError(w, r, step)
		default:
			l.finish(w, r, p, a, answer, step)
		}
	}
}

var errMixUp = &oidc.CallbackError{Parameter: "redirect_uri", Problem: "is of another provider than the one that was asked"}

var errNoAttempt = &oidc.CallbackError{Parameter: "state", Problem: "belongs to no login under way in this browser"}

// answerOf returns the parameters of a callback, of the response mode that was asked for
// and of no other.
func (l *Login) answerOf(w http.ResponseWriter, r *http.Request) (answer url.Values, err error) {
	if l.cfg.FormPost {
		answer, err = formOf(w, r)
	} else {
		answer, err = queryOf(r)
	}
	if err != nil {
		return nil, err
	}
	if err := onceEach(answer, "state", "code", "iss", "error", "error_description", "error_uri", "session_state"); err != nil {
		return nil, err
	}
	if state := answer.Get("state"); state == "" || len(state) > maxState {
		return nil, &oidc.CallbackError{Parameter: "state", Problem: "is missing, or none of ours"}
	}
	return answer, nil
}

// maxState is more than a state of package oidc has.
const maxState = 128

// finish makes a session of the provider's answer.
func (l *Login) finish(w http.ResponseWriter, r *http.Request, p *loginProvider, a attempt, answer url.Values, step LoginStep) {
	asked := l.now()
	tokens, info, err := l.redeem(r.Context(), p, a.flow(), answer)
	step.Took = l.now().Sub(asked)
	if isStale(err) && answer.Get("error") == "" {
		step.Err = err
		l.stray(w, r, answer, step)
		return
	}
	if err == nil {
		err = l.sessions.create(r.Context(), w, r, p, tokens, info, a.Former, step.Flow)
	}
	if err != nil {
		step.Err = err
		l.showError(w, r, step)
		return
	}
	l.noteFinished(w, r, a.ReturnTo)
	step.Kind = LoginFinished
	l.step(r.Context(), step)
	seeOther(w, a.ReturnTo)
}

// redeem asks the provider who logged in.
func (l *Login) redeem(ctx context.Context, p *loginProvider, flow *oidc.Flow, answer url.Values) (*oidc.Tokens, *oidc.UserInfo, error) {
	tokens, err := p.client.Finish(ctx, flow, answer)
	if err != nil || l.cfg.WithoutUserInfo {
		return tokens, nil, err
	}
	info, err := p.client.UserInfo(ctx, tokens)
	if errors.Is(err, oidc.ErrNoEndpoint) {
		return tokens, nil, nil
	}
	return tokens, info, err
}

// isStale reports a flow that is too old, that was used, or that a changed configuration left
// behind: nobody is at fault, and a new login will do. That the answer is of this flow was
// seen before.
func isStale(err error) bool {
	var ce *oidc.CallbackError
	return errors.As(err, &ce) && ce.Parameter == "state"
}

// stray answers a callback that can finish no login: of the back button, a bookmark, another
// browser, or one whose login took too long.
func (l *Login) stray(w http.ResponseWriter, r *http.Request, answer url.Values, step LoginStep) {
	s, err := l.sessions.peek(r)
	switch {
	case err != nil:
		step.Err = err
		l.showError(w, r, step)
	case s != nil: // somebody who went back is logged in already
		step.Kind = LoginOver
		l.step(r.Context(), step)
		seeOther(w, step.returnTo)
	case answer.Get("error") != "", !l.mayRestart(w, r):
		l.showError(w, r, step)
	default:
		step.Kind = LoginRestarted
		l.step(r.Context(), step)
		query := url.Values{"return_to": {step.returnTo}, restartParameter: {"1"}}
		if step.Provider != "" {
			query.Set("provider", step.Provider)
		}
		seeOther(w, l.startURL(query))
	}
}
