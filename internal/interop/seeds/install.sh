#!/usr/bin/env bash
# Installs what the tests here need of other languages: npm's packages beside package.json, a virtual environment and
# a jar into the cache. What is there at the right version is left alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/consumers"

readonly cache="${XDG_CACHE_HOME:-$HOME/.cache}/oidckit-ci/seeds"
readonly jar=nimbus-jose-jwt-10.10.jar
readonly jar_sum=0edd2fbaab79e13f87d145d021f85a5c59956b2b6b5e761c0d664c87f94cda15
readonly dependency=org.apache.maven.plugins:maven-dependency-plugin:3.8.1

# Debian's packages with the programs.
readonly programs='curl:curl jq:jq bash:bash node:nodejs npm:npm python3:python3-venv java:openjdk-17-jdk-headless javac:openjdk-17-jdk-headless keytool:openjdk-17-jdk-headless mvn:maven'

missing=()
for program in $programs; do
  command -v "${program%:*}" >/dev/null || missing+=("${program%:*} (apt-get install ${program#*:})")
done
if ((${#missing[@]} > 0)); then
  printf 'NOT INSTALLED: %s\n' "${missing[@]}" >&2
  exit 1
fi

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9 # another checkout may do the same

(cd js && npm ci --ignore-scripts --no-audit --no-fund)

# A venv is of one Python and one list of packages.
want="$(python3 --version; sha256sum <python/requirements.txt)"
if [[ ! -f $cache/venv/ok || $(<"$cache/venv/ok") != "$want" ]]; then
  rm -rf "$cache/venv"
  python3 -m venv "$cache/venv"
  "$cache/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes -r python/requirements.txt
  "$cache/venv/bin/pip" check
  printf '%s\n' "$want" >"$cache/venv/ok"
fi

if ! (cd "$cache" && sha256sum --quiet -c <<<"$jar_sum  $jar") &>/dev/null; then
  mvn -q -B -ntp "$dependency:copy" "-Dartifact=com.nimbusds:nimbus-jose-jwt:10.10" "-DoutputDirectory=$cache"
  (cd "$cache" && sha256sum --quiet -c <<<"$jar_sum  $jar")
fi
