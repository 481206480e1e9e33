# The stand-in for MongoDB, as `watch.sh` has it: SecantusDB, which speaks its protocol over WiredTiger, presents itself
# as a replica set of one member, and comes as a Python package. There is no package of MongoDB itself to install.
#
# It is kept in the user's cache, and installed there when it is first needed. After PORT: `user=NAME:PASSWORD` has it let
# in that user and nobody else; `tls=HOST` has it speak TLS only, with a certificate for that name by the authority in
# FOLDER/ca.crt; anything else is an argument of its own, such as `--sync-on-commit`, or `--standalone`. Orders more:
# `drop URI NAME` deletes a database of any server, `tell URI COMMAND` runs a command, written as JSON.

version=0.7.0b3
home=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/neuroglia/secantusdb-$version

find_server() {
    [ -e "$home/bin/secantusd-py" ] || install_server >&2 || return 1
    echo "$home/bin/secantusd-py"
}

install_server() {
    find_program python3 >/dev/null || return 1
    echo "installing SecantusDB $version into $home"
    mkdir -p "$(dirname "$home")"
    fresh=$(mktemp -d "$home.XXXXXX")
    pip=python3
    if ! python3 -m pip --version >/dev/null 2>&1; then
        python3 -m venv "$fresh/venv" || return 1
        pip=$fresh/venv/bin/python3
    fi
    "$pip" -m pip install --quiet --disable-pip-version-check --no-input --root-user-action=ignore \
        --target "$fresh/packages" "secantusdb==$version" || return 1
    # Whoever was quicker has put the same there.
    mv -T "$fresh/packages" "$home" 2>/dev/null || [ -e "$home/bin/secantusd-py" ] || return 1
    rm -rf "$fresh"
}

run() {
    "$@"
}

serve() {
    server=$(find_server)
    begin env PYTHONPATH="$home" python3 "$server" --host 127.0.0.1 --port "$port" --storage-path "$folder/data" \
        --log-level WARNING --enable-test-commands "$@"
}

start() {
    case $more in
    user=*)
        user=${more#user=}
        [ -e "$folder/data" ] || admit "${user%%:*}" "${user#*:}"
        serve --auth
        ;;
    tls=*)
        certify "${more#tls=}"
        serve --tls-cert-file "$folder/server.crt" --tls-key-file "$folder/server.key"
        ;;
    *) serve $more ;;
    esac
}

# A server that lets everybody in is told whom to let in from now on.
admit() {
    serve
    tell "mongodb://127.0.0.1:$port/" "{\"createUser\": \"$1\", \"pwd\": \"$2\", \"roles\": [\"root\"]}"
    stop
}

client() {
    find_server >/dev/null
    PYTHONPATH=$home python3 -c "import json, pymongo, sys; client = pymongo.MongoClient(sys.argv[1]); $1" "$2" "$3"
}

tell() {
    client 'client.admin.command(json.loads(sys.argv[2]))' "$1" "$2"
}

case $1 in
drop)
    client 'client.drop_database(sys.argv[2])' "$2" "$3"
    exit
    ;;
tell)
    tell "$2" "$3"
    exit
    ;;
esac
