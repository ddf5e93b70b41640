package claims

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Sources are the claims of one person, all of them verified: of the ID token, of the
// answer of the userinfo endpoint, and of an access token that is a JWT or was
// introspected. The zero Set is a source that is not there.
type Sources struct {
	IDToken, UserInfo, AccessToken Set
}

func (s *Sources) of(source Source) *Set {
	switch source {
	case FromIDToken:
		return &s.IDToken
	case FromUserInfo:
		return &s.UserInfo
	}
	return &s.AccessToken
}

func (s *Set) isZero() bool { return s.raw == "" }

// A Mapper makes identities by a [Mapping]. It may be shared.
type Mapper struct {
	mapping Mapping
	named   []Source // before DefaultOrder was filled in
}

// NewMapper returns the Mapper of a mapping, of which it keeps a copy. Errors are of the
// configuration.
func NewMapper(m Mapping) (*Mapper, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	named := slices.Concat(m.From, m.Username.From, m.Name.From, m.Email.From, m.Roles.From, m.Groups.From)
	m.From = order(m.From, DefaultOrder())
	m.Username, m.Name, m.Email = m.text(m.Username), m.text(m.Name), m.text(m.Email)
	m.Roles, m.Groups = m.list(m.Roles), m.list(m.Groups)
	return &Mapper{mapping: m, named: named}, nil
}

// Names reports whether the mapping names a source, for all claims or for one: whoever makes
// identities has to have it then. What it does not name is asked in [DefaultOrder] if it is
// there.
func (m *Mapper) Names(source Source) bool { return slices.Contains(m.named, source) }

func (m *Mapping) text(c TextClaim) TextClaim {
	c.Paths, c.From = slices.Clone(c.Paths), order(c.From, m.From)
	return c
}

func (m *Mapping) list(c ListClaim) ListClaim {
	c.Paths, c.From = slices.Clone(c.Paths), order(c.From, m.From)
	return c
}

func order(own, otherwise []Source) []Source {
	if len(own) == 0 {
		own = otherwise
	}
	return slices.Clone(own)
}

// Identity maps the claims of one person. Issuer and subject are those of the ID token,
// or of the access token if there is no ID token. A source of another subject or issuer
// is refused with [Mismatch], whether anything is mapped from it or not: leave out an
// access token for which the provider has another "sub", as Entra ID has for each API.
//
// Errors about claims are of type *[Error] and name the source, or of type
// *[OverageError]; those of the GroupResolver, which ctx is for, are handed on.
func (m *Mapper) Identity(ctx context.Context, from Sources) (*Identity, error) {
	id := &Identity{}
	for _, fill := range []func() error{
		func() error { return id.identify(&from) },
		func() error { return id.fillTexts(&m.mapping, &from) },
		func() error { return id.verifyEmail(&m.mapping, &from) },
		func() (err error) {
			id.Roles, id.Origins.Roles, err = m.gather(ctx, &m.mapping.Roles, &from)
			return err
		},
		func() (err error) {
			id.Groups, id.Origins.Groups, err = m.gather(ctx, &m.mapping.Groups, &from)
			return err
		},
	} {
		if err := fill(); err != nil {
			return nil, err
		}
	}
	return id, nil
}

// identify finds out of whom all the sources are.
func (id *Identity) identify(from *Sources) (err error) {
	base := FromIDToken
	if from.IDToken.isZero() {
		base = FromAccessToken
	}
	if id.Issuer, err = from.require(base, P("iss")); err != nil {
		return err
	}
	if id.Subject, err = from.require(base, P("sub")); err != nil {
		return err
	}
	id.Origins.Subject = Origin{Source: base, Path: "sub"}
	for _, source := range DefaultOrder() {
		if err := id.sameAs(from, source); err != nil {
			return err
		}
	}
	return nil
}

// sameAs compares a source with whom the identity is of. OpenID Connect Core section
// 5.3.2: "if they do not match, the UserInfo Response values MUST NOT be used".
func (id *Identity) sameAs(from *Sources, source Source) error {
	set := from.of(source)
	if set.isZero() {
		return nil
	}
	sub, err := from.require(source, P("sub"))
	switch {
	case err != nil:
		return err
	case sub != id.Subject:
		return &Error{Claim: "sub", Reason: Mismatch, Source: source}
	}
	// An answer need not name its issuer.
	iss, err := set.String(P("iss"))
	switch {
	case err != nil && !IsMissing(err):
		return in(source, err)
	case err == nil && iss != id.Issuer:
		return &Error{Claim: "iss", Reason: Mismatch, Source: source}
	}
	return nil
}

// require returns a string that is there and not empty.
func (s *Sources) require(source Source, p Path) (string, error) {
	text, err := s.of(source).String(p)
	if err == nil && text == "" {
		err = &Error{Claim: p.String(), Reason: Empty}
	}
	return text, in(source, err)
}

func (id *Identity) fillTexts(m *Mapping, from *Sources) (err error) {
	if id.Username, id.Origins.Username, err = from.text(&m.Username); err != nil {
		return err
	}
	if id.Name, id.Origins.Name, err = from.text(&m.Name); err != nil {
		return err
	}
	id.Email, id.Origins.Email, err = from.text(&m.Email)
	return err
}

// text returns the first string that is there, in the order of sources and paths. An
// empty one says nothing of anybody, and is passed by.
func (s *Sources) text(c *TextClaim) (string, Origin, error) {
	var first error
	for source, p := range s.places(c) {
		text, err := s.require(source, p)
		switch {
		case err == nil:
			return text, Origin{Source: source, Path: p.String()}, nil
		case !IsMissing(err) && !isEmpty(err):
			return "", Origin{}, err
		case first == nil || isEmpty(err) && !isEmpty(first):
			first = err
		}
	}
	return "", Origin{}, absence(first, c.Paths, c.Optional)
}

// places yields where a claim may be, source by source.
func (s *Sources) places(c *TextClaim) func(yield func(Source, Path) bool) {
	return func(yield func(Source, Path) bool) {
		for _, source := range c.From {
			if s.of(source).isZero() {
				continue
			}
			for _, p := range c.Paths {
				if !yield(source, p) {
					return
				}
			}
		}
	}
}

func isEmpty(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Reason == Empty
}

// absence is the error of a claim that no source has.
func absence[P fmt.Stringer](first error, paths []P, optional bool) error {
	switch {
	case optional || len(paths) == 0:
		return nil
	case first == nil:
		return &Error{Claim: paths[0].String(), Reason: Missing, Hint: "none of the sources it may come from was given"}
	}
	return first
}

// verifyEmail asks the source of the address whether it is verified: what another source
// says may be of another address.
func (id *Identity) verifyEmail(m *Mapping, from *Sources) error {
	origin := id.Origins.Email
	if origin.Source == "" {
		return nil
	}
	p, ok := m.verifiedPath(origin.Path)
	if !ok {
		return nil
	}
	var opts []BoolOption
	if m.EmailVerifiedInString {
		opts = append(opts, BoolInString())
	}
	verified, err := from.of(origin.Source).Bool(p, opts...)
	switch {
	case IsMissing(err):
		return nil
	case err != nil:
		return in(origin.Source, err)
	}
	id.EmailVerified = verified
	id.Origins.EmailVerified = Origin{Source: origin.Source, Path: p.String()}
	return nil
}

// verifiedPath is where it stands whether the address that was found at a path is
// verified.
func (m *Mapping) verifiedPath(email string) (Path, bool) {
	if !m.EmailVerified.IsZero() {
		return m.EmailVerified, true
	}
	i := slices.IndexFunc(m.Email.Paths, func(p Path) bool { return p.String() == email })
	segments := m.Email.Paths[i].segments
	last := len(segments) - 1
	return P(segments[:last]...).with("email_verified"), segments[last] == "email"
}

// gather returns the list of the first source that has any of it. What a source leaves
// out because it is too long, a later one may have; if none has, the GroupResolver is
// asked. It is never none.
func (m *Mapper) gather(ctx context.Context, c *ListClaim, from *Sources) ([]string, []Origin, error) {
	var first, overage error
	var short Source
	for _, source := range c.From {
		if len(c.Paths) == 0 || from.of(source).isZero() {
			continue
		}
		l := listing{claim: c, source: source, set: from.of(source)}
		texts, origins, err := l.collect(ctx)
		switch {
		case err == nil:
			return texts, origins, nil
		case isOverage(err):
			if overage == nil {
				overage, short = err, source
			}
		case !IsMissing(err):
			return nil, nil, err
		case first == nil:
			first = err
		}
	}
	switch {
	case overage == nil:
		return nil, nil, absence(first, c.Paths, c.Optional)
	case m.mapping.GroupResolver == nil:
		return nil, nil, overage
	}
	l := listing{claim: c, source: short, set: from.of(short), resolver: m.mapping.GroupResolver}
	return l.collect(ctx)
}

func isOverage(err error) bool {
	var e *OverageError
	return errors.As(err, &e)
}
