# An OpenID provider, as `watch.sh` has it: oidc-provider-mock, which comes as a Python package, lets everybody in as whoever
# they say they are, and signs by RS256.
#
# It is kept in the user's cache, and installed there when it is first needed. One order more: `token URL CLIENT SUBJECT
# CLAIMS` prints a token for somebody with these claims, a document of JSON, as a client of its own gets one.

version=0.3.4
home=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/neuroglia/oidc-provider-mock-$version

find_server() {
    [ -e "$home/oidc_provider_mock" ] || install_server >&2 || return 1
    echo "$home"
}

install_server() {
    find_program python3 >/dev/null || return 1
    echo "installing oidc-provider-mock $version into $home"
    mkdir -p "$(dirname "$home")"
    fresh=$(mktemp -d "$home.XXXXXX")
    pip=python3
    if ! python3 -m pip --version >/dev/null 2>&1; then
        python3 -m venv "$fresh/venv" || return 1
        pip=$fresh/venv/bin/python3
    fi
    "$pip" -m pip install --quiet --disable-pip-version-check --no-input --root-user-action=ignore \
        --target "$fresh/packages" "oidc-provider-mock==$version" || return 1
    # Whoever was quicker has put the same there.
    mv -T "$fresh/packages" "$home" 2>/dev/null || [ -e "$home/oidc_provider_mock" ] || return 1
    rm -rf "$fresh"
}

start() {
    begin env PYTHONPATH="$(find_server)" python3 -m oidc_provider_mock --host 127.0.0.1 --port "$port"
}

# The flow of an authorization code, with the parts of a browser and of a client.
token() {
    url=$1 client=$2 subject=$3 claims=$4 back=http://localhost/back
    curl --silent --show-error --fail -X PUT -H 'content-type: application/json' -d "$claims" "$url/users/$subject"
    asked="client_id=$client&redirect_uri=$back&response_type=code&scope=openid"
    code=$(curl --silent --show-error --fail --output /dev/null --write-out '%{redirect_url}' \
        --data-urlencode "sub=$subject" "$url/oauth2/authorize?$asked")
    code=${code#*code=}
    curl --silent --show-error --fail --user "$client:secret" --data-urlencode "code=${code%%&*}" \
        -d "grant_type=authorization_code&redirect_uri=$back" "$url/oauth2/token" |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["id_token"])'
}

if [ "$1" = token ]; then
    shift
    token "$@"
    exit
fi
