package middleware

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/oidckit/oidckit/claims"
	"github.com/oidckit/oidckit/clientauth"
	"github.com/oidckit/oidckit/oidc"
)

// LoginConfig says how the users of a web application log in. Required are PublicURL, Keys
// (or EphemeralKeys), and Client or Providers.
type LoginConfig struct {
	// Client logs people in. Its RedirectURL may be empty, for Login knows it: PublicURL and
	// CallbackPath. One that is set must be the same.
	Client *oidc.Client
	// Providers are given instead of Client where users may choose. Each has a redirect URL
	// of its own (RFC 9700 section 4.4): PublicURL, CallbackPath, "/" and its ID.
	Providers []LoginProvider
	// Choose says at which of Providers, by its ID, the sender of a request logs in: that of a
	// tenant, by path or anything of the request but the host. Cookies and redirect URLs are of
	// the one host of PublicURL: tenants that have hosts of their own need a Login each, see the
	// example of [Login.Handler]. A session of another provider is none for this request. "" is
	// any of them, which the user chooses on a page; for a request of LoginPath, Choose is then
	// asked about the path where the login will end, as a request for it would have it here.
	// Optional.
	Choose func(*http.Request) (id string)

	// PublicURL is where browsers reach the application, such as "https://app.example.com" or
	// "https://example.com/app". Redirect URLs are made of it alone: neither Host nor any
	// forwarded header is believed. Plain http is for loopback only. Required.
	PublicURL string
	// Keys seal cookies and what Store keeps. The first one seals, all of them open: to
	// replace a key, have every process know the new one behind the old one first, then in
	// front, and drop the old one when sessions have ended. Each is a secret of 16 bytes or
	// more, of high entropy, the same in all processes: "openssl rand -base64 32" makes one.
	Keys []clientauth.Secret
	// EphemeralKeys, in place of Keys, makes a key of this process: sessions end with it, and
	// no other process knows them.
	EphemeralKeys bool

	// Paths of the routes below PublicURL. Empty is the default in brackets.
	LoginPath              string // starts a login ["/login"]: return_to is a local path to end at, provider an ID, acr_values and max_age ask for a login of that kind
	CallbackPath           string // where providers send the browser back to ["/callback"]
	LogoutPath             string // ends the session here and at the provider ["/logout"]: asks first where another site may have sent the browser
	InitiateLoginPath      string // logins that a provider initiates, initiate_login_uri [LoginPath + "/initiate"]
	SessionPath            string // who is logged in, as JSON [LoginPath + "/session"]
	BackChannelLogoutPath  string // backchannel_logout_uri [LogoutPath + "/backchannel"]; with Providers, "/" and the ID follow
	FrontChannelLogoutPath string // frontchannel_logout_uri [LogoutPath + "/frontchannel"]

	// PostLogoutRedirectURL is where the provider sends the browser after a logout, as it is
	// registered; default is PublicURL and "/". Where that page needs a login, name one that
	// does not: a browser that lands there is sent to log in again.
	PostLogoutRedirectURL string
	// FormPost has providers answer by a form that the browser posts (response_mode
	// form_post), rather than in the query of the callback. Cookies of logins under way are
	// then SameSite=None, which needs https (or loopback).
	FormPost bool
	// FrontChannelLogout serves FrontChannelLogoutPath (OpenID Connect Front-Channel Logout
	// 1.0). It works in browsers that send cookies in frames of other sites, and makes the
	// session cookie SameSite=None for that. Prefer back-channel logout.
	FrontChannelLogout bool
	// CookieName begins the names of all cookies; default "oidckit". Two Logins of one host
	// need different ones.
	CookieName string

	// Store keeps sessions, revocations and locks for all processes: any store of
	// github.com/alexedwards/scs is one. Without it sessions are in sealed cookies, and
	// revocations and locks are known to this process alone. It remembers 131072 logouts and
	// revocations, of which those of the oldest sessions are forgotten first: a user who logs
	// in and out that often within Lifetime makes it forget those of others. Where users are
	// not trusted that far, set a Store, or limit how often one may log in.
	Store Store
	// SealedCookies keeps sessions in cookies although there is a Store, which then has only
	// revocations, locks and, for minutes, the tokens of a refresh. Whoever is logged in stays
	// so while the Store is down; a revoked session may be used for that long.
	SealedCookies bool
	// Lifetime is how long a session lasts from the login on; default 8 h.
	Lifetime time.Duration
	// IdleLifetime is how long a session lasts without a request; default 1 h. Requests are
	// noted now and then, so that a session may end a sixtieth of it early.
	IdleLifetime time.Duration
	// RevalidateEvery is how often the provider is asked whether the user may still be here,
	// by a refresh, even if the access token lives longer; default 1 h. Without a refresh
	// token (Keycloak gives one, others want the scope offline_access) nobody is asked.
	RevalidateEvery time.Duration
	// OutageLimit is for how long a session that is due for a refresh goes on while there is
	// no answer to it; default 1 h. After that it is 503 until there is one. Where only the
	// userinfo cannot be had, or AccessTokens cannot judge, their claims of before are dropped
	// after that time.
	OutageLimit time.Duration

	// WithoutUserInfo makes logins not ask the userinfo endpoint.
	WithoutUserInfo bool
	// AccessTokens verifies the access token of each login and refresh. Its claims then count
	// where neither ID token nor userinfo has one: for [RequireRole], [Session.String] and
	// Mapper. Nil looks into no access token. Keycloak has roles in access tokens alone unless
	// it is told otherwise; an oidc.AccessTokenVerifier for them has the ID of the client as
	// Audience, AudienceClaim "azp", and InsecureAllowUntyped. For several Providers it is
	// an oidc.Issuers.
	//
	// A token must be of the issuer and subject of the ID token; that of Entra ID for another
	// API is not. One that is refused makes the login fail, on the page of [PageBadAnswer],
	// and ends a session at its refresh: the log has the reason. While none can be judged,
	// nobody logs in, and a session that is refreshed has the claims of before, for OutageLimit.
	AccessTokens TokenVerifier
	// Mapper makes the [Session.Identity] of claims. Nil maps nothing but issuer and subject.
	// One that names the access token as a source needs AccessTokens.
	Mapper *claims.Mapper

	// CrossOrigin judges requests with a session that are not safe (RFC 9110 section 9.2.1):
	// those that another site makes the browser send are answered 403. Nil is a
	// [http.CrossOriginProtection] that trusts the origin of PublicURL.
	CrossOrigin *http.CrossOriginProtection
	// PassPreflight has RequireLogin let CORS preflights through, which browsers send without
	// cookies: the handler must answer OPTIONS without telling or doing anything else. It is not
	// needed where a CORS handler stands in front.
	PassPreflight bool
	// Unauthenticated answers, in place of RequireLogin, whoever has to log in, or to log in
	// otherwise. loginURL is absolute, and that of the redirect or of "login_url"; Cache-Control is
	// no-store. It is not called where a form of another site was refused. Optional.
	Unauthenticated func(w http.ResponseWriter, r *http.Request, loginURL string)
	// Pages are how our own pages look and what they say. The zero value is English.
	Pages LoginPages
	// Trace is told of each step. Optional.
	Trace *LoginTrace
	// Logger is told of each step: events at level Info, what went wrong at Warn. Nil is
	// silent.
	Logger *slog.Logger
	// Now tells the time of sessions; nil means time.Now. That of tokens is the provider's,
	// oidc.Config.Now.
	Now func() time.Time
}

// A LoginProvider is one of several that users may log in at.
type LoginProvider struct {
	// ID names it in URLs and sessions: 1 to 32 of a-z, 0-9 and "-". Required, and never
	// changed: sessions and redirect URLs have it.
	ID string
	// Name is shown to users; default is the ID.
	Name string
	// Client as in LoginConfig. Required.
	Client *oidc.Client
}
