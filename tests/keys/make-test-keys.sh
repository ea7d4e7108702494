#!/bin/sh
# Makes the committed test keys: they sign nothing but test responses. Run it in this folder with openssl on the PATH.
set -eu
cd "$(dirname "$0")"

subject='/C=US/ST=CO/L=Boulder/O=samlgate tests/OU=JumpCloudSAMLIdP/CN=JumpCloudSAMLUser'

# $1: name; the rest: openssl's description of the key
make_key() {
    name=$1
    shift
    openssl genpkey "$@" -out "$name.pem"
    openssl req -x509 -new -key "$name.pem" -sha256 -days 1826 -subj "$subject" -out "$name.crt"
    chmod 600 "$name.pem"
}

make_key test-rsa-4096 -algorithm RSA -pkeyopt rsa_keygen_bits:4096
make_key test-rsa-2048 -algorithm RSA -pkeyopt rsa_keygen_bits:2048
make_key test-stranger-rsa-2048 -algorithm RSA -pkeyopt rsa_keygen_bits:2048
make_key test-p256 -algorithm EC -pkeyopt ec_paramgen_curve:P-256
make_key test-decryption-rsa-2048 -algorithm RSA -pkeyopt rsa_keygen_bits:2048
make_key test-decryption-previous-rsa-2048 -algorithm RSA -pkeyopt rsa_keygen_bits:2048

# Too weak to be trusted; only its certificate is needed.
make_key test-weak-rsa-1024 -algorithm RSA -pkeyopt rsa_keygen_bits:1024
rm test-weak-rsa-1024.pem
