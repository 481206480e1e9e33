# PostgreSQL, as `watch.sh` has it. Orders more: `sql URL SQL` runs a statement, `limit FOLDER BYTES` has none of the server's
# files grow beyond that, or `unlimited`.
#
# Further arguments after PORT: `durable` has the server wait for the disk, as one that is to be measured must;
# `tls=HOST` has it speak TLS, with a certificate for that name by the authority in FOLDER/ca.crt; `small` has it write its
# log in files of 1 MiB, so that a small limit on files leaves the log alone.

find_server() {
    for bin in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV) "$(pg_config --bindir 2>/dev/null)"; do
        if [ -x "$bin/initdb" ]; then
            echo "$bin"
            return
        fi
    done
    echo "PostgreSQL is not installed: run \`cargo xtask services install\`, or name a server in" \
        "NEUROGLIA_TEST_POSTGRES" >&2
    return 1
}

# PostgreSQL refuses to run as root, and its user must be able to enter the current folder.
run() {
    if [ "$(id -u)" = 0 ]; then
        (cd / && exec runuser -u postgres -- "$@")
    else
        "$@"
    fi
}

durability() {
    [ "${1-}" = durable ] || echo "-c fsync=off -c full_page_writes=off"
}

start() {
    tls=
    [ ! -e "$folder/server.crt" ] || tls="-c ssl=on -c ssl_cert_file=$folder/server.crt -c ssl_key_file=$folder/server.key"
    run "$bin/pg_ctl" -s -w -t 60 -D "$folder/data" -l "$folder/log" -o "-p $port -k $folder \
        -c listen_addresses=127.0.0.1 $(durability $more) -c max_connections=300 -c shared_buffers=64MB $tls" start >&2 ||
        { tail -n 20 "$folder/log" >&2; exit 1; }
}

halt() {
    run "$bin/pg_ctl" -s -w -m "$1" -D "$folder/data" stop >&2 || true
}

stop() {
    halt fast
}

crash() {
    halt immediate
}

status() {
    run "$bin/pg_ctl" -D "$folder/data" status
}

# Texts sort as people expect them to, as on many servers; what sorts by bytes must say so.
initialise() {
    set -- -D "$folder/data" -A trust -U postgres -E UTF8 --locale=C.UTF-8 --no-sync --no-instructions
    [ "$more" != small ] || set -- "$@" --wal-segsize=1
    run "$bin/initdb" "$@" --locale-provider=icu --icu-locale=en-US || run "$bin/initdb" "$@"
}

up() {
    mkdir -p "$folder"
    chmod 755 "$folder"
    [ "$(id -u)" != 0 ] || chown postgres: "$folder"
    initialise >"$folder/initdb" 2>&1 || { cat "$folder/initdb" >&2; exit 1; }
    case $more in tls=*) certify "${more#tls=}" ;; esac
    start
}

# Whoever is born of the first process inherits its limit. While others come and go the kernel may leave some out.
limit() {
    first=$(head -n 1 "$folder/data/postmaster.pid")
    children=
    until [ "$children" = "$(cat "/proc/$first/task/$first/children")" ]; do
        children=$(cat "/proc/$first/task/$first/children")
        run sh -c 'most=$1; shift; for one in "$@"; do
                prlimit --pid "$one" --fsize="$most:" || [ ! -e "/proc/$one" ] || exit 1
            done' sh "$1" "$first" $children
    done
}

bin=$(find_server)
case $1 in
sql)
    exec "$bin/psql" -q -X -A -t -v ON_ERROR_STOP=1 -d "$2" -c "$3"
    ;;
limit)
    folder=$2
    limit "$3"
    exit
    ;;
esac
