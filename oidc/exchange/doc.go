// Package exchange mints tokens of our own, and exchanges the tokens of others for them
// (RFC 8693): a small issuer beside the ones that people have already.
//
//	file, err := exchange.ReadKeyFile(exchange.KeyFileConfig{Path: "keys.json"})
//	keys, err := exchange.NewKeys(exchange.KeysConfig{Source: file})
//	issuer, err := exchange.NewIssuer(exchange.IssuerConfig{Issuer: "https://tokens.example.com", Keys: keys})
//	exchanger, err := exchange.NewExchanger(exchange.ExchangerConfig{
//		Issuer: issuer, Verifier: verifier, // an oidc.AccessTokenVerifier, or oidc.Issuers
//		Rules: []exchange.Rule{{Name: "deploy", Issuer: "https://gitlab.com", Policy: policy, Clone: []string{"sub"}}},
//	})
//	guard, err := exchange.NewGuard(exchange.GuardConfig{})
//	mux.Handle("/.well-known/", issuer.Handler())
//	mux.Handle("/token", guard.Handler(exchanger.Handler()))
//
// # Keys
//
// [Keys] are published before they sign and stay published for as long as something that
// they signed is good: the windows come from how long tokens live and how long others keep
// our JWK Set. A [KeyFile] is read again when it has changed, and a broken one changes
// nothing. Nothing is remembered over a restart: see [KeysConfig].
//
// # Exchanges
//
// The new token is what a [Rule] says, and nothing else: no claim of the old one goes into
// it unless the rule names it, and it never lives longer. A token of our own is never
// taken: it could be renewed for ever. A token is good for one exchange, unless
// InsecureReuse says otherwise.
//
// # What a stranger learns and can cause
//
// A refusal says that there was one, and a number by which the operator finds the reason in
// the log. [Guard] bounds what one client can ask for, and all of them together.
package exchange
