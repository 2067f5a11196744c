#!/bin/sh
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Prints what a FreeBSD guest has: loaded, builtin, module (there and not loaded) and attached, each on its line; and persistent
# or denied, with the file that has the driver loaded at boot, or says no to that.
export LC_ALL=C PATH=/sbin:/bin:/usr/sbin:/usr/bin
if kldstat -v | grep -q '/virtio_random'; then
    echo loaded
    kldstat | grep -q virtio_random || echo builtin
elif [ -e /boot/kernel/virtio_random.ko ]; then
    echo module
fi
# The device's two ids, of both generations of virtio, as older and newer releases write them.
if pciconf -l | grep -Eq 'chip=0x(1005|1044)1af4|vendor=0x1af4 device=0x(1005|1044)'; then echo attached; fi

# In the order in which the loader reads them: the last one counts.
setting=""
file=""
for place in /boot/loader.conf /boot/loader.conf.d/*.conf /boot/loader.conf.local; do
    line=$(grep -sE '^[[:space:]]*virtio_random_load[[:space:]]*=' "$place" | tail -n 1)
    [ -z "$line" ] || setting=${line#*=} file=$place
done
case ${setting%%#*} in
    '') ;;
    *[Yy][Ee][Ss]*) echo "persistent $file" ;;
    *) echo "denied $file" ;;
esac
list='^[[:space:]]*kld_list=([^#]*[^#[:alnum:]_])?virtio_random([^[:alnum:]_]|$)'
for place in /etc/rc.conf /etc/rc.conf.local /etc/rc.conf.d/kld; do
    if grep -qsE "$list" "$place"; then echo "persistent $place"; fi
done
exit 0
