#!/bin/sh
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Prints what a guest has: a word and its value on each line, for plugin_utils/guest.py. With yes for $1 it looks into the
# images of the initramfs, too, which takes seconds. Changes nothing.
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
kernel=/lib/modules/$(uname -r)

# The driver. Its file is called virtio-rng, its module virtio_rng; users write either.
if [ -e /sys/module/virtio_rng/initstate ]; then
    echo driver loaded
elif [ -d /sys/bus/virtio/drivers/virtio_rng ] || grep -qs '/virtio[-_]rng\.ko' "$kernel/modules.builtin"; then
    echo driver builtin
elif grep -qs '^[^:]*/virtio[-_]rng\.ko[^:]*:' "$kernel/modules.dep"; then
    echo driver module
else
    echo driver absent
fi
denied='^[[:space:]]*(blacklist|install)[[:space:]]+virtio[-_]rng([[:space:]]|$)'
line='^[[:space:]]*virtio[-_]rng[[:space:]]*(#.*)?$'
for place in /etc /run /usr/local/lib /usr/lib; do
    grep -lsE "$denied" "$place"/modprobe.d/*.conf | sed 's/^/denied /'
    for file in "$place"/modules-load.d/*.conf; do
        # Debian's modules.conf is /etc/modules.
        if grep -qsE "$line" "$file"; then echo "persistent $(readlink -f "$file")"; fi
    done
done
if grep -qsE "$line" /etc/modules; then echo persistent /etc/modules; fi
if [ -d /etc/runlevels/boot ] && [ ! -e /etc/runlevels/boot/modules ]; then echo unread; fi

# The boot loader.
if command -v grubby > /dev/null; then
    echo arguments grubby
elif command -v update-grub > /dev/null && [ -d /etc/default/grub.d ]; then
    echo arguments update-grub
fi

# The initramfs: what builds it, what lists it, and where our part of its configuration is.
lister=
if command -v mkinitramfs > /dev/null; then
    tool=initramfs-tools lister=lsinitramfs part=/etc/initramfs-tools/modules
elif command -v mkinitcpio > /dev/null; then
    tool=mkinitcpio lister=lsinitcpio part=/etc/mkinitcpio.conf.d/fleet-rng-guest.conf
elif command -v dracut > /dev/null; then
    tool=dracut lister=lsinitrd part=/etc/dracut.conf.d/fleet-rng-guest.conf
else
    part=/etc/fleet-rng-guest
    for tool in booster mkinitfs ''; do
        [ -z "$tool" ] || ! command -v "$tool" > /dev/null || break
    done
fi
[ -z "$tool" ] || echo "tool $tool"
if grep -qsE '^[^#]*virtio[-_]rng' "$part"; then echo written; fi
[ "$1" = yes ] || exit 0

booted=$(sed -n 's/^btime //p' /proc/stat)
for directory in /lib/modules/*/; do
    directory=${directory%/}
    version=${directory##*/}
    # An image of a kernel that has the driver built in needs none.
    if grep -qs '/virtio[-_]rng\.ko' "$directory/modules.builtin"; then continue; fi
    package=
    [ ! -r "$directory/pkgbase" ] || read -r package < "$directory/pkgbase"
    for image in "/boot/initrd.img-$version" "/boot/initramfs-$version.img" "/boot/initrd-$version" \
        "/boot/initramfs-$package.img" /boot/*/"$version/initrd"; do
        [ -f "$image" ] || continue
        found=unknown
        if [ -n "$lister" ] && names=$("$lister" "$image" 2> /dev/null) && [ -n "$names" ]; then
            case $names in
                *virtio[-_]rng.ko*) found=yes ;;
                *) found=no ;;
            esac
        fi
        echo "image $found $image"
        if [ "$found" = yes ] && [ "$(stat -c %Y "$image")" -gt "${booted:-0}" ]; then echo "pending $image"; fi
    done
done
exit 0
