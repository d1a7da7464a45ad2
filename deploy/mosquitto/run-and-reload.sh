#!/bin/sh
# Runs mosquitto and has it load Towpath's users again whenever Towpath has written them:
# for a broker that Towpath cannot signal, such as one in another container.
#   run-and-reload.sh MOSQUITTO.CONF PASSWORD_FILE
mosquitto -c "$1" &
broker=$!
trap 'kill -TERM "$broker"' TERM INT

loaded=
while sleep 1 && kill -0 "$broker" 2>/dev/null; do
    # Each time the file is written it is another one, under the same name.
    now=$(stat -c %i.%Y "$2" 2>/dev/null)
    [ "$now" = "$loaded" ] && continue
    # A mosquitto that does not handle SIGHUP yet would end by it.
    case $(grep SigCgt "/proc/$broker/status") in
    *[13579bdf]) kill -HUP "$broker" && loaded=$now ;;
    esac
done
wait "$broker"
