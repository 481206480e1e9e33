# A private server for tests: nothing that it holds outlives it.
#
#   find               print where the server is on this machine, or fail
#   up FOLDER PORT     make its data in FOLDER and start it
#   status FOLDER      fail unless it runs
#   down FOLDER        stop it and delete FOLDER
#   watch FOLDER PORT  up, then obey `start`, `stop` and `crash` from standard input, each answered by `done`; at its
#                      end, also when the caller was killed: down
#
# What stands before this is the server's own: `find_server`, `up`, `start`, `stop`, `crash` and `status`, most of them by
# the words below. Arguments after PORT are its business.
order=$1 folder=${2-} port=${3-} more=${4-}

down() {
    crash
    rm -rf "$folder"
}

case $order in
find) find_server ;;
up) up ;;
status) status ;;
down) down ;;
watch)
    # Whoever stops the tests stops them; this process still has to clean up.
    trap '' INT TERM HUP
    trap down EXIT
    up
    echo done
    while read -r order; do
        case $order in
        start) start ;;
        stop) stop ;;
        crash) crash ;;
        esac
        echo done
    done
    ;;
esac
