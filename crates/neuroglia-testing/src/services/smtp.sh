# A mail server, as `watch.sh` has it: `smtp.py`, which stands in `smtp_py`. What follows PORT is for it; with `starttls` or
# `wrapped` it has a certificate for `localhost`, by the authority in FOLDER/ca.crt.

# Debian's own Python has what its packages bring, whichever Python stands before it.
find_server() {
    for python in /usr/bin/python3 python3; do
        if "$python" -c 'import aiosmtpd' 2>/dev/null; then
            echo "$python"
            return
        fi
    done
    echo "aiosmtpd is not installed: run \`cargo xtask services install\`" >&2
    return 1
}

run() {
    "$@"
}

start() {
    begin "$(find_server)" "$folder/smtp.py" "$folder" "$port" $more
}

up() {
    mkdir -p "$folder/ways"
    : >"$folder/arrived"
    smtp_py >"$folder/smtp.py"
    case $more in *starttls* | *wrapped*) certify localhost ;; esac
    start
}
