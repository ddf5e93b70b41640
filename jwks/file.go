package jwks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// FileConfig says where a file with keys is. [ReadFile] is for who needs no more
// than the path.
type FileConfig struct {
	// Path is of a file with a JWK Set, or with one JWK, of public keys. Required. It
	// may be a symbolic link that is moved, as in a volume of Kubernetes.
	Path string
	// Logger is told once about each member that is left out, and about the beginning
	// (a warning) and the end of the time in which the file cannot be used. Nil is
	// silent.
	Logger *slog.Logger
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// A File is a [Source] that reads keys from a file, and reads it again when it has
// changed: whoever asks for keys looks after it, at most once a second. A file that
// is broken, empty or gone changes nothing: the keys that were read last stay, and
// [File.Status] tells. No goroutine watches. It is safe for concurrent use.
type File struct {
	path    string
	now     func() time.Time
	current atomic.Pointer[fileState]

	mu       sync.Mutex // who holds it looks after the file
	teller   teller
	counters counters
}

// A fileState is what is known of a file. It is replaced, never changed.
type fileState struct {
	set     *snapshot
	info    fs.FileInfo // of the file that was read last, well or not
	settled bool        // it cannot have changed since without a trace
	looked  time.Time
	read    time.Time // when set was read, or found to be what the file holds still
	err     error
}

// ReadFile reads keys from a file. An error says what is wrong with it: it is about
// the file system, of type *KeyError, or [ErrNoUsableKey].
func ReadFile(path string) (*File, error) { return FileConfig{Path: path}.Read() }

// Read is [ReadFile] for cfg.
func (cfg FileConfig) Read() (*File, error) {
	if cfg.Path == "" {
		return nil, errors.New("jwks: FileConfig.Path is required")
	}
	f := &File{path: cfg.Path, now: cfg.Now, teller: teller{logger: cfg.Logger}}
	if f.now == nil {
		f.now = time.Now
	}
	state := f.look(context.Background(), fileState{}, f.now())
	if state.err != nil {
		return nil, state.err
	}
	f.current.Store(&state)
	return f, nil
}

// lookAfter is how often a file is looked at.
const lookAfter = time.Second

// at returns the keys, and looks after the file if it is time. While one caller
// does, the others go on with what there is.
func (f *File) at(ctx context.Context, now time.Time) *fileState {
	state := f.current.Load()
	if recent(state.looked, now) || !f.mu.TryLock() {
		return state
	}
	defer f.mu.Unlock()
	state = f.current.Load()
	if recent(state.looked, now) {
		return state
	}
	next := f.look(ctx, *state, now)
	f.current.Store(&next)
	return &next
}

// recent reports whether t is less than a second ago. A clock that was set back makes
// nothing recent.
func recent(t, now time.Time) bool {
	ago := now.Sub(t)
	return ago >= 0 && ago < lookAfter
}

// look returns the state after a look at the file.
func (f *File) look(ctx context.Context, old fileState, now time.Time) fileState {
	next := old
	next.looked = now
	info, err := os.Stat(f.path)
	if err == nil && old.info != nil && old.settled && old.err == nil && same(old.info, info) {
		next.read = now
		return next
	}
	// The clock of the file system moves in steps: what was written in the same step
	// after we had read would look the same. Its clock is the machine's, not Now.
	next.info, next.settled = info, err == nil && time.Since(info.ModTime()) > 2*time.Second
	keys, err := f.read(ctx, info, err)
	f.counters.add(FetchInfo{Err: err})
	f.teller.tellRead(ctx, old.err != nil, err)
	next.err = err
	if err == nil {
		next.set, next.read = replace(old.set, keys), now
	}
	return next
}

func same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// maxFile is as much as is read of a file, in bytes.
const maxFile = 1 << 20

// read reads the file whose information was asked for. A pipe or a device might
// never end.
func (f *File) read(ctx context.Context, info fs.FileInfo, err error) (Set, error) {
	switch {
	case err != nil:
		return Set{}, fmt.Errorf("jwks: %w", err)
	case !info.Mode().IsRegular():
		return Set{}, fmt.Errorf("jwks: %s is no regular file", f.path)
	}
	file, err := os.Open(f.path)
	if err != nil {
		return Set{}, fmt.Errorf("jwks: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	switch {
	case err != nil:
		return Set{}, fmt.Errorf("jwks: %w", err)
	case len(data) > maxFile:
		return Set{}, fmt.Errorf("jwks: %s is larger than 1 MiB", f.path)
	}
	set, err := parseDocument(string(data), parsePublic)
	f.teller.tell(ctx, string(data), set.Skipped)
	if err != nil {
		return Set{}, fmt.Errorf("jwks: %s: %w", f.path, err)
	}
	return set, nil
}

// Keys implements [Source]. It has an answer always.
func (f *File) Keys(ctx context.Context, q Query) ([]Key, error) {
	if f == nil || f.now == nil {
		return nil, errNotMade
	}
	keys := match(f.at(ctx, f.now()).set.keys, q)
	if q.Retry && q.Tried == nil {
		return nil, nil // they are those of the first answer
	}
	return untried(keys, q), nil
}

// Version implements [Versioned].
func (f *File) Version(ctx context.Context, _ time.Time) (version uint64, ok bool) {
	if f == nil || f.now == nil {
		return 0, false
	}
	return f.at(ctx, f.now()).set.version, true // by the clock that Keys goes by
}

// Status says how the file fares. It does not look at it. FreshUntil is when that
// is next due.
func (f *File) Status() Status {
	state := f.current.Load()
	return Status{
		LastSuccess: state.read, Age: f.now().Sub(state.read), LastAttempt: state.looked, LastError: state.err,
		FreshUntil: state.looked.Add(lookAfter),
		Keys:       len(state.set.keys), Skipped: state.set.skipped.byReason(),
		Fetches: f.counters.fetches.Load(), Failures: f.counters.failures.Load(),
	}
}
