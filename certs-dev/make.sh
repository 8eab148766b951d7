#!/usr/bin/env bash
# Makes a CA and a certificate pair for development, next to this script: ca.crt, tls.crt and tls.key.
#
# A pair that is valid for another day stays, so that running it again breaks no client. The key of the CA is deleted, so it
# signs nothing else, and trusting ca.crt means trusting this one pair. To replace the pair and the CA, remove tls.crt and run
# the script again.
set -euo pipefail

readonly SERVICE=clusterprofile-webhook
readonly DAYS=365
readonly ONE_DAY=86400

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

command -v openssl >/dev/null || {
    echo "certs-dev: openssl is not installed" >&2
    exit 1
}

good() {
    [ -f "$here/ca.crt" ] && [ -f "$here/tls.crt" ] && [ -f "$here/tls.key" ] &&
        openssl x509 -in "$here/tls.crt" -noout -checkend "$ONE_DAY" &&
        openssl verify -CAfile "$here/ca.crt" "$here/tls.crt" &&
        [ "$(openssl x509 -in "$here/tls.crt" -noout -pubkey)" = "$(openssl pkey -in "$here/tls.key" -pubout)" ]
} >/dev/null 2>&1

if good; then
    echo "certs-dev: ca.crt, tls.crt and tls.key are there, $(openssl x509 -in "$here/tls.crt" -noout -enddate)"
    exit 0
fi

umask 077
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# A configuration of our own, so that the machine's openssl.cnf adds nothing.
cat >config <<END
[req]
distinguished_name = subject
prompt = no
[subject]
CN = \${ENV::CN}
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = @names
[names]
DNS.1 = localhost
DNS.2 = $SERVICE
DNS.3 = $SERVICE.$SERVICE
DNS.4 = $SERVICE.$SERVICE.svc
DNS.5 = $SERVICE.$SERVICE.svc.cluster.local
IP.1 = 127.0.0.1
IP.2 = ::1
END

# Says what went wrong where it goes wrong; openssl is talkative about what goes right.
quietly() {
    "$@" >log 2>&1 || {
        cat log >&2
        exit 1
    }
}

serial() { echo "0x$(openssl rand -hex 16)"; }

for key in ca.key tls.key; do
    quietly openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:named_curve -out "$key"
done
CN="$SERVICE development authority" quietly openssl req -x509 -new -sha256 -config config -extensions authority \
    -key ca.key -days "$DAYS" -set_serial "$(serial)" -out ca.crt
CN="$SERVICE" quietly openssl req -new -sha256 -config config -key tls.key -out tls.csr
CN="$SERVICE" quietly openssl x509 -req -sha256 -in tls.csr -CA ca.crt -CAkey ca.key -set_serial "$(serial)" \
    -days "$DAYS" -extfile config -extensions server -out tls.crt
quietly openssl verify -purpose sslserver -CAfile ca.crt tls.crt

chmod 644 ca.crt tls.crt
chmod 600 tls.key
mv -f ca.crt tls.crt tls.key "$here/"
echo "certs-dev: made ca.crt, tls.crt and tls.key, good for $DAYS days: localhost, 127.0.0.1, ::1 and the Service $SERVICE"
