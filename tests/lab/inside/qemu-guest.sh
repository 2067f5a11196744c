#!/bin/sh
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What a unit of systemd would do for a guest of plain QEMU:
#     qemu-guest start|stop|restart|status NAME
# /etc/qemu/NAME.start is its command line, which reads /etc/qemu/NAME.cfg; sockets and pid are in /run/qemu.
set -eu
[ $# -eq 2 ] || { echo "usage: qemu-guest start|stop|restart|status NAME" >&2; exit 2; }
name=$2
record=/run/qemu/$name.pid

runs() {
    [ -s "$record" ] && kill -0 "$(cat "$record")" 2> /dev/null
}

start() {
    runs || sh "/etc/qemu/$name.start" # it returns once the monitor answers
}

# QEMU ends at once at this signal, as at a pulled plug, but cleans up.
stop() {
    if runs; then
        pid=$(cat "$record")
        kill "$pid"
        for _ in $(seq 100); do
            runs || break
            sleep 0.05
        done
        kill -KILL "$pid" 2> /dev/null || : # one that hangs
        while runs; do sleep 0.05; done
    fi
    rm -f "$record" "/run/qemu/$name.qmp" "/run/qemu/$name.qga"
}

case $1 in
    start) start ;;
    stop) stop ;;
    restart) stop && start ;;
    status) if runs; then echo "$name runs"; else echo "$name is off"; exit 3; fi ;;
    *) echo "qemu-guest: no such command: $1" >&2; exit 2 ;;
esac
