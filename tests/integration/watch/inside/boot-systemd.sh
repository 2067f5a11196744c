#!/bin/sh
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# boot-systemd.sh CGROUP PID: make systemd the first process of a PID namespace inside the lab host whose init is PID.
# It gets an empty cgroup of its own, no right to change the machine's clock, modules or sysctls, and nothing to start.
set -eu
mkdir "$1"
echo $$ >"$1/cgroup.procs"
# What is between the quotes is for the inner shell.
# shellcheck disable=SC2016
exec nsenter -t "$2" -m -n -u -p -i -r -- \
    unshare --pid --mount --cgroup --fork --kill-child --mount-proc sh -euc '
  mount --bind /proc/sys /proc/sys
  mount -o remount,bind,ro /proc/sys
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  rm -rf /lib/systemd/system/*.wants /etc/systemd/system/*.wants
  dropped=-sys_module,-sys_boot,-sys_time,-syslog
  exec setpriv --bounding-set $dropped --inh-caps $dropped \
    env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --unit=sysinit.target --log-target=journal-or-kmsg --show-status=0
'
