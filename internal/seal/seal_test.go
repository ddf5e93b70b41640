package seal_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oidckit/oidckit/internal/seal"
)

const (
	older = "an older secret of the program"
	newer = "a newer secret of the program"
)

func ring(t testing.TB, secrets ...string) *seal.Ring {
	t.Helper()
	var raw [][]byte
	for _, s := range secrets {
		raw = append(raw, []byte(s))
	}
	r, err := seal.New(raw...)
	require.NoError(t, err)
	return r
}

func TestF17_WhatIsSealedOpensInItsPlaceOnly(t *testing.T) {
	t.Parallel()
	r := ring(t, older)
	sealed := r.Seal("session", "cookie a", []byte("alice"))

	plain, stale, err := r.Open("session", "cookie a", sealed)
	require.NoError(t, err)
	require.Equal(t, "alice", string(plain))
	require.False(t, stale)

	for name, open := range map[string]func() ([]byte, bool, error){
		"another purpose":       func() ([]byte, bool, error) { return r.Open("login", "cookie a", sealed) },
		"another context":       func() ([]byte, bool, error) { return r.Open("session", "cookie b", sealed) },
		"no context":            func() ([]byte, bool, error) { return r.Open("session", "", sealed) },
		"purpose into context":  func() ([]byte, bool, error) { return r.Open("session ", "cookie a", sealed) },
		"another key":           func() ([]byte, bool, error) { return ring(t, newer).Open("session", "cookie a", sealed) },
		"a key of this process": func() ([]byte, bool, error) { return seal.Random().Open("session", "cookie a", sealed) },
		"a byte more":           func() ([]byte, bool, error) { return r.Open("session", "cookie a", append(bytes.Clone(sealed), 0)) },
		"a byte less":           func() ([]byte, bool, error) { return r.Open("session", "cookie a", sealed[:len(sealed)-1]) },
		"nothing":               func() ([]byte, bool, error) { return r.Open("session", "cookie a", nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plain, _, err := open()
			require.ErrorIs(t, err, seal.ErrOpen)
			require.Nil(t, plain)
		})
	}
}

// Every bit counts, those of the key's id and of both halves of the nonce too.
func TestF17_EveryBitIsAuthenticated(t *testing.T) {
	t.Parallel()
	r := ring(t, newer, older)
	sealed := r.Seal("session", "c", []byte("alice"))
	for i := range len(sealed) * 8 {
		changed := bytes.Clone(sealed)
		changed[i/8] ^= 1 << (i % 8)
		_, _, err := r.Open("session", "c", changed)
		require.ErrorIs(t, err, seal.ErrOpen, "bit %d", i)
	}
	for n := range sealed {
		_, _, err := r.Open("session", "c", sealed[:n])
		require.ErrorIs(t, err, seal.ErrOpen, "%d bytes", n)
	}
}

// Needs 21: a key is replaced in two steps while processes of before and after run.
func TestNeeds21_AKeyIsReplacedWithoutAnybodyNoticing(t *testing.T) {
	t.Parallel()
	steps := []*seal.Ring{
		ring(t, older),
		ring(t, older, newer), // every process knows the new one
		ring(t, newer, older), // and then seals with it
		ring(t, newer),
	}
	for i := range len(steps) - 1 {
		for _, way := range [][2]int{{i, i + 1}, {i + 1, i}} {
			sealed := steps[way[0]].Seal("session", "c", []byte("alice"))
			plain, stale, err := steps[way[1]].Open("session", "c", sealed)
			require.NoError(t, err, "%v", way)
			require.Equal(t, "alice", string(plain))
			require.Equal(t, i == 1, stale, "%v: to be sealed again", way)
		}
	}
	_, _, err := steps[3].Open("session", "c", steps[1].Seal("session", "c", nil))
	require.ErrorIs(t, err, seal.ErrOpen, "the old key is gone")
}

func TestF48_SecretsThatAreNone(t *testing.T) {
	t.Parallel()
	good := []byte(newer)
	for name, secrets := range map[string][][]byte{
		"no key":            nil,
		"nil":               {nil},
		"empty":             {{}},
		"15 bytes":          {[]byte("123456789012345")},
		"zeros":             {make([]byte, 32)},
		"one byte repeated": {bytes.Repeat([]byte("x"), 64)},
		"a bad old one":     {good, []byte("short secret")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := seal.New(secrets...)
			require.Error(t, err)
			require.Nil(t, r)
			require.NotContains(t, err.Error(), "short secret")
		})
	}
	_, err := seal.New([]byte("1234567890123456"))
	require.NoError(t, err, "16 bytes are enough")
}

// F48: no two seals share a nonce, hence neither do they look alike in any part.
func TestF48_NoncesAreNotReused(t *testing.T) {
	t.Parallel()
	const idSize, nonceSize = 4, 24
	seen := make(map[string]bool)
	a, b := ring(t, older), ring(t, older) // two processes with one key
	for range 1000 {
		for _, r := range []*seal.Ring{a, b} {
			sealed := r.Seal("session", "c", []byte("alice"))
			for _, half := range []string{string(sealed[idSize:][:nonceSize/2]), string(sealed[idSize+nonceSize/2:][:nonceSize/2])} {
				require.False(t, seen[half])
				seen[half] = true
			}
		}
	}
}

func TestNewKeepsNothingOfTheCaller(t *testing.T) {
	t.Parallel()
	secret := []byte(older)
	r, err := seal.New(secret)
	require.NoError(t, err)
	clear(secret)
	_, _, err = ring(t, older).Open("session", "c", r.Seal("session", "c", nil))
	require.NoError(t, err)
}

func TestNoSecretIsPrinted(t *testing.T) {
	t.Parallel()
	r := ring(t, newer, older)
	r.Seal("session", "c", nil) // makes keys
	holder := struct{ Keys *seal.Ring }{r}
	var logged bytes.Buffer
	slog.New(slog.NewTextHandler(&logged, nil)).Info("m", "keys", r, "holder", holder)
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("m", "keys", r, "holder", holder)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		require.Equal(t, "seal.Ring(redacted)", fmt.Sprintf(verb, r))
		fmt.Fprintf(&logged, verb, holder)
	}
	for _, secret := range []string{newer, older, fmt.Sprintf("%x", newer), fmt.Sprint([]byte(older))} {
		require.NotContains(t, logged.String(), strings.Trim(secret, "[]"))
	}
}

func TestARingIsShared(t *testing.T) {
	t.Parallel()
	r := ring(t, newer, older)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			purpose := fmt.Sprint("purpose ", i%2)
			_, _, err := r.Open(purpose, "c", r.Seal(purpose, "c", []byte("alice")))
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// FuzzOpenOnlyOpensWhatWasSealed: neither strangers' bytes nor what was made of sealed ones
// opens, and what was sealed comes back whole.
func FuzzOpenOnlyOpensWhatWasSealed(f *testing.F) {
	r, err := seal.New([]byte(newer), []byte(older))
	require.NoError(f, err)
	genuine := r.Seal("session", "c", []byte("alice"))
	f.Add([]byte("alice"), "session", "c", genuine, uint16(0), byte(0))
	f.Add([]byte{}, "", "", []byte{}, uint16(3), byte(1))
	f.Add(make([]byte, 5000), "login", "a cookie", genuine[:28], uint16(30), byte(0x80))
	f.Fuzz(func(t *testing.T, plain []byte, purpose, context string, stranger []byte, at uint16, flip byte) {
		sealed := r.Seal(purpose, context, plain)
		opened, stale, err := r.Open(purpose, context, sealed)
		if err != nil || stale || !bytes.Equal(opened, plain) {
			t.Fatalf("what was sealed does not come back: %v", err)
		}
		sealed[int(at)%len(sealed)] ^= flip
		if _, _, err := r.Open(purpose, context, sealed); (err == nil) != (flip == 0) || err != nil && !errors.Is(err, seal.ErrOpen) {
			t.Fatalf("changed by %x at %d: %v", flip, at, err)
		}
		if _, _, err := r.Open(purpose, context+"x", sealed); err == nil {
			t.Fatal("opens in another context")
		}
		// The seeds have one that was sealed, in the process that the others were started by.
		if opened, _, err := r.Open(purpose, context, stranger); err == nil && (string(opened) != "alice" || purpose != "session" || context != "c") {
			t.Fatal("opens what was never sealed")
		}
	})
}

func BenchmarkOpen4KB(b *testing.B) {
	r := ring(b, newer, older)
	sealed := r.Seal("session", "c", make([]byte, 4096))
	b.SetBytes(4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := r.Open("session", "c", sealed); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenOfAStranger(b *testing.B) {
	r := ring(b, newer, older)
	sealed := make([]byte, 4096)
	for b.Loop() {
		if _, _, err := r.Open("session", "c", sealed); err == nil {
			b.Fatal("opened")
		}
	}
}
