# Words for a server that speaks TLS; its script says how to `run` something as its user.

# An authority, and a certificate by it for the one name; once, however often the server starts.
certify() {
    [ ! -e "$folder/server.crt" ] || return 0
    key="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    run sh -euc 'cd "$1" && echo "subjectAltName=DNS:$2" >names &&
        openssl req -x509 $3 -keyout ca.key -out ca.crt -days 2 -subj "/CN=authority of a test" &&
        openssl req -new $3 -keyout server.key -out server.csr -subj "/CN=$2" &&
        openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names \
            -out server.crt' sh "$folder" "$1" "$key" >"$folder/certify" 2>&1 || {
        cat "$folder/certify" >&2
        exit 1
    }
}
