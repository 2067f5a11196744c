#!/bin/sh
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Run a command as on a Proxmox VE node: on-node.sh STATE COMMAND..., as root. STATE/etc/pve is then at /etc/pve, for
# this command alone, and the pvesh of STATE/bin is in its PATH.
set -eu
state=$1
shift
if [ "${ON_NODE:-}" != "$state" ]; then
    ON_NODE=$state exec unshare --mount --propagation private "$0" "$state" "$@"
fi
mkdir -p "$state/overlay/upper/pve" "$state/overlay/work"
mount -t overlay -o "lowerdir=/etc,upperdir=$state/overlay/upper,workdir=$state/overlay/work" overlay /etc
mount --bind "$state/etc/pve" /etc/pve
export PVE_STAND_IN="$state" PATH="$state/bin:$PATH"
exec "$@"
