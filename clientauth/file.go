package clientauth

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"

	"github.com/oidckit/oidckit/internal/file"
)

// As much as is read of a file, in bytes.
const (
	maxSecretFile      = 64 << 10
	maxCertificateFile = 1 << 20
)

// SecretFile is a [SecretSource] that reads a file, and reads it again when it has changed:
// whoever asks looks after it, at most once a second, and at once after the provider has
// refused the client. The file may be a symbolic link that is moved, as in a volume of
// Kubernetes. One newline at its end is no part of the secret; all else is. It
// has 64 KiB at most, and an empty one is an error. A file that breaks or goes
// changes nothing: the secret that was read last stays.
func SecretFile(path string) SecretSource {
	return newSecretFile("SecretFile", path, func(Secret) error { return nil })
}

// A secretFile has the value behind a pointer, where no printing reaches it.
type secretFile struct{ value *file.Value[Secret] }

func newSecretFile(what, path string, check func(Secret) error) *secretFile {
	return &secretFile{file.New(file.Config[Secret]{
		For: "clientauth: " + what, Paths: []string{path}, MaxSize: maxSecretFile,
		Parse: func(_ context.Context, _ Secret, contents [][]byte) (Secret, error) {
			secret := Secret(withoutNewline(contents[0]))
			if secret == "" {
				return "", errEmptyFile
			}
			return secret, check(secret)
		},
	})}
}

var errEmptyFile = errors.New("the file is empty")

func withoutNewline(data []byte) []byte {
	data, found := bytes.CutSuffix(data, []byte("\n"))
	if found {
		data = bytes.TrimSuffix(data, []byte("\r"))
	}
	return data
}

// Secret implements [SecretSource].
func (s *secretFile) Secret(ctx context.Context) (Secret, error) { return last(s.value.Get(ctx)) }

// Renew reads the file at once. Its error leaves the secret as it is.
func (s *secretFile) Renew(ctx context.Context) (Secret, error) {
	state := s.value.Reread(ctx)
	return state.Value, state.Err
}

// last returns what was read well for the last time.
func last[T any](state *file.State[T]) (T, error) {
	if state.Version == 0 {
		return state.Value, state.Err
	}
	return state.Value, nil
}

// CertificateFile is a [CertificateFunc] that reads a certificate, with its chain after it,
// and its private key from two files in PEM, as tls.LoadX509KeyPair does, and reads
// both again when one has changed, as [SecretFile] does. As long as they do not
// belong together, those that were read last stay.
func CertificateFile(certFile, keyFile string) CertificateFunc {
	value := file.New(file.Config[*tls.Certificate]{
		For: "clientauth: CertificateFile", Paths: []string{certFile, keyFile}, MaxSize: maxCertificateFile,
		Parse: func(_ context.Context, _ *tls.Certificate, contents [][]byte) (*tls.Certificate, error) {
			certificate, err := tls.X509KeyPair(contents[0], contents[1])
			return &certificate, err
		},
	})
	return func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		certificate, err := last(value.Get(info.Context()))
		if err != nil {
			return nil, &Error{Reason: ReasonUnavailable, text: "the certificate cannot be read", Err: err}
		}
		return certificate, nil
	}
}
