package jwks

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/oidckit/oidckit/internal/file"
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
	keys     *file.Value[*snapshot]
	now      func() time.Time
	teller   teller
	counters counters
}

// ReadFile reads keys from a file. An error says what is wrong with it: it is about
// the file system, of type *KeyError, or [ErrNoUsableKey].
func ReadFile(path string) (*File, error) { return FileConfig{Path: path}.Read() }

// maxFile is as much as is read of a file, in bytes.
const maxFile = 1 << 20

// Read is [ReadFile] for cfg.
func (cfg FileConfig) Read() (*File, error) {
	if cfg.Path == "" {
		return nil, errors.New("jwks: FileConfig.Path is required")
	}
	f := &File{now: cfg.Now, teller: teller{logger: cfg.Logger}}
	if f.now == nil {
		f.now = time.Now
	}
	f.keys = file.New(file.Config[*snapshot]{
		For: "jwks", Paths: []string{cfg.Path}, MaxSize: maxFile, Parse: f.parse, Told: f.told, Now: f.now,
	})
	if err := f.keys.Get(context.Background()).Err; err != nil {
		return nil, err
	}
	return f, nil
}

func (f *File) parse(ctx context.Context, last *snapshot, contents [][]byte) (*snapshot, error) {
	text := string(contents[0])
	set, err := parseDocument(text, parsePublic)
	f.teller.tell(ctx, text, set.Skipped)
	if err != nil {
		return nil, err
	}
	return replace(last, set), nil
}

func (f *File) told(ctx context.Context, failed bool, err error) {
	f.counters.add(FetchInfo{Err: err})
	f.teller.tellRead(ctx, failed, err)
}

// Keys implements [Source]. It has an answer always.
func (f *File) Keys(ctx context.Context, q Query) ([]Key, error) {
	if f == nil || f.now == nil {
		return nil, errNotMade
	}
	keys := match(f.keys.Get(ctx).Value.keys, q)
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
	return f.keys.Get(ctx).Value.version, true // by the clock that Keys goes by
}

// Status says how the file fares. It does not look at it. FreshUntil is when that
// is next due.
func (f *File) Status() Status {
	state := f.keys.Last()
	return Status{
		LastSuccess: state.Read, Age: f.now().Sub(state.Read), LastAttempt: state.Looked, LastError: state.Err,
		FreshUntil: state.Looked.Add(file.LookAfter),
		Keys:       len(state.Value.keys), Skipped: state.Value.skipped.byReason(),
		Fetches: f.counters.fetches.Load(), Failures: f.counters.failures.Load(),
	}
}
