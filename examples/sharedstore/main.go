// Command sharedstore is examples/webapp for several processes: they share sessions,
// revocations and locks in Redis or PostgreSQL.
//
//	go run . -redis 127.0.0.1:6379 -keys-file keys.txt
//	go run . -postgres postgres:///app?host=/run/postgresql -keys-file keys.txt
//
// README.md has the rest.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"time"

	"github.com/alexedwards/scs/postgresstore"
	"github.com/alexedwards/scs/redisstore"
	"github.com/gomodule/redigo/redis"
	"github.com/lib/pq"

	"github.com/oidckit/oidckit/examples/internal/serve"
	"github.com/oidckit/oidckit/examples/webapp/app"
	"github.com/oidckit/oidckit/middleware"
)

func main() { serve.Main("sharedstore", run) }

func run(ctx context.Context, args []string) error {
	s := &shared{}
	return app.Run(ctx, args, app.Options{Flags: s.flags, Login: s.login})
}

// shared is what this program adds to the web application.
type shared struct {
	redis, postgres string
	sealedCookies   bool
	lifetime        time.Duration
}

func (s *shared) flags(flags *flag.FlagSet) {
	flags.StringVar(&s.redis, "redis", "", "host:port of Redis")
	flags.StringVar(&s.postgres, "postgres", "", "URL of a PostgreSQL database that has the table of schema.sql")
	flags.BoolVar(&s.sealedCookies, "sealed-cookies", false, "keep sessions in cookies; the store has revocations and locks")
	flags.DurationVar(&s.lifetime, "lifetime", 8*time.Hour, "how long a session lasts")
}

func (s *shared) login(c *middleware.LoginConfig) (err error) {
	if c.EphemeralKeys {
		return errors.New("-keys-file: the processes need the same keys: write one that they all read")
	}
	c.SealedCookies, c.Lifetime = s.sealedCookies, s.lifetime
	c.Store, err = s.store()
	return err
}

// store is a store of scs as it is. None of them asks its server anything yet.
func (s *shared) store() (middleware.Store, error) {
	switch {
	case s.redis != "" && s.postgres == "":
		return redisstore.New(&redis.Pool{Dial: s.dial, TestOnBorrow: stillThere, MaxIdle: 16, IdleTimeout: time.Minute}), nil
	case s.postgres != "" && s.redis == "":
		connector, err := pq.NewConnector(s.postgres)
		if err != nil {
			return nil, errors.New("-postgres: it is no URL that the driver understands") // its error may hold the password
		}
		db := sql.OpenDB(connector)
		db.SetMaxOpenConns(16)
		db.SetMaxIdleConns(16)
		return postgresstore.New(db), nil
	}
	return nil, errors.New("give one of -redis and -postgres")
}

// dial sets time limits: redigo has none.
func (s *shared) dial() (redis.Conn, error) {
	const limit = 2 * time.Second
	return redis.Dial("tcp", s.redis,
		redis.DialConnectTimeout(limit), redis.DialReadTimeout(limit), redis.DialWriteTimeout(limit))
}

// stillThere finds out about connections to a server that has been restarted since: redigo does
// not try again.
func stillThere(c redis.Conn, used time.Time) error {
	if time.Since(used) < time.Second {
		return nil
	}
	_, err := c.Do("PING")
	return err
}
