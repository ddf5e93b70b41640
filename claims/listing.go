package claims

import (
	"context"
	"errors"
)

// A listing collects a list from one source.
type listing struct {
	claim    *ListClaim
	source   Source
	set      *Set
	resolver GroupResolver // nil: an overage is an error

	union   union
	origins []Origin
	missing error // why the first path that leads nowhere does
}

// collect joins what all paths lead to. Paths that lead nowhere are passed by, as long
// as one leads somewhere.
func (l *listing) collect(ctx context.Context) ([]string, []Origin, error) {
	for _, p := range l.claim.Paths {
		if err := l.add(ctx, p); err != nil {
			return nil, nil, err
		}
	}
	if len(l.origins) == 0 {
		return nil, nil, l.missing
	}
	return l.union.list(), l.origins, nil
}

func (l *listing) add(ctx context.Context, p Pattern) error {
	texts, paths, err := l.set.collect(p, l.claim.form())
	var overage *OverageError
	switch {
	case errors.As(err, &overage) && l.resolver != nil:
		return l.resolve(ctx, overage)
	case IsMissing(err):
		if l.missing == nil {
			l.missing = in(l.source, err)
		}
		return nil
	case err != nil:
		return in(l.source, err)
	}
	l.union.add(texts)
	for _, path := range paths {
		l.origins = append(l.origins, Origin{Source: l.source, Path: path.String()})
	}
	return nil
}

func (l *listing) resolve(ctx context.Context, overage *OverageError) error {
	texts, err := l.resolver.ResolveGroups(ctx, *l.set, overage)
	if err != nil {
		return err
	}
	l.union.add(texts)
	l.origins = append(l.origins, Origin{Source: l.source, Path: overage.Claim, Resolved: true})
	return nil
}

// A union holds strings, each once, in the order in which they came.
type union struct {
	texts []string
	seen  map[string]bool
}

func (u *union) add(texts []string) {
	if u.seen == nil {
		u.seen = make(map[string]bool, len(texts))
	}
	for _, text := range texts {
		if !u.seen[text] {
			u.seen[text] = true
			u.texts = append(u.texts, text)
		}
	}
}

// list is never nil: what was found empty is not missing.
func (u *union) list() []string { return append([]string{}, u.texts...) }

// form is that of the options of the claim.
func (c *ListClaim) form() form {
	f := form{json: c.JSONInString, limit: c.Limit}
	switch c.Split {
	case "spaces":
		f.separators = " "
	case "commas":
		f.separators = ","
	}
	if c.Field != "" {
		f.field = &c.Field
	}
	return f
}
