#!/bin/sh
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# /init of the guests of early_boot.py: load the drivers, and ask for random numbers as the first program does.
# What it has to say goes through the kernel's log, so that all times are of one clock.

/bin/busybox mkdir -p /proc /sys /dev
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
say() {
    /bin/busybox echo "<4>early_boot: $*" > /dev/kmsg
}

say "user space"
for module in /modules/*; do
    [ ! -e "$module" ] || /bin/busybox insmod "$module"
done
say "instructions $(/bin/busybox grep -owE 'rdrand|rdseed' /proc/cpuinfo | /bin/busybox tr '\n' ' ')."
say "asks"
# Since 5.6 this waits as getrandom() does, and makes the kernel collect entropy from timing. Before, it would wait for
# another pool and take from what the kernel collects.
[ -e /proc/sys/kernel/random/read_wakeup_threshold ] || /bin/busybox dd if=/dev/random of=/dev/null bs=1 count=1
say "uses $(/bin/busybox cat /sys/class/misc/hw_random/rng_current)"
/bin/busybox sleep "$(/bin/busybox sed -n 's/.*early_boot.limit=\([0-9]*\).*/\1/p' /proc/cmdline)"
say "ends"
while :; do
    /bin/busybox sleep 1000
done
