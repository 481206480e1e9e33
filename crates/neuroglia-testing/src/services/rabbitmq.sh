# RabbitMQ, as `watch.sh` has it: a node with a port mapper of its own, so that it knows no other node.
#
# The further argument after PORT has two more ports and perhaps a name and a word: DISTRIBUTION,MAPPER,HOST,classic. With the
# name the broker speaks TLS only, with a certificate for it by the authority in FOLDER/ca.crt. With the word it begins without
# the feature flag of quorum queues, unless its version insists on it. The system's own command is passed over, as it insists
# on the system's user and folders.
programs=/usr/lib/rabbitmq/bin

find_server() {
    if [ -x "$programs/rabbitmq-server" ] && command -v epmd >/dev/null; then
        echo "$programs/rabbitmq-server"
        return
    fi
    echo "RabbitMQ is not installed: run \`cargo xtask services install\`" >&2
    return 1
}

run() {
    "$@"
}

start() {
    server=$(find_server)
    distribution=$(echo "$more" | cut -d , -f 1) mapper=$(echo "$more" | cut -d , -f 2)
    host=$(echo "$more" | cut -d , -f 3)
    cat >"$folder/rabbitmq.conf" <<END
log.file.level = warning
disk_free_limit.absolute = 50MB
END
    if [ -z "$host" ]; then
        echo "listeners.tcp.1 = 127.0.0.1:$port" >>"$folder/rabbitmq.conf"
    else
        certify "$host"
        cat >>"$folder/rabbitmq.conf" <<END
listeners.tcp = none
listeners.ssl.1 = 127.0.0.1:$port
ssl_options.cacertfile = $folder/ca.crt
ssl_options.certfile = $folder/server.crt
ssl_options.keyfile = $folder/server.key
END
    fi
    echo '[].' >"$folder/plugins"
    set --
    case $more in
    *,classic)
        set -- RABBITMQ_FEATURE_FLAGS=implicit_default_bindings,maintenance_mode_status,user_limits,virtual_host_metadata
        ;;
    esac
    rm -f "$folder/node"
    begin epmd -port "$mapper" -address 127.0.0.1
    mv "$folder/pid" "$folder/mapper"
    begin env "$@" HOME="$folder" RABBITMQ_NODENAME="t$port@localhost" RABBITMQ_NODE_PORT="$port" \
        RABBITMQ_DIST_PORT="$distribution" RABBITMQ_MNESIA_BASE="$folder/data" RABBITMQ_LOG_BASE="$folder/logs" \
        RABBITMQ_CONFIG_FILE="$folder/rabbitmq" RABBITMQ_ENABLED_PLUGINS_FILE="$folder/plugins" \
        RABBITMQ_PID_FILE="$folder/node" RABBITMQ_CONF_ENV_FILE=/dev/null ERL_EPMD_PORT="$mapper" \
        ERL_EPMD_ADDRESS=127.0.0.1 \
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none' "$server"
}

# Ends the node, then the command that waits for it, then the port mapper.
end() {
    for kept in node pid mapper; do
        [ -e "$folder/$kept" ] || continue
        of=$(cat "$folder/$kept")
        kill "-$1" "$of" 2>/dev/null || true
        while kill -0 "$of" 2>/dev/null; do
            wait "$of" 2>/dev/null || sleep 0.05
        done
        rm -f "$folder/$kept"
    done
}
