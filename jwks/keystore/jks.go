package keystore

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // G505: of the format
	"crypto/subtle"
	"crypto/x509"
	"encoding/binary"

	keystore "github.com/pavlo-v-chernykh/keystore-go/v4"
)

const (
	magicJKS   = 0xFEEDFEED
	magicJCEKS = 0xCECECECE
)

func readJKS(ctx context.Context, cfg Config, content []byte) (*loaded, error) {
	switch {
	case len(content) < 4+sha1.Size || !isJKS(content):
		return nil, malformed("the file is no JKS")
	case binary.BigEndian.Uint32(content) == magicJCEKS:
		return nil, unsupported("the store is a JCEKS: convert it by keytool -importkeystore -deststoretype PKCS12")
	}
	storePassword, err := cfg.store(ctx)
	if err != nil {
		return nil, err
	}
	text, err := latin1("StorePassword", storePassword)
	if err != nil {
		return nil, err
	}
	if !isWhole(content, text) {
		return nil, &Error{Reason: StorePassword, Detail: "Config.StorePassword is not the one of the store, or the store is damaged"}
	}
	store := keystore.New(keystore.WithCaseExactAliases(), keystore.WithOrderedAliases())
	if store.Load(bytes.NewReader(content), text) != nil {
		return nil, malformed("the JKS is malformed")
	}
	chosen, err := choose(privateEntries(store), cfg.Alias)
	if err != nil {
		return nil, err
	}
	if err := cfg.open(ctx, store, &chosen); err != nil {
		return nil, err
	}
	return cfg.load(chosen)
}

// isWhole checks the digest at the end of a JKS. It stands before anything else is
// read: the library believes each length that it finds, and a damaged one could be
// that of all memory.
func isWhole(content, password []byte) bool {
	body, digest := content[:len(content)-sha1.Size], content[len(content)-sha1.Size:]
	h := sha1.New() //nolint:gosec // G401: of the format
	for _, c := range password {
		h.Write([]byte{0, c}) // UTF-16
	}
	h.Write([]byte("Mighty Aphrodite"))
	h.Write(body)
	return subtle.ConstantTimeCompare(h.Sum(nil), digest) == 1
}

// latin1 writes a password as the library wants it: it makes UTF-16 of each byte.
func latin1(field, password string) ([]byte, error) {
	text := make([]byte, 0, len(password))
	for _, r := range password {
		if r > 0xff {
			return nil, unsupported("Config." + field + " has a character outside of Latin-1, which is not supported for JKS")
		}
		text = append(text, byte(r)) //nolint:gosec // G115: 255 at most
	}
	return text, nil
}

func privateEntries(store keystore.KeyStore) (list []entry) {
	for _, alias := range store.Aliases() {
		if store.IsPrivateKeyEntry(alias) {
			list = append(list, entry{alias: alias})
		}
	}
	return list
}

// open decrypts the private key of an entry.
func (cfg Config) open(ctx context.Context, store keystore.KeyStore, e *entry) error {
	password, err := cfg.key(ctx)
	if err != nil {
		return err
	}
	text, err := latin1("KeyPassword", password)
	if err != nil {
		return err
	}
	opened, err := store.GetPrivateKeyEntry(e.alias, text)
	if err != nil {
		detail := "Config.KeyPassword is not the one of the key"
		if cfg.KeyPassword == nil {
			detail = "the key has another password than the store: set Config.KeyPassword"
		}
		return &Error{Reason: KeyPassword, Detail: detail}
	}
	if e.key, err = x509.ParsePKCS8PrivateKey(opened.PrivateKey); err != nil { // what it says may hold numbers of the key
		return unsupported("the private key is of a type or curve that is not supported")
	}
	for _, c := range opened.CertificateChain {
		parsed, err := x509.ParseCertificate(c.Content)
		if err != nil {
			return malformed("a certificate of the key is malformed")
		}
		e.certificates = append(e.certificates, parsed)
	}
	return nil
}
