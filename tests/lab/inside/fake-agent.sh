#!/bin/sh
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What a guest that is up to no good, or is no Linux, runs in place of the QEMU guest agent: fake-agent.sh KIND PORT.
# It answers what libvirt asks first of every agent (guest-sync) and what tells that it is up (guest-ping); see
# tests/lab/README.md for the rest.
kind=$1
exec 3<> "$2"

say() { printf '%s\n' "$(printf '%s' "$1" | tr -d '\n')" >&3; } # an answer is one line
answer() { say "{\"return\": $1}"; }
refuse() {
    command=${1#*'"execute":'}
    command=${command#*'"'}
    say "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The command ${command%%'"'*} has not been found\"}}"
}

# A string of MEGABYTES in an answer, valid base64: libvirt hands out less than 4, and reads 10 at most.
flood() {
    { printf '%s' "{\"return\": $2\""; head -c $(($1 * 1048576)) /dev/zero | tr '\0' A; printf '%s\n' "\"$3}"; } >&3
}

# libvirt does not speak again to an agent that has said something else than JSON, until the port is opened anew.
babble() {
    say "'}] \"<b>this is not JSON</b>"
    sleep 1
    exit
}

windows() {
    case $1 in
        *'"guest-info"'*) answer '{"version": "108.0.2", "supported_commands": [
            {"name": "guest-get-devices", "enabled": true, "success-response": true},
            {"name": "guest-get-osinfo", "enabled": true, "success-response": true}]}' ;;
        *'"guest-get-osinfo"'*) answer '{"id": "mswindows", "name": "Microsoft Windows",
            "pretty-name": "Windows Server 2022 Standard", "version": "Microsoft Windows Server 2022",
            "version-id": "2022", "variant": "server", "variant-id": "server", "machine": "x86_64",
            "kernel-release": "20348", "kernel-version": "10.0"}' ;;
        *'"guest-get-devices"'*) answer '[
            {"driver-name": "VirtIO Serial Driver", "driver-version": "100.93.104.26200",
            "driver-date": 1707091200000000000, "id": {"type": "pci", "vendor-id": 6900, "device-id": 4163}},
            {"driver-name": "VirtIO RNG Device", "driver-version": "100.93.104.26200",
            "driver-date": 1707091200000000000, "id": {"type": "pci", "vendor-id": 6900, "device-id": 4164}}]' ;;
        *) refuse "$1" ;;
    esac
}

freebsd() {
    case $1 in
        *'"guest-info"'*) answer '{"version": "9.0.2", "supported_commands": [
            {"name": "guest-get-osinfo", "enabled": true, "success-response": true}]}' ;;
        *'"guest-get-osinfo"'*) answer '{"id": "freebsd", "name": "FreeBSD", "pretty-name": "FreeBSD 14.1-RELEASE",
            "version": "14.1-RELEASE", "version-id": "14.1", "machine": "amd64", "kernel-release": "14.1-RELEASE",
            "kernel-version": "FreeBSD 14.1-RELEASE releng/14.1-n267679-10e31f0946d8 GENERIC"}' ;;
        *) refuse "$1" ;;
    esac
}

megabytes() {
    case $1 in
        *'"guest-get-osinfo"'*) flood 3 '{"id": "flood", "kernel-release": "6.1.0", "pretty-name": ' '}' ;;
        *'"guest-file-open"'*) answer 1000 ;;
        *'"guest-file-read"'*) flood 3 '{"count": 3145728, "eof": false, "buf-b64": ' '}' ;; # and never an end
        *'"guest-file-close"'*) answer '{}' ;;
        *'"guest-exec"'*) answer '{"pid": 4242}' ;;
        *'"guest-exec-status"'*) flood 5 '{"exited": true, "exitcode": 0, "out-data": ' '}' ;;
        *) refuse "$1" ;;
    esac
}

garbage() {
    case $1 in
        *'"guest-info"'*) answer '{"supported_commands": "all of them", "version": {"major": []}}' ;;
        *'"guest-get-osinfo"'*) answer '{"id": 5, "name": ["<script>alert(1)</script>"], "kernel-release": {}}' ;;
        *'"guest-get-devices"'*) answer '{"0": [null]}' ;;
        *'"guest-ping"'*) answer '[0]' ;;
        *'"guest-file-open"'*rng_available*) babble ;;
        *'"guest-file-open"'*rng_current*) answer '"{{ 7 * 7 }}"' ;;
        *'"guest-file-open"'*) answer 1000 ;;
        *'"guest-file-read"'*) answer '{"count": -1, "eof": "maybe", "buf-b64": "***"}' ;;
        *'"guest-exec"'*) answer '[{"pid": "none"}]' ;;
        *'"guest-exec-status"'*) answer 'null' ;;
        *) babble ;;
    esac
}

while :; do
    while read -r line; do
        number=${line##*'"id":'}
        case $kind/$line in
            hung/*) ;;
            */*'"guest-sync"'*) answer "${number%%[!0-9]*}" ;;
            garbage/*) garbage "$line" ;;
            */*'"guest-ping"'*) answer '{}' ;;
            *) "$kind" "$line" ;;
        esac
    done <&3
    sleep 0.1 # the end of input: nobody is connected on the host yet
done
