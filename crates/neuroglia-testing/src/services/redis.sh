# Redis, as `watch.sh` has it; it keeps its data in an append-only file, so that a restart finds it.

find_server() {
    find_program redis-server
}

start() {
    begin redis-server --bind 127.0.0.1 --port "$port" --dir "$folder" --save '' --appendonly yes --appendfsync always
}
