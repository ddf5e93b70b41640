package jwks

import (
	"context"
	"hash/maphash"
	"log/slog"
	"slices"
	"strings"

	"github.com/oidckit/oidckit/internal/strictjson"
)

// skips counts members that were left out, each reason at its place in reasons.
// There are at most maxKeys of them.
type skips [len(reasons)]uint8

func countSkips(list []Skipped) (s skips) {
	for i := range list {
		if at := slices.Index(reasons[:], list[i].Reason); at >= 0 {
			s[at]++
		}
	}
	return s
}

func (s skips) total() (n int) {
	for _, count := range s {
		n += int(count)
	}
	return n
}

func (s skips) byReason() map[KeyReason]int {
	m := map[KeyReason]int{}
	for at, count := range s {
		if count > 0 {
			m[reasons[at]] = int(count)
		}
	}
	return m
}

// A teller logs what no caller receives as an error.
type teller struct {
	logger *slog.Logger
	told   []uint64 // hashes of members, oldest first; as many as a set can have
}

// tellRead logs the beginning and the end of an outage, not each failure of it.
func (t *teller) tellRead(ctx context.Context, failed bool, err error) {
	switch {
	case t.logger == nil:
	case err != nil && !failed:
		t.logger.WarnContext(ctx, "jwks: the keys cannot be read; the ones from before serve as long as they may", slog.Any("error", err))
	case err == nil && failed:
		t.logger.InfoContext(ctx, "jwks: the keys can be read again")
	}
}

var tellerSeed = maphash.MakeSeed()

// tell logs members that were left out, each one once.
func (t *teller) tell(ctx context.Context, document string, list []Skipped) {
	if t.logger == nil || len(list) == 0 {
		return
	}
	members := membersOf(document)
	for _, s := range list {
		member := members[s.Index]
		hash := maphash.String(tellerSeed, member)
		if slices.Contains(t.told, hash) {
			continue
		}
		if len(t.told) == maxKeys {
			t.told = slices.Delete(t.told, 0, 1)
		}
		t.told = append(t.told, hash)
		level, text := slog.LevelInfo, "jwks: a member of the key set is not usable and left out"
		if s.Reason == KeyPrivate {
			level, text = slog.LevelWarn, "jwks: the provider publishes a private key"
		}
		t.logger.LogAttrs(ctx, level, text, slog.Int("index", s.Index), slog.String("kid", kidOf(member)), slog.Any("reason", s.Err)) //nolint:sloglint // one of the two above
	}
}

func membersOf(document string) []string {
	value, _ := strictjson.Member(document, "keys")
	return slices.AppendSeq(make([]string, 0, maxKeys), firstMembers(value))
}

// kidOf returns as much of a "kid" as a line of a log has room for.
func kidOf(member string) string {
	value, _ := strictjson.Member(member, "kid")
	kid, _ := strictjson.String(value)
	return strings.ToValidUTF8(kid[:min(len(kid), 64)], "")
}
