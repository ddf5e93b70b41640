#!/usr/bin/env bash
# Tries every flag of the API with curl, and says what came out that should not have:
#
#   go test -v -run TestTry ./examples/api
#
# The test starts the providers, builds the program and hands over, as variables of the
# environment, where they are ($API, $ISSUER, …) and tokens ($ALICE, …). It counts the
# lines that begin with "ok".
set -euo pipefail

readonly realm='realm="oidckit example"'
BASE="" # where the API is that was started last
pid=""

stop() {
  if [[ -n $pid ]]; then
    kill "$pid" 2>/dev/null || true
    wait "$pid" || true
    pid=""
  fi
}
trap stop EXIT

# start FLAG... runs the API with these flags until the next one is started.
start() {
  stop
  echo "--- api $*"
  : >"$WORK/out"
  "$API" -listen 127.0.0.1:0 "$@" >"$WORK/out" 2>"$WORK/err" &
  pid=$!
  BASE=""
  for _ in $(seq 400); do
    BASE="$(sed -n 's/^The API is at //p' "$WORK/out")"
    [[ -z $BASE ]] || return 0
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.05
  done
  fail "it does not start: $(cat "$WORK/err")"
}

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# call STATUS CHALLENGE CURL-ARGUMENT... calls the API. CHALLENGE is the whole of
# WWW-Authenticate, and what stands for the metadata's address is put in.
call() {
  local status="$1" challenge="$2" got
  shift 2
  got="$(curl -sS -o "$WORK/body" -D "$WORK/headers" -w '%{http_code}' "$@")"
  [[ $got == "$status" ]] || fail "$status expected, not $got: $* $(cat "$WORK/body" "$WORK/err")"
  got="$(tr -d '\r' <"$WORK/headers" | sed -n 's/^[Ww]ww-[Aa]uthenticate: //p')"
  [[ $got == "$challenge" ]] || fail "WWW-Authenticate: $challenge expected, not $got"
  echo "ok $status $challenge"
}

# body TEXT: the answer had it. logged TEXT: the last line of the log has it.
body() { grep -qF -- "$1" "$WORK/body" || fail "$1 is not in $(cat "$WORK/body")"; }
header() { grep -qiF -- "$1" "$WORK/headers" || fail "$1 is not in $(cat "$WORK/headers")"; }
logged() { tail -n 1 "$WORK/err" | grep -qF -- "$1" || fail "$1 is not at the end of $(cat "$WORK/err")"; }

# bearer TOKEN PATH: the arguments of curl.
bearer() { args=(-H "Authorization: Bearer $1" "$BASE$2"); }
good() { bearer "$1" "${2:-/whoami}"; call 200 "" "${args[@]}"; }

# bad TOKEN REASON: it is refused, and the log of the API says why, which the client must not know.
bad() {
  bearer "$1" /whoami
  call 401 "Bearer $realm, error=\"invalid_token\", $metadata" "${args[@]}"
  logged "token refused: $2"
}

# metadata_at URL: where challenges lead to.
metadata_at() { metadata="resource_metadata=\"$1\""; }
metadata_here() { metadata_at "$BASE/.well-known/oauth-protected-resource"; }

# refused TEXT FLAG...: the program ends, and says what to write.
refused() {
  local want="$1"
  shift
  stop
  "$API" -listen 127.0.0.1:0 "$@" >"$WORK/out" 2>"$WORK/err" &
  pid=$!
  for _ in $(seq 400); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.05
  done
  if kill -0 "$pid" 2>/dev/null || wait "$pid"; then fail "it starts with $*"; fi
  pid=""
  tail -n 1 "$WORK/err" | grep -qF -- "$want" || fail "$want is not in $(cat "$WORK/err")"
  echo "ok refused $*"
}

# -require-dpop comes first: proofs are good for a minute.
start -issuer "$ISSUER" -audience "$AUDIENCE" -require-dpop -public-url https://api.example.com
metadata_at https://api.example.com/.well-known/oauth-protected-resource
readonly algs='algs="ES256 ES384 ES512 PS256 PS384 PS512 EdDSA"'
call 401 "DPoP $realm, $metadata, $algs" "$BASE/whoami"
bearer "$BOB" /whoami
call 401 "DPoP $realm, error=\"invalid_token\", $metadata, $algs" "${args[@]}"
bearer "$BOUND" /whoami
call 401 "DPoP $realm, error=\"invalid_token\", $metadata, $algs" "${args[@]}"
dpop=(-H "Authorization: DPoP $BOUND")
call 401 "DPoP $realm, error=\"invalid_dpop_proof\", $metadata, $algs" "${dpop[@]}" "$BASE/whoami"
call 200 "" "${dpop[@]}" -H "DPoP: $PROOF" "$BASE/whoami?a=b"
call 401 "DPoP $realm, error=\"invalid_dpop_proof\", $metadata, $algs" "${dpop[@]}" -H "DPoP: $PROOF" "$BASE/whoami"
call 401 "DPoP $realm, error=\"invalid_dpop_proof\", $metadata, $algs" "${dpop[@]}" -H "DPoP: $PROOF_OTHER_PATH" "$BASE/whoami"
call 401 "DPoP $realm, error=\"invalid_token\", $metadata, $algs" "${dpop[@]}" -H "DPoP: $PROOF_OTHER_KEY" "$BASE/whoami"
call 200 "" "$BASE/.well-known/oauth-protected-resource"
body '"dpop_bound_access_tokens_required":true'

# Without flags: the lines it prints are to be pasted.
start
for _ in $(seq 400); do
  [[ $(grep -c '^curl ' "$WORK/out") == 6 ]] && break
  sleep 0.05
done
statuses=""
while read -r line; do
  if [[ $line == "curl -i "* ]]; then statuses+="$(eval "curl -sS -o /dev/null -w '%{http_code} ' ${line#curl -i}")"; fi
done <"$WORK/out"
[[ $statuses == "200 401 200 200 403 200 " ]] || fail "the printed lines: $statuses"
echo "ok the printed lines: $statuses"

start -issuer "$ISSUER" -audience "$AUDIENCE"
metadata_here
call 200 "" "$BASE/public"
call 401 "Bearer $realm, $metadata" "$BASE/whoami"
call 401 "Bearer $realm, scope=\"reports:read\", $metadata" "$BASE/reports"
call 400 "Bearer $realm, error=\"invalid_request\", $metadata" -H 'Authorization: Bearer a b' "$BASE/whoami"
good "$BOB"
body '"username":"248289761002"'
good "$BOB" /reports
bearer "$ALICE" /reports
call 403 "Bearer $realm, error=\"insufficient_scope\", scope=\"reports:read\", $metadata" "${args[@]}"
bearer "$BOB" /admin
call 403 "Bearer $realm, error=\"insufficient_scope\", $metadata" -X POST "${args[@]}"
bearer "$ALICE" /admin
call 200 "" -X POST "${args[@]}"
bad "$OTHER_AUDIENCE" audience
bad "$OTHER_BOB" issuer
bad "$OPAQUE" malformed
bad "$BOUND" binding
call 200 "" "$BASE/.well-known/oauth-protected-resource"
body "\"authorization_servers\":[\"$ISSUER\"]"
body "\"resource\":\"$BASE\""

# -issuer, several: each with its own keys.
start -issuer "$ISSUER" -issuer "$OTHER_ISSUER" -audience "$AUDIENCE"
metadata_here
good "$BOB"
body "\"iss\":\"$ISSUER\""
good "$OTHER_BOB"
body "\"iss\":\"$OTHER_ISSUER\""
bad "$CROSSED" key
bad "$STRANGER" issuer

# -client-id is the audience, where nothing else is.
start -issuer "$ISSUER" -client-id "$AUDIENCE"
metadata_here
good "$BOB"
bad "$OTHER_AUDIENCE" audience

# -public-url
start -issuer "$ISSUER" -audience "$AUDIENCE" -public-url https://api.example.com/v1
metadata_at https://api.example.com/.well-known/oauth-protected-resource/v1
call 401 "Bearer $realm, $metadata" "$BASE/whoami"
call 200 "" "$BASE/.well-known/oauth-protected-resource/v1"
body '"resource":"https://api.example.com/v1"'

# -jwks-uri: this provider has no metadata.
start -issuer "$SILENT_ISSUER" -audience "$AUDIENCE"
bearer "$SILENT_BOB" /whoami
call 503 "" "${args[@]}"
header "Retry-After: "
start -issuer "$SILENT_ISSUER" -audience "$AUDIENCE" -jwks-uri "$SILENT_ISSUER/jwks"
metadata_here
good "$SILENT_BOB"
bad "$BOB" issuer

# -jws-alg
start -issuer "$OTHER_ISSUER" -audience "$AUDIENCE" -jws-alg ES256
metadata_here
good "$OTHER_ES256"
bad "$OTHER_BOB" algorithm
start -issuer "$OTHER_ISSUER" -audience "$AUDIENCE"
metadata_here
bad "$OTHER_ES256" algorithm

# -secret-key, out of the environment, out of a file, and for all to see
start -issuer "$ISSUER" -audience "$AUDIENCE" -jws-alg HS256 -secret-key env:SECRET
metadata_here
[[ ! -s $WORK/err ]] || fail "it warns: $(cat "$WORK/err")"
good "$HS256"
bad "$HS384" algorithm
bad "$HS256_OTHER_SECRET" signature
bad "$BOB" algorithm
start -issuer "$ISSUER" -audience "$AUDIENCE" -jws-alg HS384 -secret-key "file:$SECRET_FILE"
good "$HS384"
start -issuer "$ISSUER" -audience "$AUDIENCE" -jws-alg HS512 -secret-key "$SECRET"
logged 'write env:NAME or file:PATH in its place'
good "$HS512"
if grep -qF -- "$SECRET" "$WORK/err" "$WORK/out"; then fail "the program shows the secret"; fi

# -username-claim
start -issuer "$ISSUER" -audience "$AUDIENCE" -username-claim preferred_username
metadata_here
good "$ALICE"
body '"username":"alice"'
bad "$NAMELESS" 'claim (preferred_username)'
start -issuer "$ISSUER" -audience "$AUDIENCE" -username-claim groups
metadata_here
bearer "$ALICE" /whoami
call 403 "Bearer $realm, error=\"insufficient_scope\", $metadata" "${args[@]}"

# -roles-claim: nested, with dots in a name, at a place where nothing is
start -issuer "$ISSUER" -audience "$AUDIENCE" -roles-claim resource_access.api.roles
good "$ALICE"
body '"roles":["admin","user"]'
start -issuer "$ISSUER" -audience "$AUDIENCE" -roles-claim 'https://example\.com/roles'
good "$ALICE"
body '"roles":["admin","user"]'
start -issuer "$ISSUER" -audience "$AUDIENCE" -roles-claim 'https://example.com/roles'
metadata_here
bad "$ALICE" 'claim (https://example.com/roles)'
start -issuer "$ISSUER" -audience "$AUDIENCE" -roles-claim realm_access
metadata_here
good "$ALICE"
body '"roles":[]'

# -introspection-url with -client-id and -client-secret
start -issuer "$OPAQUE_ISSUER" -audience "$AUDIENCE" -introspection-url "$OPAQUE_ISSUER/introspect" \
  -client-id "$CLIENT_ID" -client-secret env:CLIENT_SECRET
metadata_here
good "$OPAQUE"
good "$OPAQUE" /reports
good "$OPAQUE_ISSUER_JWT"
bad "$OPAQUE_OTHER_AUDIENCE" audience
bad "$REVOKED" revoked
bad made-up revoked
bad "$BOB" issuer
start -issuer "$OPAQUE_ISSUER" -audience "$AUDIENCE" -introspection-url "$OPAQUE_ISSUER/introspect" \
  -client-id "$CLIENT_ID" -client-secret "file:$CLIENT_SECRET_FILE"
good "$OPAQUE"
start -issuer "$OPAQUE_ISSUER" -audience "$AUDIENCE" -introspection-url "$NOWHERE/introspect" \
  -client-id "$CLIENT_ID" -client-secret "$CLIENT_SECRET"
logged 'write env:NAME or file:PATH in its place'
bearer "$OPAQUE" /whoami
call 503 "" "${args[@]}"
header "Retry-After: "
good "$OPAQUE_ISSUER_JWT"

# -routes: those of a file, for a provider like that of Fedora
start -issuer "$IPSILON_ISSUER" -audience other -audience "$CLIENT_ID" -introspection-url "$IPSILON_ISSUER/introspect" \
  -client-id "$CLIENT_ID" -client-secret env:CLIENT_SECRET -client-auth-method client_secret_post -routes fedora.yaml
metadata_here
good "$PACKAGER" /me/groups
good "$PACKAGER"
body '"roles":["packager","http://admin.fedoraproject.org/accounts/cla/done"]'
bearer "$PACKAGER" /packages
call 200 "" -X POST "${args[@]}"
bearer "$PACKAGER" /packages/golang
call 403 "Bearer $realm, error=\"insufficient_scope\", $metadata" -X DELETE "${args[@]}"
logged 'the role provenpackager is missing'
bearer "$PACKAGER" /wiki/api
call 403 "Bearer $realm, error=\"insufficient_scope\", scope=\"https://fedoraproject.org/wiki/api\", $metadata" -X POST "${args[@]}"
call 404 "" "$BASE/reports"
start -issuer "$IPSILON_ISSUER" -audience "$CLIENT_ID" -introspection-url "$IPSILON_ISSUER/introspect" \
  -client-id "$CLIENT_ID" -client-secret env:CLIENT_SECRET -client-auth-method client_secret_post -routes fedora.yaml -userinfo-url "$NOWHERE/userinfo"
good "$PACKAGER" /me/groups
bearer "$PACKAGER" /packages
call 503 "" -X POST "${args[@]}"
header "Retry-After: "

# -routes alone: the embedded provider is like that of Fedora, and prints lines too.
start -routes fedora.yaml
for _ in $(seq 400); do
  [[ $(grep -c '^curl ' "$WORK/out") == 6 ]] && break
  sleep 0.05
done
statuses=""
while read -r line; do
  if [[ $line == "curl -i "* ]]; then statuses+="$(eval "curl -sS -o /dev/null -w '%{http_code} ' ${line#curl -i}")"; fi
done <"$WORK/out"
[[ $statuses == "403 200 200 200 403 200 " ]] || fail "the printed lines: $statuses"
echo "ok the printed lines: $statuses"

# -config: what is taken is in a deploy-oidc.yaml.
start -config "$DEPLOY_CONFIG"
metadata_here
good "$DEPLOY_ALICE"
body '"username":"alice"'
bad "$ALICE" audience
call 200 "" "$BASE/healthz"
call 200 "" "$BASE/readyz"
start -config "$DEPLOY_CONFIG" -require-dpop -public-url https://api.example.com
metadata_at https://api.example.com/.well-known/oauth-protected-resource
call 401 "DPoP $realm, $metadata, $algs" "$BASE/whoami"
stop

# -config with -check: a table, and an error if something is wrong.
start -issuer "$SILENT_ISSUER" -audience "$AUDIENCE"
call 503 "" "$BASE/readyz"
stop
"$API" -config "$DEPLOY_CONFIG" -check >"$WORK/body" || fail "-check finds something: $(cat "$WORK/body")"
body 'access-token.audience'
echo "ok -check"
refused 'are wrong, see the table' -config "$DEPLOY_CONFIG_SILENT" -check
grep -qF 'no metadata: ' "$WORK/out" || fail "$(cat "$WORK/out")"
refused 'clientSecrte: is not known: did you mean clientSecret?' -config "$DEPLOY_CONFIG_WRONG" -check
refused '-audience is what -config decides' -config "$DEPLOY_CONFIG" -audience x
refused 'add -config' -check
refused 'no such file' -config "$WORK/no such file"

# What is wrong with the flags, and what to write.
readonly real=(-issuer "$ISSUER" -audience "$AUDIENCE")
refused 'add -issuer' -require-dpop
refused 'add it, with what tokens have in aud' -issuer "$ISSUER"
refused 'not https; plain http is for loopback' -issuer http://id.example -audience "$AUDIENCE"
refused 'write each once' "${real[@]}" -issuer "$ISSUER"
refused 'write a URL with https://' "${real[@]}" -public-url api.example.com
refused 'leave one -issuer' "${real[@]}" -issuer "$OTHER_ISSUER" -jwks-uri "$ISSUER/jwks"
refused 'write one, such as RS256' "${real[@]}" -jws-alg none
refused 'add -secret-key env:NAME or file:PATH' "${real[@]}" -jws-alg HS256
refused 'add -jws-alg HS256, HS384 or HS512' "${real[@]}" -secret-key env:SECRET
refused 'leave one of them out' "${real[@]}" -jws-alg HS256 -secret-key env:SECRET -jwks-uri "$ISSUER/jwks"
refused 'write env: and a variable, or file: and a path' "${real[@]}" -jws-alg HS256 -secret-key env:NO_SUCH_VARIABLE
refused 'write env: and a variable, or file: and a path' "${real[@]}" -jws-alg HS256 -secret-key "file:$WORK/no such file"
refused 'add -client-id and -client-secret' "${real[@]}" -introspection-url "$ISSUER/introspect"
refused 'add that, or leave it out' "${real[@]}" -client-secret env:SECRET
refused 'add -client-id' "${real[@]}" -routes fedora.yaml
refused 'roles_from: [userinfo.groups], or leave it out' "${real[@]}" -userinfo-url "$ISSUER/userinfo"
refused 'write client_secret_basic or client_secret_post' "${real[@]}" -client-auth-method none
refused 'pagur is no namespace: did you mean pagure?' "${real[@]}" -client-id x -routes "$ROUTES_WRONG"
refused 'leave one -issuer' "${real[@]}" -issuer "$OTHER_ISSUER" -client-id x -routes fedora.yaml
refused 'a dot in a name is written \.' -roles-claim ''
refused 'a dot in a name is written \.' -username-claim 'a..b'
refused 'write -name value' issuer
