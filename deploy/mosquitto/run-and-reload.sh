#!/bin/sh
# Runs mosquitto and reloads Towpath's users whenever Towpath has written them. For a broker
# that Towpath cannot signal, for example in another container.
#   run-and-reload.sh MOSQUITTO.CONF PASSWORD_FILE
mosquitto -c "$1" &
broker=$!
trap 'kill -TERM "$broker"' TERM INT

loaded=
while sleep 1 && kill -0 "$broker" 2>/dev/null; do
    # Towpath replaces the file, so its inode changes at every write.
    now=$(stat -c %i.%Y "$2" 2>/dev/null)
    [ "$now" = "$loaded" ] && continue
    # SIGHUP terminates a mosquitto that has not installed its handler yet.
    case $(grep SigCgt "/proc/$broker/status") in
    *[13579bdf]) kill -HUP "$broker" && loaded=$now ;;
    esac
done
wait "$broker"
