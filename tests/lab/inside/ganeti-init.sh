#!/usr/bin/env bash
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Makes a Ganeti cluster of the lab host that this runs on, its only node:
#     ganeti-init.sh NAME DOMAIN
# Whatever it writes is on the host's own overlays, and gone with the host.
set -eu
name=$1 domain=$2 node=$1.$2

# A network of its own: the node's address, and the cluster's, which nobody may have when it is made.
ip link add gnt0 type bridge
ip addr add 10.55.0.11/24 dev gnt0
ip link set gnt0 up
printf '127.0.0.1 localhost\n10.55.0.11 %s %s\n10.55.0.10 cluster.%s cluster\n' "$node" "$name" "$domain" > /etc/hosts
hostname "$node"

mkdir -p /root/.ssh /var/lib/ganeti /var/log/ganeti /run/ganeti /srv/ganeti/file-storage
echo /srv/ganeti/file-storage > /etc/ganeti/file-storage-paths

# An instance has to have an OS, even one that is never installed.
os=/srv/ganeti/os/noop
mkdir -p "$os"
echo 20 > "$os/ganeti_api_version"
echo default > "$os/variants.list"
: > "$os/parameters.list"
for script in create export import rename verify; do
    printf '#!/bin/sh\nexit 0\n' > "$os/$script"
    chmod +x "$os/$script"
done

# kvm_path: a program that is named kvm would make QEMU try KVM. kernel_path: none, the firmware is all that runs.
gnt-cluster init --no-ssh-init --no-etc-hosts --enabled-hypervisors=kvm --enabled-disk-templates=diskless,file \
    --file-storage-dir=/srv/ganeti/file-storage --master-netdev=gnt0 --nic-parameters=mode=bridged,link=gnt0 \
    -H kvm:kvm_path=/usr/bin/qemu-system-x86_64,kernel_path=,initrd_path=,vnc_bind_address= "cluster.$domain"
gnt-cluster getmaster
