#!/bin/sh
# Makes the stores that the tests read, in the directory that is named. The keys are for
# these tests only and protect nothing: they are published, with their passwords.
#
#   sh testdata/make.sh testdata/stores
#
# Needs openssl 3 (with its legacy provider) and keytool of Java 17 or later.
set -eu
mkdir -p "$1"
cd "$1"
rm -f ./*
store=store-password
key=key-password

# Keys in PEM.
openssl genrsa -traditional -out rsa-pkcs1.pem 2048
openssl pkcs8 -topk8 -nocrypt -in rsa-pkcs1.pem -out rsa-pkcs8.pem
openssl ecparam -name prime256v1 -genkey -out ec-sec1.pem # with EC PARAMETERS before it
openssl ecparam -name secp384r1 -genkey -noout -out ec384-sec1.pem
openssl pkcs8 -topk8 -nocrypt -in ec-sec1.pem -out ec-pkcs8.pem
openssl ecparam -name secp521r1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out ec521-pkcs8.pem
openssl genpkey -algorithm ED25519 -out ed25519-pkcs8.pem
openssl genpkey -algorithm X25519 -out x25519.pem
openssl ecparam -name secp256k1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out secp256k1.pem
openssl genrsa -out rsa1024.pem 1024
cat ec-pkcs8.pem ed25519-pkcs8.pem >two-keys.pem

# Encrypted keys in PEM.
encrypt() { openssl pkcs8 -topk8 -passout "pass:$key" "$@"; }
encrypt -in rsa-pkcs1.pem -out enc-default.pem
encrypt -in ec-sec1.pem -v2 aes-128-cbc -out enc-aes128.pem
encrypt -in ec-sec1.pem -v2 aes-192-cbc -v2prf hmacWithSHA384 -out enc-aes192-sha384.pem
encrypt -in ed25519-pkcs8.pem -v2 aes-256-cbc -v2prf hmacWithSHA512 -iter 10000 -out enc-aes256-sha512.pem
encrypt -in rsa-pkcs1.pem -v2 des3 -v2prf hmacWithSHA1 -out enc-des3-sha1.pem
encrypt -in secp256k1.pem -out enc-secp256k1.pem
encrypt -in ec-sec1.pem -scrypt -out enc-scrypt.pem
encrypt -in ec-sec1.pem -v1 PBE-SHA1-3DES -out enc-pbes1.pem
encrypt -in ec-sec1.pem -v2 camellia-256-cbc -out enc-camellia.pem
openssl rsa -in rsa-pkcs1.pem -traditional -aes128 -passout "pass:$key" -out enc-old.pem

# Certificates: a root, one in the middle, and leaves.
authority() { openssl req -x509 -new -key "$1" -subj "$2" -days 7300 -out "$3"; }
authority ec384-sec1.pem "/CN=root" root.crt
openssl ecparam -name prime256v1 -genkey -noout -out middle.key
openssl req -x509 -new -key middle.key -subj "/CN=middle" -days 7300 -CA root.crt -CAkey ec384-sec1.pem -out middle.crt
leaf() { openssl req -x509 -new -key "$1" -subj "$2" -days 7300 -CA middle.crt -CAkey middle.key -extensions v3_req -out "$3"; }
leaf rsa-pkcs8.pem "/CN=rsa" rsa.crt
leaf ec-pkcs8.pem "/CN=ec" ec.crt
leaf ed25519-pkcs8.pem "/CN=ed25519" ed25519.crt
cat rsa-pkcs8.pem root.crt rsa.crt middle.crt >chain.pem # in disorder
cat rsa-pkcs8.pem ec.crt >other-certificate.pem

# PKCS#12 by openssl.
export12() { openssl pkcs12 -export -passout "pass:$store" "$@"; }
cat middle.crt root.crt >authorities.pem
export12 -name Client -inkey rsa-pkcs8.pem -in rsa.crt -certfile authorities.pem -out openssl-chain.p12
export12 -name client -inkey ec-pkcs8.pem -in ec.crt -out openssl-leaf.p12
export12 -inkey ed25519-pkcs8.pem -in ed25519.crt -certfile authorities.pem -out openssl-ed25519.p12
export12 -legacy -name client -inkey rsa-pkcs8.pem -in rsa.crt -certfile authorities.pem -out openssl-legacy.p12
export12 -keypbe NONE -certpbe NONE -name client -inkey ec-pkcs8.pem -in ec.crt -out openssl-plain.p12
export12 -nokeys -in rsa.crt -out openssl-no-key.p12
export12 -nocerts -name client -inkey ec-pkcs8.pem -out openssl-no-certificate.p12
export12 -nomac -name client -inkey ec-pkcs8.pem -in ec.crt -out openssl-no-mac.p12

# Stores by keytool: three keys, a certificate that is trusted, and in PKCS12 a secret.
tool() { keytool "$@" -noprompt 2>/dev/null; }
pair() { tool -genkeypair -validity 7300 "$@"; }
for type in PKCS12 JKS; do
	secret=$key
	[ $type = JKS ] || secret=$store
	at=keytool.$(echo $type | tr '[:upper:]' '[:lower:]')
	set -- -storetype $type -keystore "$at" -storepass "$store"
	pair "$@" -keypass "$secret" -alias rsa -keyalg RSA -keysize 2048 -dname CN=rsa
	pair "$@" -keypass "$secret" -alias ec -keyalg EC -groupname secp256r1 -dname CN=ec
	pair "$@" -keypass "$secret" -alias ed -keyalg Ed25519 -dname CN=ed
	tool -importcert "$@" -alias root -file root.crt
done
tool -genseckey -keystore keytool.pkcs12 -storepass "$store" -alias secret -keyalg AES -keysize 256
tool -importkeystore -J-Dkeystore.pkcs12.legacy -srckeystore openssl-chain.p12 -srcstorepass "$store" \
	-destkeystore keytool-legacy.p12 -deststorepass "$store" -deststoretype PKCS12
tool -importkeystore -srckeystore openssl-chain.p12 -srcstorepass "$store" \
	-destkeystore keytool-chain.jks -deststorepass "$store" -deststoretype JKS
tool -importkeystore -srckeystore openssl-leaf.p12 -srcstorepass "$store" \
	-destkeystore keytool.jceks -deststorepass "$store" -deststoretype JCEKS

rm -f middle.key authorities.pem root.crt middle.crt
