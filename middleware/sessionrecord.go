package middleware

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"github.com/oidckit/oidckit/oidc"
)

// A record is a session as it is kept, in a cookie or a store. It is never changed: what comes
// after it is another one, of the same id and the next number.
type record struct {
	id     string // random, and secret: whoever has it is the user
	number uint64 // counts what the session was, so that of two of one id the newer one is known
	flow   string // names it in logs

	provider, client     string // the LoginProvider and its client_id
	issuer, subject, sid string
	firstSID             string // that of the login: a refresh may bring another one

	began     time.Time
	ends      time.Time // whatever happens, and however much longer sessions of today last
	issued    time.Time // the ID token of the login, by the provider's clock
	seen      time.Time // the last request, as far as that is kept
	checked   time.Time // when the provider last said that the user may still be here
	refreshed time.Time // of the claims
	tokenDue  time.Time // when the access token is to be replaced; zero for never
	stale     time.Time // since when info or access could not be had anew; zero if they are
	renewable bool      // there is a refresh token

	tokens string // of oidc.Tokens.MarshalBinary
	info   string // claims of the userinfo, empty if nobody asked
	access string // claims of the access token, empty if nobody verified it; see accessInToken
}

// recordForm is the first byte of a record. Whoever changes what follows changes it: a process
// that does not know a form takes its sessions for none.
const recordForm = 2

func newRecord(p *loginProvider, tokens *oidc.Tokens, info *oidc.UserInfo, flow string, now time.Time) (*record, error) {
	rec := &record{
		id: rand.Text(), flow: flow, provider: p.id, client: p.client.ClientID(),
		began: now, issued: tokens.IDToken.IssuedAt,
	}
	rec.setInfo(info)
	err := rec.setTokens(tokens, true, now)
	rec.firstSID = rec.sid
	return rec, err
}

// texts and times are in the order in which they are kept.
func (rec *record) texts() []*string {
	return []*string{
		&rec.id, &rec.flow, &rec.provider, &rec.client, &rec.issuer, &rec.subject, &rec.sid, &rec.firstSID, &rec.tokens, &rec.info, &rec.access,
	}
}

func (rec *record) times() []*time.Time {
	return []*time.Time{&rec.began, &rec.ends, &rec.issued, &rec.seen, &rec.checked, &rec.refreshed, &rec.tokenDue, &rec.stale}
}

// encode is short to read: each request with a sealed cookie does.
func (rec *record) encode() []byte {
	b := make([]byte, 0, len(rec.tokens)+len(rec.info)+512)
	b = append(b, recordForm)
	b = binary.AppendUvarint(b, rec.number)
	for _, t := range rec.times() {
		b = binary.AppendVarint(b, nanos(*t))
	}
	for _, s := range rec.texts() {
		b = binary.AppendUvarint(b, uint64(len(*s)))
		b = append(b, *s...)
	}
	if rec.renewable {
		return append(b, 1)
	}
	return append(b, 0)
}

// decodeRecord reads what encode wrote, and nothing else.
func decodeRecord(plain []byte) (*record, bool) {
	in := recordReader{rest: string(plain)}
	rec := &record{}
	in.ok = in.octet() == recordForm
	rec.number = in.uvarint()
	for _, t := range rec.times() {
		*t = instant(in.varint())
	}
	for _, s := range rec.texts() {
		*s = in.text()
	}
	renewable := in.octet()
	rec.renewable = renewable == 1
	return rec, in.ok && in.rest == "" && renewable <= 1 && rec.id != ""
}

// A recordReader takes a record apart. What it reads is zero once ok is false.
type recordReader struct {
	rest string
	ok   bool
}

func (in *recordReader) take(n uint64) string {
	if !in.ok || n > uint64(len(in.rest)) {
		in.ok, in.rest = false, ""
		return ""
	}
	taken := in.rest[:n]
	in.rest = in.rest[n:]
	return taken
}

func (in *recordReader) octet() byte {
	if in.rest == "" {
		in.ok = false
		return 0
	}
	c := in.rest[0]
	in.rest = in.rest[1:]
	return c
}

func (in *recordReader) uvarint() uint64 {
	head := in.rest[:min(len(in.rest), binary.MaxVarintLen64)]
	n, size := binary.Uvarint([]byte(head))
	if size <= 0 {
		in.ok = false
		return 0
	}
	in.take(uint64(size))
	return n
}

// varint is as binary.AppendVarint writes it: zigzag.
func (in *recordReader) varint() int64 {
	n := in.uvarint()
	return int64(n>>1) ^ -int64(n&1)
}

func (in *recordReader) text() string { return in.take(in.uvarint()) }

// nanos keeps the zero time, which UnixNano does not know.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func instant(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n)
}

// setTokens takes over new tokens, which came at now. Without a new ID token the claims are as
// old as they were: the answer to a refresh "might not contain an id_token" (OpenID Connect
// Core section 12.2).
func (rec *record) setTokens(t *oidc.Tokens, newClaims bool, now time.Time) error {
	kept, err := t.MarshalBinary()
	if err != nil {
		return err
	}
	rec.tokens, rec.renewable = string(kept), t.OAuth2.RefreshToken != ""
	rec.access = "" // nobody has verified the new one yet
	rec.checked, rec.seen = now, now
	rec.tokenDue = time.Time{}
	if !t.OAuth2.Expiry.IsZero() {
		rec.tokenDue = t.OAuth2.Expiry.Add(-ahead(time.Duration(t.OAuth2.ExpiresIn) * time.Second))
	}
	if !newClaims {
		return nil
	}
	rec.refreshed, rec.issuer, rec.subject = now, t.IDToken.Issuer, t.IDToken.Subject
	if sid, err := t.IDToken.Claims.String(sidClaim); err == nil { // one that is not a string names no session
		rec.sid = sid
	}
	return nil
}

// setInfo takes over what the userinfo endpoint said, nil for nothing.
func (rec *record) setInfo(info *oidc.UserInfo) {
	if info != nil {
		rec.info = string(info.Claims.Raw())
	}
}

// age drops claims beside the ID token that could not be had anew for limit: a right that was taken
// away must not stay for as long as nobody can be asked.
func (rec *record) age(accessErr, infoErr error, now time.Time, limit time.Duration) {
	failed := accessErr != nil && rec.access != "" || infoErr != nil && rec.info != ""
	switch {
	case failed && rec.stale.IsZero():
		rec.stale = now
		return
	case failed && now.Before(rec.stale.Add(limit)):
		return
	}
	rec.stale = time.Time{}
	if accessErr != nil {
		rec.access = ""
	}
	if infoErr != nil {
		rec.info = ""
	}
}

// maxRecord is how many bytes of a session a Store is given: sealed, it fits into a BLOB of MySQL.
// One that a store does not take would be taken for an outage, for which all others pay.
const maxRecord = 60 << 10

// tooBig is a SessionTooBigError, or nil.
func (rec *record) tooBig() error {
	if size := len(rec.encode()); size > maxRecord {
		return &SessionTooBigError{Size: size, Max: maxRecord}
	}
	return nil
}

// ahead is how long before its end an access token is replaced.
func ahead(life time.Duration) time.Duration { return min(time.Minute, life/10) }

// readTokens returns the tokens of the record; ok is false if another version of the module has
// written them.
func (rec *record) readTokens() (t *oidc.Tokens, ok bool) {
	t = new(oidc.Tokens)
	if t.UnmarshalBinary([]byte(rec.tokens)) != nil || t.IDToken == nil {
		return nil, false
	}
	return t, true
}

// next is the record that comes after rec, to be changed before anybody else has it.
func (rec *record) next() *record {
	n := *rec
	n.number++
	return &n
}
