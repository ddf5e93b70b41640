package middleware

import "net/http"

// A PageKind says what a [Page] is about. In answers of JSON it is the "error".
type PageKind string

// The kinds of pages, with the status of each.
const (
	PageProviders           PageKind = "choose_provider"      // 200: at which provider to log in
	PageConfirmLogout       PageKind = "confirm_logout"       // 200: a logout that another site may have asked for
	PageLoginExpired        PageKind = "login_expired"        // 400: the login is too old, used, or of another browser
	PageLoginDenied         PageKind = "login_denied"         // 403: cancelled by the user, or denied by the provider
	PageInteractionRequired PageKind = "interaction_required" // 403: the provider wants to ask the user, and was told not to
	PageAuthenticationUnmet PageKind = "authentication_unmet" // 403: the user did not log in as was asked for (acr_values, max_age); 401: a form needs such a login
	PageBadAnswer           PageKind = "bad_answer"           // 400: the provider's answer cannot be trusted
	PageBadLink             PageKind = "bad_link"             // 400: what was to start a login is malformed, or names no provider of ours
	PageCookiesOff          PageKind = "cookies_off"          // 400: the browser does not send our cookies back
	PageLoginLoop           PageKind = "login_loop"           // 429: too many logins in a row
	PageNotAllowed          PageKind = "not_allowed"          // 403: the user lacks a right
	PageCrossSite           PageKind = "cross_site"           // 403: another site made the browser send it
	PageSessionEnded        PageKind = "session_ended"        // 401: a form was sent after the session's end
	PageProviderDown        PageKind = "provider_unavailable" // 503, with Retry-After
	PageSessionsDown        PageKind = "sessions_unavailable" // 503, with Retry-After: it is not known who it is
	PageLogoutIncomplete    PageKind = "logout_incomplete"    // 503: the provider is down, and may log the user in again later
	PageMisconfigured       PageKind = "server_error"         // 500: the log says what
)

// words are what a kind of page says.
type words struct {
	status      int
	title, text string
}

var english = map[PageKind]words{
	PageProviders: {http.StatusOK, "Log in",
		"Choose where you have an account."},
	PageConfirmLogout: {http.StatusOK, "Log out?",
		"Perhaps another site asked to log you out. If that was not your wish, stay logged in."},
	PageLoginExpired: {http.StatusBadRequest, "This login is no longer valid",
		"It took too long, was finished before, or began in another browser. Please log in again."},
	PageLoginDenied: {http.StatusForbidden, "You were not logged in",
		"The login was cancelled, or your account may not use this application."},
	PageInteractionRequired: {http.StatusForbidden, "Please log in",
		"The login service has a question for you before you can go on."},
	PageAuthenticationUnmet: {http.StatusForbidden, "Please confirm that it is you",
		"This page needs a more recent or a safer login than yours. Log in again, in the way that you are asked to."},
	PageBadAnswer: {http.StatusBadRequest, "The login did not work",
		"The login service sent an answer that cannot be trusted. Please log in again."},
	PageBadLink: {http.StatusBadRequest, "This link does not work",
		"It is damaged, or was made for another application. You can log in from the start page."},
	PageCookiesOff: {http.StatusBadRequest, "Cookies are switched off",
		"Your browser did not send back the cookie that a login needs. Allow cookies for this site, then log in again."},
	PageLoginLoop: {http.StatusTooManyRequests, "Too many logins in a row",
		"You were logged in, and sent to log in again and again. If trying once more does not help, please tell those who run this application."},
	PageNotAllowed: {http.StatusForbidden, "You do not have access",
		"Your account does not have the rights that this page needs."},
	PageCrossSite: {http.StatusForbidden, "Nothing was done",
		"Another site sent this request in your name. If it was your wish, please do it from within this application."},
	PageSessionEnded: {http.StatusUnauthorized, "Your session has ended",
		"What you sent was not saved. Please log in, and send it again."},
	PageProviderDown: {http.StatusServiceUnavailable, "You cannot log in right now",
		"The login service does not answer. Please try again in a little while."},
	PageSessionsDown: {http.StatusServiceUnavailable, "Please try again in a little while",
		"We cannot find out right now whether you are logged in. You have not been logged out."},
	PageLogoutIncomplete: {http.StatusServiceUnavailable, "Logged out in this browser only",
		"This browser has forgotten your login, but at your login service it could not be ended. You may still be logged in there."},
	PageMisconfigured: {http.StatusInternalServerError, "Something is wrong here",
		"This application has a problem that you cannot solve. Please tell those who run it."},
}

// newPage is the page of a kind without anything to do.
func newPage(kind PageKind) Page {
	w := english[kind]
	return Page{Kind: kind, Status: w.status, Title: w.title, Text: w.text}
}

var englishActions = map[PageActionKind]string{
	ActionLogIn:     "Log in",
	ActionTryAgain:  "Try again",
	ActionStartPage: "Go to the start page",
	ActionLogOut:    "Log out",
	ActionStay:      "Stay logged in",
}

func newAction(kind PageActionKind, target string) PageAction {
	return PageAction{Kind: kind, Label: englishActions[kind], URL: target}
}
