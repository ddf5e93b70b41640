package jwks_test

import (
	"bytes"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/internal/strictjson"
	"github.com/oidckit/oidckit/jwks"
)

// A keyFile is a file and a clock.
type keyFile struct {
	path string
	now  time.Time
}

func newKeyFile(t *testing.T, content string) *keyFile {
	t.Helper()
	f := &keyFile{path: filepath.Join(t.TempDir(), "keys.json"), now: time.Now()}
	f.write(t, content)
	return f
}

func (f *keyFile) write(t *testing.T, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(f.path, []byte(content), 0o600))
}

func (f *keyFile) read() (*jwks.File, error) {
	return jwks.FileConfig{Path: f.path, Now: func() time.Time { return f.now }}.Read()
}

func (f *keyFile) tick() { f.now = f.now.Add(time.Second) }

var longAgo = time.Now().Add(-time.Hour)

// old makes the file look as if it had not been written just now.
func (f *keyFile) old(t *testing.T) { t.Helper(); f.written(t, longAgo) }

func (f *keyFile) written(t *testing.T, at time.Time) {
	t.Helper()
	require.NoError(t, os.Chtimes(f.path, at, at))
}

func TestReadFile(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{"set": set(jwkA, `{"kty":"AKP"}`), "one JWK": jwkA, "space around": "\n" + jwkA + "\n"} {
		src, err := jwks.ReadFile(newKeyFile(t, content).path)
		require.NoError(t, err, name)
		require.NoError(t, verify(t, src, signA(t)), name)
		requireNotFound(t, verify(t, src, signB(t)), name)
		requireReason(t, verify(t, src, sign(t, "ES256", "a", ec2)), jwt.BadSigning, name)
	}
}

func TestReadFile_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	_, err := jwks.ReadFile("")
	require.Error(t, err)
	require.True(t, strings.HasPrefix(err.Error(), "jwks: FileConfig.Path"))
	_, err = jwks.ReadFile(filepath.Join(directory, "none"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = jwks.ReadFile(directory)
	require.Error(t, err)

	for content, reason := range map[string]jwks.KeyReason{
		"": jwks.KeyMalformed, "x": jwks.KeyMalformed, "[]": jwks.KeyMalformed, "{}": jwks.KeyUnsupported, jwk(ec1, nil): jwks.KeyPrivate, oct(""): jwks.KeySymmetric,
	} {
		f := newKeyFile(t, content)
		src, err := f.read()
		requireKeyReason(t, err, reason, content)
		require.ErrorContains(t, err, f.path, "it names the file")
		require.NotContains(t, err.Error(), b64(ec1.D.Bytes()))
		require.Nil(t, src)
	}
	_, err = newKeyFile(t, set()).read()
	require.ErrorIs(t, err, jwks.ErrNoUsableKey)
	_, err = newKeyFile(t, set(jwkA)+strings.Repeat(" ", 1<<20)).read()
	require.Error(t, err)
	var syntax *strictjson.Error
	require.NotErrorAs(t, err, &syntax, "it is not read to the end")
}

func TestFile_IsReadAgainWhenItHasChanged(t *testing.T) {
	t.Parallel()
	f := newKeyFile(t, jwkA)
	src, err := f.read()
	require.NoError(t, err)
	version := func() uint64 {
		v, ok := src.Version(t.Context(), f.now)
		require.True(t, ok)
		return v
	}
	first := version()
	f.write(t, set(jwkA, jwkB)) // in the same step of the file system's clock, it may be
	f.now = f.now.Add(time.Second - time.Nanosecond)
	requireNotFound(t, verify(t, src, signB(t)), "looked at once a second")
	f.now = f.now.Add(time.Nanosecond)
	require.NoError(t, verify(t, src, signB(t)))
	require.Equal(t, first, version(), "a key was added")

	f.tick()
	f.write(t, jwk(&ec2.PublicKey, with{"kid": "a"})) // as long as the one before
	require.Greater(t, version(), first, "a key was replaced; who asks for nothing else learns of it")
	require.NoError(t, verify(t, src, sign(t, "ES256", "a", ec2)))
	requireReason(t, verify(t, src, signA(t)), jwt.BadSigning)
	requireNotFound(t, verify(t, src, signB(t)))
}

func TestFile_OtherFileWithTheSameTimeAndSize(t *testing.T) {
	t.Parallel()
	f := newKeyFile(t, jwkA)
	f.old(t)
	src, err := f.read()
	require.NoError(t, err)
	before := must(os.Stat(f.path))
	other := &keyFile{path: f.path + ".new"}
	other.write(t, jwkB)
	require.NoError(t, os.Chtimes(other.path, before.ModTime(), before.ModTime()))
	require.Equal(t, before.Size(), must(os.Stat(other.path)).Size())
	require.NoError(t, os.Rename(other.path, f.path))
	f.tick()
	require.NoError(t, verify(t, src, signB(t)))
}

// Each sign of a change is enough, and a file that was written just now may have
// changed without one.
func TestFile_SignsOfAChange(t *testing.T) {
	t.Parallel()
	require.Len(t, jwkB, len(jwkA))
	justNow := time.Now().Add(time.Minute) // it must not become old while the test runs
	for name, tt := range map[string]struct {
		before, after time.Time
		content       string
		seen          bool
	}{
		"another time":          {longAgo, longAgo.Add(time.Nanosecond), jwkB, true},
		"another size":          {longAgo, longAgo, jwkB + " ", true},
		"written just now":      {justNow, justNow, jwkB, true},
		"nothing, and long ago": {longAgo, longAgo, jwkB, false},
	} {
		f := newKeyFile(t, jwkA)
		f.written(t, tt.before)
		src, err := f.read()
		require.NoError(t, err)
		f.write(t, tt.content)
		f.written(t, tt.after)
		f.tick()
		err = verify(t, src, signB(t))
		require.Equal(t, tt.seen, err == nil, name)
	}
}

// A volume of Kubernetes moves a link.
func TestFile_MovedLink(t *testing.T) {
	t.Parallel()
	a, b := newKeyFile(t, jwkA), newKeyFile(t, jwkB)
	a.old(t)
	b.old(t)
	link := &keyFile{path: filepath.Join(t.TempDir(), "link"), now: time.Now()}
	require.NoError(t, os.Symlink(a.path, link.path))
	src, err := link.read()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(b.path, link.path+".new"))
	require.NoError(t, os.Rename(link.path+".new", link.path))
	link.tick()
	require.NoError(t, verify(t, src, signB(t)))
}

func TestFile_BrokenFileKeepsTheOldKeys(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, f *keyFile){
		"broken":    func(t *testing.T, f *keyFile) { f.write(t, set(jwkB)[:40]) },
		"empty":     func(t *testing.T, f *keyFile) { f.write(t, "") },
		"empty set": func(t *testing.T, f *keyFile) { f.write(t, set()) },
		"unusable":  func(t *testing.T, f *keyFile) { f.write(t, set(jwk(ec2, nil), `{"kty":"AKP"}`)) },
		"gone":      func(t *testing.T, f *keyFile) { require.NoError(t, os.Remove(f.path)) },
		"a directory": func(t *testing.T, f *keyFile) {
			require.NoError(t, os.Remove(f.path))
			require.NoError(t, os.Mkdir(f.path, 0o700))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newKeyFile(t, jwkA)
			src, err := f.read()
			require.NoError(t, err)
			began := f.now
			version, _ := src.Version(t.Context(), f.now)
			spoil(t, f)
			for range 3 {
				f.tick()
				require.NoError(t, verify(t, src, signA(t)))
				s := src.Status()
				require.Error(t, s.LastError)
				require.Equal(t, 1, s.Keys)
				require.Equal(t, began, s.LastSuccess)
				require.Equal(t, f.now.Sub(began), s.Age)
				require.Equal(t, f.now, s.LastAttempt)
			}
			require.EqualValues(t, 3, src.Status().Failures)
			now, ok := src.Version(t.Context(), f.now)
			require.True(t, ok)
			require.Equal(t, version, now)

			_ = os.Remove(f.path)
			f.write(t, jwkB)
			f.tick()
			require.NoError(t, verify(t, src, signB(t)), "it heals")
			require.NoError(t, src.Status().LastError)
			requireNotFound(t, verify(t, src, signA(t)))
		})
	}
}

// A file that was broken is read again even if it looks the same: it may have been
// half written.
func TestFile_BrokenFileIsReadAgain(t *testing.T) {
	t.Parallel()
	f := newKeyFile(t, jwkA)
	src, err := f.read()
	require.NoError(t, err)
	broken := strings.Repeat(" ", len(jwkB))
	f.write(t, broken)
	f.old(t)
	f.tick()
	require.NoError(t, verify(t, src, signA(t)))
	require.Error(t, src.Status().LastError)
	f.write(t, jwkB)
	f.old(t)
	f.tick()
	require.NoError(t, verify(t, src, signB(t)))
}

func TestFile_Status(t *testing.T) {
	t.Parallel()
	f := newKeyFile(t, set(jwkA, jwkB, `{"kty":"AKP"}`, jwk(&ec2.PublicKey, with{"use": "enc"})))
	f.old(t)
	began := f.now
	src, err := f.read()
	require.NoError(t, err)
	want := jwks.Status{
		LastSuccess: began, LastAttempt: began, FreshUntil: began.Add(time.Second), Keys: 2,
		Skipped: map[jwks.KeyReason]int{jwks.KeyUnsupported: 1, jwks.KeyUse: 1}, Fetches: 1,
	}
	require.Equal(t, want, src.Status())
	f.now = f.now.Add(time.Hour)
	want.Age = time.Hour
	require.Equal(t, want, src.Status(), "it does not look at the file")
	require.NoError(t, verify(t, src, signA(t)))
	want.LastSuccess, want.LastAttempt, want.FreshUntil, want.Age = f.now, f.now, f.now.Add(time.Second), 0
	require.Equal(t, want, src.Status(), "an old file that has not changed is not read")
}

func TestFile_LoggerIsTold(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	f := newKeyFile(t, set(jwkA, jwk(ec2, with{"kid": "leaked"})))
	src, err := jwks.FileConfig{Path: f.path, Now: func() time.Time { return f.now }, Logger: slog.New(slog.NewTextHandler(&log, nil))}.Read()
	require.NoError(t, err)
	look := func() {
		for range 3 {
			f.tick()
			require.NoError(t, verify(t, src, signA(t)))
		}
	}
	look()
	require.Equal(t, 1, strings.Count(log.String(), "\n"))
	require.Contains(t, log.String(), "kid=leaked")
	f.write(t, "")
	look()
	require.Equal(t, 2, strings.Count(log.String(), "level=WARN"))
	f.write(t, jwkA)
	look()
	require.Equal(t, 1, strings.Count(log.String(), "level=INFO"))
	require.Equal(t, 3, strings.Count(log.String(), "\n"))
}

func TestFile_RetryHasOnlyWhatWasNotTried(t *testing.T) {
	t.Parallel()
	f := newKeyFile(t, jwkA)
	src, err := f.read()
	require.NoError(t, err)
	q := jwks.Query{KeyID: "a", Algorithm: "ES256"}
	first, err := src.Keys(t.Context(), q)
	require.NoError(t, err)
	require.Len(t, first, 1)
	q.Retry = true
	keys, err := src.Keys(t.Context(), q)
	require.NoError(t, err)
	require.Empty(t, keys)
	q.Tried = first
	keys, err = src.Keys(t.Context(), q)
	require.NoError(t, err)
	require.Empty(t, keys)
	f.write(t, jwk(&ec2.PublicKey, with{"kid": "a"}))
	f.tick()
	keys, err = src.Keys(t.Context(), q)
	require.NoError(t, err)
	require.Len(t, keys, 1)
}

func TestFile_CostsNothing(t *testing.T) {
	f := newKeyFile(t, jwkA)
	goroutines := runtime.NumGoroutine()
	src, err := f.read()
	require.NoError(t, err)
	q := jwks.Query{KeyID: "a", Algorithm: "ES256"}
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = src.Keys(t.Context(), q) }))
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = src.Version(t.Context(), f.now) }))
	require.LessOrEqual(t, runtime.NumGoroutine(), goroutines)
}

func TestFile_ReadersAndChangesTogether(t *testing.T) {
	t.Parallel()
	path := newKeyFile(t, jwkA).path
	var mu sync.Mutex
	now := time.Now()
	src, err := jwks.FileConfig{Path: path, Now: func() time.Time { mu.Lock(); defer mu.Unlock(); now = now.Add(time.Second); return now }}.Read()
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				keys, err := src.Keys(t.Context(), jwks.Query{Algorithm: "ES256"})
				if err != nil || len(keys) == 0 {
					t.Error("no key")
				}
				_ = src.Status()
			}
		})
	}
	for i := range 50 {
		_ = os.WriteFile(path, []byte(map[bool]string{true: jwkA, false: set(jwkA, jwkB)}[i%2 == 0]), 0o600)
	}
	wg.Wait()
}
