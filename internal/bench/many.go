package bench

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// Many is a number of issuers on one host, each with a key set of its own: two RSA
// keys and the one that signs, all with certificates.
type Many struct {
	Size int // of a key set, bytes

	server    *httptest.Server
	documents [][]byte
	tokens    []string
	key       *Key
}

// NewMany starts n issuers, which end with the process.
func NewMany(n int) (*Many, error) {
	key, err := NewKey(KeyID, "RS256")
	if err != nil {
		return nil, err
	}
	m := &Many{key: key}
	m.server = httptest.NewServer(m)
	for i := range n {
		document, err := certified(key, decoy(i, 1), decoy(i, 2))
		if err != nil {
			return nil, err
		}
		token, err := key.Sign(Small(m.issuer(i), i))
		if err != nil {
			return nil, err
		}
		m.documents, m.tokens = append(m.documents, document), append(m.tokens, token)
	}
	m.Size = len(m.documents[0])
	return m, nil
}

// decoy has a modulus that nobody knows the factors of: making a thousand true
// keys would take minutes, and no reader can tell.
func decoy(issuer, n int) *Key {
	modulus := make([]byte, 256)
	_, _ = rand.Read(modulus) // it never fails
	modulus[0] |= 0x80
	modulus[255] |= 1
	return &Key{
		ID: strconv.Itoa(issuer) + "-" + strconv.Itoa(n), Algorithm: "RS256",
		private: &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: 65537}},
	}
}

// certified is a JWK Set in which every key has its certificate.
func certified(keys ...*Key) ([]byte, error) {
	var set jose.JSONWebKeySet
	for _, k := range keys {
		j, err := k.jwk(true)
		if err != nil {
			return nil, err
		}
		set.Keys = append(set.Keys, j)
	}
	return json.Marshal(set)
}

func (m *Many) issuer(i int) string { return m.server.URL + "/" + strconv.Itoa(i) }

// Options are those for a verifier at issuer i.
func (m *Many) Options(i int, client *http.Client) Options {
	return Options{Issuer: m.issuer(i), KeysURL: m.issuer(i) + KeysPath, Algorithm: m.key.Algorithm, HTTPClient: client}
}

// Token is a good one of issuer i.
func (m *Many) Token(i int) string { return m.tokens[i] }

// ServeHTTP implements http.Handler.
func (m *Many) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	i, err := strconv.Atoi(name)
	if err != nil || i < 0 || i >= len(m.documents) {
		http.NotFound(w, r)
		return
	}
	if "/"+path == KeysPath {
		writeJSON(w, bytes.Clone(m.documents[i]))
		return
	}
	writeJSON(w, Metadata(m.issuer(i)))
}
