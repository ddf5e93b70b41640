package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/oidckit/oidckit"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// A store holds organizations. Nothing of it is kept in memory: a change counts at once, in
// all processes that share the database.
type store struct{ *sql.DB }

// openStore opens a file of SQLite or, by a URL, PostgreSQL, and makes the tables.
func openStore(ctx context.Context, database string) (store, error) {
	driver, source, lock := "sqlite", database+"?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)", "SELECT 1"
	if strings.HasPrefix(database, "postgres://") || strings.HasPrefix(database, "postgresql://") {
		// Of two that make a table at the same time, one would fail.
		driver, source, lock = "pgx", database, "SELECT pg_advisory_xact_lock(7020825)"
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		return store{}, unavailable(err)
	}
	db.SetMaxOpenConns(16) // the others wait: a server has some hundred for all
	db.SetMaxIdleConns(16)
	if database == ":memory:" {
		db.SetMaxOpenConns(1) // each connection would have a database of its own
	}
	return store{db}, store{db}.migrate(ctx, lock)
}

// migrate runs the files of migrations in their order.
func (s store) migrate(ctx context.Context, lock string) error {
	tx, err := s.BeginTx(ctx, nil)
	if err != nil {
		return unavailable(err)
	}
	defer func() { _ = tx.Rollback() }() // nothing, after Commit
	_, err = tx.ExecContext(ctx, lock)
	files, _ := migrations.ReadDir("migrations") // they are in the program
	for _, f := range files {
		text, _ := migrations.ReadFile("migrations/" + f.Name())
		_, failed := tx.ExecContext(ctx, string(text))
		err = errors.Join(err, failed)
	}
	return unavailable(errors.Join(err, tx.Commit()))
}

// read returns an organization and its version, or nothing if there is none.
func (s store) read(ctx context.Context, name string) (o organization, version string, err error) {
	err = s.QueryRowContext(ctx, "SELECT settings FROM organizations WHERE slug = $1", name).Scan(&version)
	if errors.Is(err, sql.ErrNoRows) {
		return o, "", nil
	}
	if err != nil {
		return o, "", unavailable(err)
	}
	saved := record{}
	err = json.Unmarshal([]byte(version), &saved)
	saved.ids = saved.IDs
	return saved.organization, version, err
}

// A record is an organization as the database has it.
type record struct {
	organization
	IDs map[string]string `json:"ids"`
}

// newIDs gives each new service account an ID that no other one ever has: one that is made
// again under the name of another is not that one.
func (o organization) newIDs() map[string]string {
	ids := map[string]string{}
	for _, name := range o.ServiceAccounts {
		ids[name] = cmp.Or(o.ids[name], rand.Text())
	}
	return ids
}

// write replaces the version of an organization that somebody has seen, which is empty for a
// new one, and reports whether it was still there.
func (s store) write(ctx context.Context, name, seen string, o organization) (version string, done bool, err error) {
	text, err := json.Marshal(record{o, o.newIDs()})
	if err != nil {
		return "", false, err
	}
	tx, err := s.BeginTx(ctx, nil)
	if err != nil {
		return "", false, unavailable(err)
	}
	defer func() { _ = tx.Rollback() }() // nothing, after Commit
	statement, args := "UPDATE organizations SET settings = $2 WHERE slug = $1 AND settings = $3", []any{name, string(text), seen}
	if seen == "" {
		statement, args = "INSERT INTO organizations VALUES ($1, $2) ON CONFLICT DO NOTHING", args[:2]
	}
	result, err := tx.ExecContext(ctx, statement, args...)
	if err != nil {
		return "", false, unavailable(err)
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return "", false, unavailable(err)
	}
	_, err = tx.ExecContext(ctx, "DELETE FROM issuers WHERE slug = $1", name)
	for _, p := range o.Providers {
		_, failed := tx.ExecContext(ctx, "INSERT INTO issuers VALUES ($1, $2) ON CONFLICT DO NOTHING", p.URL, name)
		err = errors.Join(err, failed)
	}
	err = errors.Join(err, tx.Commit())
	return string(text), err == nil, unavailable(err)
}

// trusts reports whether any organization has a provider of that URL.
func (s store) trusts(ctx context.Context, issuer string) (yes bool, err error) {
	err = s.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM issuers WHERE url = $1)", issuer).Scan(&yes)
	return yes, unavailable(err)
}

// names lists the organizations.
func (s store) names(ctx context.Context) (list []string, err error) {
	rows, err := s.QueryContext(ctx, "SELECT slug FROM organizations ORDER BY slug")
	if err != nil {
		return nil, unavailable(err)
	}
	defer func() { _ = rows.Close() }() // Err says it
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, unavailable(err)
		}
		list = append(list, name)
	}
	return list, unavailable(rows.Err())
}

// unavailable: what the database cannot do is an outage, and no verdict on anybody.
func unavailable(err error) error {
	if err == nil {
		return nil
	}
	return &oidckit.UnavailableError{What: "the database", Err: err, RetryAfter: time.Second}
}
