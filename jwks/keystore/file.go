package keystore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/oidckit/oidckit/internal/file"
	"github.com/oidckit/oidckit/jwks"
)

// A File signs with a key that stands in a file, which is read again when it has
// changed: whoever asks for the key looks after it, at most once a second. A file that
// is broken, gone or has another password changes nothing: the key that was read last
// stays, and [File.Status] tells. It prints without its key, and is safe for
// concurrent use.
type File struct {
	value  *file.Value[*loaded]
	cfg    Config
	logger *slog.Logger
}

// maxFile is as much as is read of a file, in bytes.
const maxFile = 1 << 20

// Load reads a file. An error in the configuration begins with the name of the field;
// what is wrong with the file is of type *[Error], or about the file system.
func Load(cfg Config) (*File, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	f := &File{cfg: cfg, logger: cfg.Logger}
	f.value = file.New(file.Config[*loaded]{
		For: "keystore", Paths: []string{cfg.Path}, MaxSize: maxFile, Parse: f.parse, Told: f.told, Now: cfg.Now,
	})
	if err := f.value.Get(context.Background()).Err; err != nil {
		return nil, err
	}
	return f, nil
}

// parse is for all who sign, not only for the one who looks after the file: it does not
// end with its context.
func (f *File) parse(ctx context.Context, _ *loaded, contents [][]byte) (*loaded, error) {
	read, err := f.cfg.reader(contents[0])
	if err != nil {
		return nil, err
	}
	return read(context.WithoutCancel(ctx), f.cfg, contents[0])
}

func (f *File) told(ctx context.Context, failed bool, err error) {
	switch {
	case f.logger == nil:
	case err != nil && !failed:
		f.logger.WarnContext(ctx, "keystore: the key cannot be read; the one from before serves", slog.Any("error", err))
	case err == nil && failed:
		f.logger.InfoContext(ctx, "keystore: the key can be read again")
	}
}

var errNotLoaded = errors.New("keystore: the file was not made by Load")

// get returns what the file holds. It is nil only if f was not made by Load.
func (f *File) get(ctx context.Context) *loaded {
	if f == nil || f.value == nil {
		return nil
	}
	return f.value.Get(ctx).Value
}

// SignJWT is [jwks.SigningKey.SignJWT] of the key that signs.
func (f *File) SignJWT(ctx context.Context, typ string, payload []byte) (compact string, err error) {
	l := f.get(ctx)
	if l == nil {
		return "", errNotLoaded
	}
	return l.keys.SignJWT(ctx, typ, payload)
}

// Key returns the key that signs at the moment.
func (f *File) Key() *jwks.SigningKey { return f.Keys().Current() }

// Keys returns the keys of the file at the moment: those of a JWK Set, or one. They do
// not change when the file does.
func (f *File) Keys() *jwks.SigningKeys {
	if l := f.get(context.Background()); l != nil {
		return l.keys
	}
	return nil
}

// PublicJWKs implements [jwks.Publisher].
func (f *File) PublicJWKs(ctx context.Context) ([]jwks.PublicJWK, error) {
	l := f.get(ctx)
	if l == nil {
		return nil, errNotLoaded
	}
	return l.keys.PublicJWKs(ctx)
}

// ClientCertificate returns the certificates of the key for TLS, as
// [tls.Config.GetClientCertificate] wants them. It is an error of type *[Error] if the
// file has none.
func (f *File) ClientCertificate(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	ctx := context.Background()
	if info != nil && info.Context() != nil {
		ctx = info.Context()
	}
	l := f.get(ctx)
	switch {
	case l == nil:
		return nil, errNotLoaded
	case l.certificate == nil:
		return nil, fmt.Errorf("keystore: %s: %w", f.cfg.Path, &Error{Reason: Unusable, Detail: "there is no certificate of the key"})
	}
	return l.certificate(), nil
}

// A Status says how the file fares, for people.
type Status struct {
	// LastSuccess is when the key was last read, or found unchanged; LastAttempt when
	// the file was last looked at.
	LastSuccess, LastAttempt time.Time
	// LastError is why the file cannot be used; nil if it can.
	LastError error
	// KeyID and Algorithm are of the key that signs.
	KeyID, Algorithm string
	// NotAfter is when its certificate expires; zero without one.
	NotAfter time.Time
}

// Status does not look at the file.
func (f *File) Status() Status {
	state := f.value.Last()
	key := state.Value.keys.Current()
	s := Status{LastSuccess: state.Read, LastAttempt: state.Looked, LastError: state.Err, KeyID: key.ID(), Algorithm: key.Algorithm()}
	if chain := key.Certificates(); len(chain) > 0 {
		s.NotAfter = chain[0].NotAfter
	}
	return s
}

// Format prints the path with every verb.
func (f *File) Format(s fmt.State, _ rune) {
	path := ""
	if f != nil {
		path = f.cfg.Path
	}
	_, _ = fmt.Fprintf(s, "keystore.File(%q)", path)
}

// LogValue implements [slog.LogValuer], like Format.
func (f *File) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(f)) }

// MarshalText implements [encoding.TextMarshaler], like Format.
func (f *File) MarshalText() ([]byte, error) { return []byte(fmt.Sprint(f)), nil }
