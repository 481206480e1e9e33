# Words for a server that is one program in the foreground: its script says `find_server` and `start`.
set -eu

# Where a program is, or what to do about it.
find_program() {
    command -v "$1" || {
        echo "$1 is not installed: run \`cargo xtask services install\`" >&2
        return 1
    }
}

# Begins the program; the caller waits until its port answers.
begin() {
    # It ignores what this script ignores, unless its signals are as they were.
    (trap - INT TERM HUP; cd "$folder" && exec "$@") >>"$folder/log" 2>&1 </dev/null &
    echo $! >"$folder/pid"
}

status() {
    kill -0 "$(cat "$folder/pid")" 2>/dev/null
}

# Ends it by a signal, and waits until it is gone.
end() {
    kill "-$1" "$(cat "$folder/pid")" 2>/dev/null || true
    while status; do
        wait "$(cat "$folder/pid")" 2>/dev/null || sleep 0.05
    done
}

up() {
    mkdir -p "$folder"
    start
}

stop() {
    end TERM
}

crash() {
    end KILL
}
