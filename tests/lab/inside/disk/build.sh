#!/bin/sh
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Customizes the root file system in $1, called by mmdebstrap once the packages are there. grub-mkimage is the guest's own:
# this machine needs no GRUB.
set -eu
root=$1
mkdir -p "$root/boot/grub"
cp -R "$root/usr/lib/grub/i386-pc" "$root/boot/grub/"
cp "$(dirname "$0")/grub.cfg" "$root/boot/grub/"
chroot "$root" grub-mkimage -O i386-pc -p '(hd0,msdos1)/boot/grub' -o /boot/grub/core.img \
    biosdisk part_msdos ext2 normal linux
chroot "$root" systemctl --quiet enable lab.service
# What wakes up by itself, or tidies up for years to come, would only cost time; so would systemd's first boot.
chroot "$root" systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    e2scrub_reap.service fstrim.timer getty@.service getty-static.service \
    serial-getty@.service systemd-timesyncd.service systemd-binfmt.service systemd-journal-flush.service \
    systemd-pstore.service systemd-update-utmp.service dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount \
    sys-kernel-tracing.mount
echo 6b1f1f0e6c1c4f0b9a553f0f0c9d6a10 > "$root/etc/machine-id"
printf 'virtio_pci\nvirtio_blk\next4\n' >> "$root/etc/initramfs-tools/modules"
chroot "$root" update-initramfs -u > /dev/null
echo guest > "$root/etc/hostname"
