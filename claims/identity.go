package claims

import (
	"fmt"
	"log/slog"
)

// An Identity is who somebody is, by a [Mapping]. It is Issuer and Subject together that
// make an account (OpenID Connect Core section 5.7); names and addresses change hands.
type Identity struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Username string `json:"username,omitempty"`
	Name     string `json:"name,omitempty"`
	Email    string `json:"email,omitempty"`
	// EmailVerified is true if the provider says so of this address, where it gave the
	// address; Origins.EmailVerified is zero if it says nothing.
	EmailVerified bool `json:"email_verified"`
	// Roles and Groups are nil if they are not mapped, or optional and not there; an
	// empty list of the provider is empty.
	Roles  []string `json:"roles"`
	Groups []string `json:"groups"`

	// Origins says where each part came from.
	Origins Origins `json:"origins"`
}

// VerifiedEmail returns the e-mail address if the provider says that it has verified it. It
// says how to reach somebody, not who it is: accounts are found by Issuer and Subject.
func (id *Identity) VerifiedEmail() (address string, ok bool) {
	if id == nil || !id.EmailVerified || id.Email == "" {
		return "", false
	}
	return id.Email, true
}

// Origins says where the parts of an [Identity] came from. What is not there came from
// nowhere.
type Origins struct {
	Subject       Origin   `json:"sub"`
	Username      Origin   `json:"username,omitzero"`
	Name          Origin   `json:"name,omitzero"`
	Email         Origin   `json:"email,omitzero"`
	EmailVerified Origin   `json:"email_verified,omitzero"`
	Roles         []Origin `json:"roles,omitempty"`
	Groups        []Origin `json:"groups,omitempty"`
}

// An Origin is a claim of a source.
type Origin struct {
	Source   Source `json:"source"`
	Path     string `json:"path"`               // as [Path.String] writes it
	Resolved bool   `json:"resolved,omitempty"` // by the [GroupResolver], in place of the claim
}

// Format redacts, whatever the verb: an identity is personal data.
func (id Identity) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("claims.Identity[redacted]")) }

// LogValue redacts, as Format does.
func (id Identity) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(id)) }
