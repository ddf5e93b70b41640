package file_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/file"
)

var errBad = errors.New("bad")

// A subject is a value of files, and a clock.
type subject struct {
	*file.Value[string]
	paths  []string
	now    time.Time
	parsed int
	told   []string
}

func newSubject(t *testing.T, contents ...string) *subject {
	t.Helper()
	s := &subject{now: time.Now()}
	directory := t.TempDir()
	for i, content := range contents {
		s.paths = append(s.paths, filepath.Join(directory, string(rune('a'+i))))
		s.write(t, i, content)
	}
	s.Value = file.New(file.Config[string]{
		For: "subject", Paths: s.paths, MaxSize: 10, Now: func() time.Time { return s.now },
		Parse: func(_ context.Context, last string, contents [][]byte) (string, error) {
			s.parsed++
			text := string(bytes.Join(contents, []byte("|")))
			if strings.Contains(text, "bad") {
				return "half", errBad
			}
			return text + "<" + last[:min(len(last), 1)], nil
		},
		Told: func(_ context.Context, failed bool, err error) {
			s.told = append(s.told, map[bool]string{true: "failed before, ", false: ""}[failed]+map[bool]string{true: "good", false: "bad"}[err == nil])
		},
	})
	return s
}

func (s *subject) write(t *testing.T, i int, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(s.paths[i], []byte(content), 0o600))
}

// old makes the files look as if they had not been written just now.
func (s *subject) old(t *testing.T) {
	t.Helper()
	for _, path := range s.paths {
		at := s.now.Add(-time.Hour)
		require.NoError(t, os.Chtimes(path, at, at))
	}
}

func (s *subject) tick() { s.now = s.now.Add(file.LookAfter) }

func TestGet(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "x")
	s.old(t)
	require.Nil(t, s.Last())
	state := s.Get(t.Context())
	require.Equal(t, "x<", state.Value)
	require.EqualValues(t, 1, state.Version)
	require.NoError(t, state.Err)
	require.Equal(t, s.now, state.Looked)
	require.Equal(t, s.now, state.Read)
	require.Same(t, state, s.Last())
	require.Same(t, state, s.Get(t.Context()))

	s.tick()
	state = s.Get(t.Context())
	require.Equal(t, 1, s.parsed, "it has not changed")
	require.EqualValues(t, 1, state.Version)
	require.Equal(t, s.now, state.Read)
	require.Equal(t, []string{"good"}, s.told)

	s.write(t, 0, "y")
	s.now = s.now.Add(file.LookAfter - 1)
	require.Equal(t, "x<", s.Get(t.Context()).Value, "looked at once a second")
	s.now = s.now.Add(1)
	require.Equal(t, "y<x", s.Get(t.Context()).Value, "with what was there before")
	require.EqualValues(t, 2, s.Last().Version)
	s.write(t, 0, "z")
	s.now = s.now.Add(-time.Hour)
	require.Equal(t, "z<y", s.Get(t.Context()).Value, "a clock that was set back stops nothing")
}

func TestGet_AnyOfTheFiles(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "1", "2")
	s.old(t)
	require.Equal(t, "1|2<", s.Get(t.Context()).Value)
	for i, want := range []string{"x|2<1", "x|x<x"} {
		s.write(t, i, "x")
		s.tick()
		require.Equal(t, want, s.Get(t.Context()).Value)
		s.old(t)
		s.tick()
		_ = s.Get(t.Context())
	}
	parsed := s.parsed
	s.tick()
	_ = s.Get(t.Context())
	require.Equal(t, parsed, s.parsed)
}

func TestGet_WhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, path string) error{
		"bad":       func(t *testing.T, path string) error { t.Helper(); return os.WriteFile(path, []byte("bad"), 0o600) },
		"gone":      func(t *testing.T, path string) error { t.Helper(); return os.Remove(path) },
		"too large": func(t *testing.T, path string) error { t.Helper(); return os.WriteFile(path, make([]byte, 11), 0o600) },
		"directory": func(t *testing.T, path string) error {
			t.Helper()
			require.NoError(t, os.Remove(path))
			return os.Mkdir(path, 0o700)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, "first")
			require.NoError(t, spoil(t, s.paths[0]))
			state := s.Get(t.Context())
			require.Error(t, state.Err)
			require.Zero(t, state.Version)
			require.Empty(t, state.Value)
			require.True(t, state.Read.IsZero())

			require.NoError(t, os.RemoveAll(s.paths[0]))
			s.write(t, 0, "1234567890")
			s.tick()
			state = s.Get(t.Context())
			require.NoError(t, state.Err)
			require.EqualValues(t, 1, state.Version)
			read := s.now

			require.NoError(t, spoil(t, s.paths[0]))
			for range 2 {
				s.tick()
				state = s.Get(t.Context())
				require.Error(t, state.Err)
				require.ErrorContains(t, state.Err, "subject: ")
				require.ErrorContains(t, state.Err, s.paths[0])
				require.Equal(t, "1234567890<", state.Value, "the last good one stays")
				require.EqualValues(t, 1, state.Version)
				require.Equal(t, read, state.Read)
				require.Equal(t, s.now, state.Looked)
				if name == "bad" {
					require.ErrorIs(t, state.Err, errBad)
				}
				if name == "gone" {
					require.ErrorIs(t, state.Err, fs.ErrNotExist)
				}
			}
			require.Equal(t, []string{"bad", "failed before, good", "bad", "failed before, bad"}, s.told)
		})
	}
}

func TestReread(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "x")
	require.EqualValues(t, 1, s.Reread(t.Context()).Version, "it may be the first")
	s.write(t, 0, "y")
	s.old(t)
	require.Equal(t, "y<x", s.Reread(t.Context()).Value, "within the second")
	require.Equal(t, "y<y", s.Reread(t.Context()).Value, "and if it looks the same")
	require.Equal(t, 3, s.parsed)
}

// What Kubernetes does: a link to a directory is moved.
func TestGet_MovedLink(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	at := time.Now().Add(-time.Hour)
	for name, content := range map[string]string{"1": "x", "2": "y"} {
		require.NoError(t, os.Mkdir(filepath.Join(directory, name), 0o700))
		path := filepath.Join(directory, name, "token")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		require.NoError(t, os.Chtimes(path, at, at))
	}
	data, token := filepath.Join(directory, "..data"), filepath.Join(directory, "token")
	require.NoError(t, os.Symlink("1", data))
	require.NoError(t, os.Symlink(filepath.Join("..data", "token"), token))
	now := time.Now()
	v := file.New(file.Config[string]{
		For: "x", Paths: []string{token}, MaxSize: 1, Now: func() time.Time { return now },
		Parse: func(_ context.Context, _ string, contents [][]byte) (string, error) { return string(contents[0]), nil },
	})
	require.Equal(t, "x", v.Get(t.Context()).Value)
	require.NoError(t, os.Symlink("2", data+"_tmp"))
	require.NoError(t, os.Rename(data+"_tmp", data))
	now = now.Add(file.LookAfter)
	require.Equal(t, "y", v.Get(t.Context()).Value)
}

// While one looks, the others go on with what there is; only for the first value do
// they wait.
func TestGet_WhileAnotherLooks(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
	var step atomic.Int64
	entered, leave := make(chan struct{}), make(chan struct{})
	began := time.Now()
	v := file.New(file.Config[int]{
		For: "x", Paths: []string{path}, MaxSize: 1,
		Now: func() time.Time { return began.Add(time.Duration(step.Load()) * file.LookAfter) },
		Parse: func(_ context.Context, last int, _ [][]byte) (int, error) {
			entered <- struct{}{}
			<-leave
			return last + 1, nil
		},
	})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if v.Get(context.Background()).Value != 1 {
				t.Error("there was no value")
			}
		})
	}
	<-entered
	leave <- struct{}{}
	wg.Wait()

	step.Add(1)
	wg.Go(func() { _ = v.Get(context.Background()) })
	<-entered
	require.Equal(t, 1, v.Get(t.Context()).Value)
	leave <- struct{}{}
	wg.Wait()
	require.Equal(t, 2, v.Get(t.Context()).Value)
}

func TestGet_CostsNothing(t *testing.T) {
	s := newSubject(t, "x")
	goroutines := runtime.NumGoroutine()
	_ = s.Get(t.Context())
	ctx := t.Context()
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = s.Get(ctx) }))
	require.LessOrEqual(t, runtime.NumGoroutine(), goroutines)
}
