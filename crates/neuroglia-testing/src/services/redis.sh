# Redis, as `watch.sh` has it; it keeps its data in an append-only file, so that a restart finds it.
#
# After PORT: `password=TEXT` has it ask for one; `tls=HOST` has it speak TLS only, with a certificate for that name by the
# authority in FOLDER/ca.crt; `cluster=PORT` has it be a node of one, with this port for the others.

find_server() {
    find_program redis-server
}

run() {
    "$@"
}

start() {
    set -- --bind 127.0.0.1 --dir "$folder" --save '' --appendonly yes --appendfsync always
    case $more in
    tls=*)
        certify "${more#tls=}"
        set -- "$@" --port 0 --tls-port "$port" --tls-auth-clients no --tls-ca-cert-file "$folder/ca.crt" \
            --tls-cert-file "$folder/server.crt" --tls-key-file "$folder/server.key"
        ;;
    password=*) set -- "$@" --port "$port" --requirepass "${more#password=}" ;;
    cluster=*) set -- "$@" --port "$port" --cluster-enabled yes --cluster-port "${more#cluster=}" ;;
    *) set -- "$@" --port "$port" ;;
    esac
    begin redis-server "$@"
}
