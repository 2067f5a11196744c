#!/bin/sh
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Prints, as lines of a key and a value: what sets the permissions of devices at boot; whether AppArmor or SELinux confines
# libvirt's guests; the devices ($@) that a rule of AppArmor names; and the labels that they have.
set -u
if [ -e /run/udev/control ]; then
  echo mechanism udev
elif [ -d /run/openrc ]; then
  echo mechanism openrc
else
  echo mechanism none
fi

# libvirt confines guests with what it was told to use, else with what the kernel has.
driver=$(sed -n 's/^[[:space:]]*security_driver[[:space:]]*=//p' /etc/libvirt/qemu.conf 2>/dev/null)
case $driver in *none*) exit ;; esac

read -r enabled 2>/dev/null </sys/module/apparmor/parameters/enabled || enabled=N
case $enabled:$driver in Y:*selinux*) ;; Y:*) echo apparmor yes ;; esac
read -r enforce 2>/dev/null </sys/fs/selinux/enforce || enforce=0
case $enforce:$driver in 1:*apparmor*) ;; 1:*) echo selinux yes ;; esac

for path in "$@"; do
  if grep -rqsE "^[[:space:]]*${path}[[:space:]]+[a-z]*r" /etc/apparmor.d/local/abstractions/libvirt-qemu \
    /etc/apparmor.d/abstractions/libvirt-qemu /etc/apparmor.d/abstractions/libvirt-qemu.d; then
    echo "rule $path"
  fi
  if [ "$enforce" = 1 ]; then echo "label $path $(stat -c %C "$path" 2>/dev/null)"; fi
done
