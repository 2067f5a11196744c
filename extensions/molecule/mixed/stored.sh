#!/bin/sh
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# All that the hypervisor it runs on has stored about its guests, such that two texts differ if a byte does.
set -eu
PATH=$PATH:/usr/sbin:/sbin

show() {
    for file in "$@"; do
        echo "== $file"
        cat --show-all "$file"
        echo
    done
}

if [ -S /run/libvirt/libvirt-sock ]; then
    show /etc/libvirt/qemu/*.xml
    for name in $(virsh --quiet --connect qemu:///system list --all --name | sort); do
        echo "== $name"
        virsh --quiet --connect qemu:///system dumpxml --inactive --security-info --domain "$name"
    done
elif [ -d /etc/pve ]; then
    show /etc/pve/qemu-server/*.conf
    for file in /etc/pve/qemu-server/*.conf; do
        name=${file##*/}
        pvesh get "/nodes/localhost/qemu/${name%.conf}/pending" --output-format json
    done
elif [ -d /var/lib/ganeti/queue ]; then
    gnt-instance list --no-headers --separator='|' -o name,hv/kvm_extra,custom_hvparams
    # Each change is counted and dated, also that which undoes another.
    gnt-instance list --no-headers -o name | xargs gnt-instance info --static |
        sed -E '/^ *-? *(Serial number|Modification time):/d'
else
    show /etc/qemu/*
fi
