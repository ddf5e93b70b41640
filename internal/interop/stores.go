package interop

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

// Redis is a running Redis server that writes every command to its disk before it answers.
type Redis struct {
	// Addr is its host:port.
	Addr string

	t       testing.TB
	dir     string
	process *Process
}

// StartRedis starts a Redis server of its own. It ends with the test.
func StartRedis(t testing.TB) *Redis {
	t.Helper()
	r := &Redis{Addr: FreeAddress(t), t: t, dir: t.TempDir()}
	r.Start()
	return r
}

var redisReady = regexp.MustCompile(`Ready to accept connections`)

// Start starts the server again after Kill, with what it knew.
func (r *Redis) Start() {
	r.t.Helper()
	bin := program(r.t, "redis-server", "apt-get install redis-server")
	_, port := splitPort(r.t, r.Addr)
	r.process = start(r.t, r.dir, nil, bin, "--bind", "127.0.0.1", "--port", port, "--dir", r.dir,
		"--save", "", "--appendonly", "yes", "--appendfsync", "always")
	r.process.Wait(redisReady)
}

// Kill ends the server as a crash does.
func (r *Redis) Kill() { r.process.Kill() }

var postgresReady = regexp.MustCompile(`database system is ready to accept connections`)

// StartPostgres starts a PostgreSQL server of its own, runs the SQL of a file, and returns the URL of the database. It
// listens on a socket in a private folder only, and ends with the test.
func StartPostgres(t testing.TB, schema string) (url string) {
	t.Helper()
	// Not t.TempDir: the server refuses to be root, and cannot enter what belongs to root. Nor can a socket's name be long.
	dir, err := os.MkdirTemp("", "interop-pg-") //nolint:usetesting // as said above
	if err != nil {
		t.Fatalf("interop: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	as := unprivileged(t, dir)
	data := filepath.Join(dir, "data")
	finish(t, append(slices.Clip(as), program(t, "initdb", "apt-get install postgresql"),
		"-D", data, "-U", "interop", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"))
	server := append(slices.Clip(as), program(t, "postgres", "apt-get install postgresql"),
		"-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off")
	start(t, dir, nil, server[0], server[1:]...).Wait(postgresReady)

	schema, err = filepath.Abs(schema)
	if err != nil {
		t.Fatalf("interop: %v", err)
	}
	url = "postgres://interop@/postgres?sslmode=disable&host=" + dir
	finish(t, []string{program(t, "psql", "apt-get install postgresql-client"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", schema, url})
	return url
}

// unprivileged is what a command line begins with to be run by somebody who is not root, to whom dir is given.
func unprivileged(t testing.TB, dir string) []string {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatalf("interop: PostgreSQL refuses to be root: %v", err)
	}
	uid, err := strconv.Atoi(nobody.Uid)
	if err == nil {
		err = os.Chown(dir, uid, -1)
	}
	if err != nil {
		t.Fatalf("interop: %v", err)
	}
	return []string{program(t, "setpriv", "apt-get install util-linux"), "--reuid=" + nobody.Uid, "--regid=" + nobody.Gid, "--clear-groups"}
}

// program finds a program, also where Debian has PostgreSQL's.
func program(t testing.TB, name, advice string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name); len(found) > 0 { // the pattern is a good one
		return found[len(found)-1]
	}
	t.Fatalf("interop: %s is not installed: %s", name, advice)
	return ""
}

// finish runs a program to its end.
func finish(t testing.TB, command []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir = "/" // nobody may not be where we are
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("interop: %s: %v\n%s", command, err, out)
	}
}
