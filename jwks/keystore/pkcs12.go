package keystore

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"slices"
	"unicode/utf16"

	"software.sslmate.com/src/go-pkcs12"
)

// The types of RFC 7292 section 4.
type pfx struct {
	Version  int
	AuthSafe contentInfo
	MAC      macData `asn1:"optional"`
}

type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"tag:0,explicit,optional"`
}

type macData struct {
	MAC        digestInfo
	Salt       []byte
	Iterations int `asn1:"optional,default:1"`
}

type digestInfo struct {
	Algorithm pkix.AlgorithmIdentifier
	Digest    []byte
}

type safeBag struct {
	Type       asn1.ObjectIdentifier
	Value      asn1.RawValue `asn1:"tag:0,explicit"`
	Attributes []attribute   `asn1:"set,optional"`
}

type attribute struct {
	Type   asn1.ObjectIdentifier
	Values []asn1.RawValue `asn1:"set"`
}

const (
	oidData         = "1.2.840.113549.1.7.1"
	oidKeyBag       = "1.2.840.113549.1.12.10.1.1"
	oidShroudedBag  = "1.2.840.113549.1.12.10.1.2"
	oidFriendlyName = "1.2.840.113549.1.9.20"
	oidPBMAC1       = "1.2.840.113549.1.5.14"
)

// macs are what go-pkcs12 checks: SHA-1, SHA-256, SHA-512, PBMAC1.
var macs = []string{"1.3.14.3.2.26", "2.16.840.1.101.3.4.2.1", "2.16.840.1.101.3.4.2.3", oidPBMAC1}

// isPKCS12: a SEQUENCE that begins with version 3.
func isPKCS12(content []byte) bool {
	var p struct {
		Version int
		Rest    asn1.RawValue
		MAC     asn1.RawValue `asn1:"optional"`
	}
	return unmarshal(content, &p) && p.Version == 3
}

func readPKCS12(ctx context.Context, cfg Config, content []byte) (*loaded, error) {
	s, err := parsePKCS12(content)
	if err != nil {
		return nil, err
	}
	password, err := cfg.onePassword(ctx)
	if err != nil {
		return nil, err
	}
	// It fails for a store of several keys, but not before it has checked the MAC.
	if _, _, _, err := pkcs12.DecodeChain(content, password); errors.Is(err, pkcs12.ErrIncorrectPassword) {
		return nil, &Error{Reason: StorePassword, Detail: "Config.StorePassword is not the one of the store, or the store is damaged"}
	}
	chosen, err := choose(s.entries(), cfg.Alias)
	if err != nil {
		return nil, err
	}
	if err := s.open(&chosen, password); err != nil {
		return nil, err
	}
	return cfg.load(chosen)
}

// onePassword: keytool gives the keys of such a store no other.
func (cfg Config) onePassword(ctx context.Context) (string, error) {
	store, err := cfg.store(ctx)
	if err != nil || cfg.KeyPassword == nil {
		return store, err
	}
	key, err := cfg.key(ctx)
	if err == nil && key != store {
		err = &Error{Reason: KeyPassword, Detail: "PKCS12 has one password: leave Config.KeyPassword empty, or let it be the same"}
	}
	return store, err
}

// A pkcs12Store is a PKCS#12 store whose keys were found, and not opened.
type pkcs12Store struct {
	keys   []safeBag
	raw    []asn1.RawValue // of keys
	others []asn1.RawValue // contentInfos without keys
}

func parsePKCS12(content []byte) (s pkcs12Store, err error) {
	var p pfx
	var infos []asn1.RawValue
	safe, ok := []byte(nil), unmarshal(content, &p)
	if ok {
		safe, ok = p.AuthSafe.data()
	}
	if !ok || p.Version != 3 || !unmarshal(safe, &infos) {
		return s, malformed("the file is no PKCS12, or its integrity is not protected by a password")
	}
	if p.MAC.Iterations > maxIterations {
		return s, malformed("the PKCS12 is malformed")
	}
	if !slices.Contains(macs, p.MAC.MAC.Algorithm.Algorithm.String()) {
		return s, unsupported("the MAC of the store is missing, or not supported: make the store anew by a current keytool or openssl")
	}
	for _, raw := range infos {
		if !s.take(raw) {
			return s, malformed("the PKCS12 is malformed")
		}
	}
	return s, nil
}

// data returns the content, if it is not encrypted.
func (c contentInfo) data() (content []byte, ok bool) {
	ok = c.Type.String() == oidData && unmarshal(c.Content.Bytes, &content)
	return content, ok
}

// take finds the keys of one part of the store. openssl, keytool and Windows leave the
// part that has keys in plain text, for each key is encrypted by itself.
func (s *pkcs12Store) take(raw asn1.RawValue) bool {
	var info contentInfo
	if !unmarshal(raw.FullBytes, &info) {
		return false
	}
	content, plain := info.data()
	if !plain {
		s.others = append(s.others, raw)
		return true
	}
	var bags, others []asn1.RawValue
	if !unmarshal(content, &bags) {
		return false
	}
	for _, raw := range bags {
		var bag safeBag
		if !unmarshal(raw.FullBytes, &bag) {
			return false
		}
		if t := bag.Type.String(); t == oidKeyBag || t == oidShroudedBag {
			s.keys, s.raw = append(s.keys, bag), append(s.raw, raw)
		} else {
			others = append(others, raw)
		}
	}
	if len(others) == 0 {
		return true
	}
	part, err := safeOf(others)
	s.others = append(s.others, part)
	return err == nil
}

func (s pkcs12Store) entries() (list []entry) {
	for i, bag := range s.keys {
		list = append(list, entry{alias: bag.friendlyName(), key: s.raw[i]})
	}
	return list
}

func (b safeBag) friendlyName() string {
	for _, a := range b.Attributes {
		if a.Type.String() == oidFriendlyName && len(a.Values) == 1 && a.Values[0].Tag == asn1.TagBMPString {
			return fromBMP(a.Values[0].Bytes)
		}
	}
	return ""
}

func fromBMP(text []byte) string {
	units := make([]uint16, 0, len(text)/2)
	for pair := range slices.Chunk(text[:len(text)/2*2], 2) {
		units = append(units, uint16(pair[0])<<8|uint16(pair[1]))
	}
	return string(utf16.Decode(units))
}

// open decrypts the key of an entry, and finds its certificates. go-pkcs12 knows
// stores of one key only: it gets one that has this key and a part of the
// certificates.
func (s pkcs12Store) open(e *entry, password string) error {
	bag, _ := e.key.(asn1.RawValue)
	err := error(&Error{Reason: NoKey, Detail: "the private key has no certificate: put it into the store, or use PEM"})
	e.key = nil
	for _, other := range s.others {
		single, marshalErr := singleKeyStore(other, bag, password)
		if marshalErr != nil {
			return malformed("the PKCS12 is malformed")
		}
		key, leaf, rest, decodeErr := pkcs12.DecodeChain(single, password)
		if decodeErr != nil {
			err = unsupported("a key, certificate or encryption in the PKCS12 is not supported")
			continue
		}
		e.key = key
		e.certificates = append(append(e.certificates, leaf), rest...)
	}
	if e.key == nil {
		return err
	}
	return nil
}

// singleKeyStore writes a PKCS#12 store with one key, under a MAC of its own (PBMAC1,
// RFC 9579). It leaves the process never, so one iteration is enough.
func singleKeyStore(certificates, key asn1.RawValue, password string) ([]byte, error) {
	part, err := safeOf([]asn1.RawValue{key})
	if err != nil {
		return nil, err
	}
	safe, err := asn1.Marshal([]asn1.RawValue{certificates, part})
	if err != nil {
		return nil, err
	}
	content, err := dataOf(safe)
	if err != nil {
		return nil, err
	}
	mac, err := pbmac1(safe, password)
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(pfx{Version: 3, AuthSafe: content, MAC: mac})
}

// safeOf writes a part of a store that is not encrypted.
func safeOf(bags []asn1.RawValue) (raw asn1.RawValue, err error) {
	content, err := asn1.Marshal(bags)
	if err != nil {
		return raw, err
	}
	info, err := dataOf(content)
	if err != nil {
		return raw, err
	}
	raw.FullBytes, err = asn1.Marshal(info)
	return raw, err
}

func dataOf(content []byte) (contentInfo, error) {
	octets, err := asn1.Marshal(content)
	data := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	return contentInfo{Type: data, Content: asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: octets}}, err
}

func pbmac1(content []byte, password string) (macData, error) {
	hmacSHA256 := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}}
	salt := make([]byte, 16)
	key, err := pbkdf2.Key(sha256.New, password, salt, 1, sha256.Size)
	if err != nil {
		return macData{}, err
	}
	derivation, err := asn1.Marshal(pbkdf2Parameters{Salt: salt, Iterations: 1, KeyLength: sha256.Size, Function: hmacSHA256})
	if err != nil {
		return macData{}, err
	}
	parameters, err := asn1.Marshal(pbes2{
		Derivation: pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}, Parameters: asn1.RawValue{FullBytes: derivation}},
		Encryption: hmacSHA256,
	})
	if err != nil {
		return macData{}, err
	}
	h := hmac.New(sha256.New, key)
	h.Write(content)
	return macData{MAC: digestInfo{
		Algorithm: pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 14}, Parameters: asn1.RawValue{FullBytes: parameters}},
		Digest:    h.Sum(nil),
	}, Salt: salt, Iterations: 1}, nil
}
