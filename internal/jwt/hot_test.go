package jwt_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"strings"
	"testing"

	"github.com/oidckit/oidckit/internal/jwt"
	"github.com/oidckit/oidckit/internal/strictjson"
)

const large = `{"exp":1799999999,"iat":1764000000,"auth_time":1764000000,"jti":"9d2a7c1e-5b7e-4f0a-9c1b-1e2d3c4b5a69","iss":"https://sso.example.com/realms/production","aud":["api","account"],"sub":"f:3c9a1b7e-8d5f-4a2c-b6e0-9f8e7d6c5b4a:jane","typ":"Bearer","azp":"web-frontend","client_id":"web-frontend","sid":"0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9","acr":"1","allowed-origins":["https://app.example.com","https://admin.example.com"],"realm_access":{"roles":["offline_access","uma_authorization","default-roles-production","editor"]},"resource_access":{"api":{"roles":["read","write","reports:view"]},"account":{"roles":["manage-account","manage-account-links","view-profile"]}},"scope":"openid email profile api.read api.write","email_verified":true,"name":"Jane Doe","groups":["/staff","/staff/engineering","/staff/engineering/platform","/projects/apollo","/projects/hermes"],"preferred_username":"jane","given_name":"Jane","family_name":"Doe","email":"jane.doe@example.com","locale":"en","tenant":"acme-production-eu-west-1"}`

func BenchmarkHot(b *testing.B) {
	raw := signHS256(`{"alg":"HS256","kid":"k","typ":"at+jwt"}`, large, []byte(strings.Repeat("k", 32)))
	secret := jwt.NewSecret([]byte(strings.Repeat("k", 32)))
	b.Run("limit", func(b *testing.B) {
		mac := hmac.New(sha256.New, []byte(strings.Repeat("k", 32)))
		signed := []byte(raw)
		var out [64]byte
		for b.Loop() {
			mac.Reset()
			mac.Write(signed)
			mac.Sum(out[:0])
		}
	})
	b.Run("valid", func(b *testing.B) {
		for b.Loop() {
			json.Valid([]byte(large))
		}
	})
	b.Run("json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := strictjson.ParseString(large); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("signed", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			t, err := jwt.ParseSigned(raw)
			if err != nil {
				b.Fatal(err)
			}
			t.Release()
		}
	})
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			t, err := jwt.Parse(raw)
			if err != nil {
				b.Fatal(err)
			}
			t.Release()
		}
	})
	b.Run("verify", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			t, err := jwt.Parse(raw)
			if err != nil {
				b.Fatal(err)
			}
			if err := t.Verify(secret); err != nil {
				b.Fatal(err)
			}
			t.Release()
		}
	})
}
