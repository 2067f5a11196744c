#!/bin/sh
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# /init of a guest: the first and only process that busybox starts. Everything it needs to know is on the kernel's
# command line: lab.address=ADDRESS/PREFIX and lab.key=BASE64 for guests with SSH, lab.os_name=BASE64 for what is in
# /etc/os-release, lab.driver=no for a guest without the driver of its RNG, lab.agent=KIND for another agent.

/bin/busybox mkdir -p /proc /sys /dev /run /tmp /var/run
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox --install -s /bin
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root
mkdir -p /dev/pts && mount -t devpts devpts /dev/pts

argument() {
    tr ' ' '\n' < /proc/cmdline | sed -n "s/^$1=//p"
}

driver=$(argument lab.driver)
os_name=$(argument lab.os_name | base64 -d | sed 's/["$`\\]/\\&/g')
printf 'ID=lab\nNAME="Lab"\nVERSION_ID="1"\nPRETTY_NAME="%s"\n' "${os_name:-Lab 1}" > /etc/os-release

# Twice, so that the order in which modules need each other does not matter.
for _ in 1 2; do
    for module in /modules/*; do
        case $driver/$module in no/*-virtio-rng.ko) continue ;; esac
        insmod "$module" 2>/dev/null
    done
done
ip link set lo up

address=$(argument lab.address)
if [ -n "$address" ] && [ -x /usr/sbin/dropbear ]; then
    mkdir -p /root/.ssh /etc/dropbear
    echo "ssh-ed25519 $(argument lab.key)" > /root/.ssh/authorized_keys
    ip addr add "$address" dev eth0 && ip link set eth0 up
    dropbear -R -E -s 2> /dev/console
fi

run_agent() {
    case $1 in
        alive) qemu-ga -m virtio-serial -p "$2" -l /dev/null -t /run ;;
        no_files)
            # -b is the one spelling that both --blacklist and --block-rpcs, its later name, have.
            qemu-ga -m virtio-serial -p "$2" -l /dev/null -t /run -b "$(echo guest-file-open guest-file-close \
                guest-file-read guest-file-write guest-file-seek guest-file-flush | tr ' ' ',')"
            ;;
        absent) ;;
        *) sh /bin/fake-agent "$1" "$2" ;;
    esac
}

# The agent's port gets its name a moment after the driver has started; udev would make this link.
for _ in $(seq 600); do
    for port in /sys/class/virtio-ports/*; do
        [ -s "$port/name" ] && ln -sf "/dev/${port##*/}" "/dev/$(cat "$port/name")"
    done
    [ -e /dev/org.qemu.guest_agent.0 ] && break
    sleep 0.1
done
kind=$(argument lab.agent)
echo "booted after $(cut -d' ' -f1 /proc/uptime) s" > /dev/console
while :; do
    if [ -e /dev/org.qemu.guest_agent.0 ]; then
        run_agent "${kind:-alive}" /dev/org.qemu.guest_agent.0
    fi
    sleep 1
done
