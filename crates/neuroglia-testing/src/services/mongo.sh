# The stand-in for MongoDB, as `watch.sh` has it: SecantusDB, which speaks its protocol over WiredTiger, presents itself
# as a replica set of one member, and comes as a Python package. There is no package of MongoDB itself to install.
#
# It is kept in the user's cache, and installed there when it is first needed. An argument after PORT is one of its own,
# such as `--sync-on-commit`, or `--standalone`. One order more: `drop URI NAME` deletes a database of any server.

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

start() {
    server=$(find_server)
    begin env PYTHONPATH="$home" python3 "$server" --host 127.0.0.1 --port "$port" --storage-path "$folder/data" \
        --log-level WARNING --enable-test-commands $more
}

if [ "$1" = drop ]; then
    find_server >/dev/null
    PYTHONPATH=$home exec python3 -c \
        'import pymongo, sys; pymongo.MongoClient(sys.argv[1]).drop_database(sys.argv[2])' "$2" "$3"
fi
