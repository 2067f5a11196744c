#!/usr/bin/env bash
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# First process of a lab host, started in new mount, network, UTS, PID and IPC namespaces:
#     host-init.sh DIRECTORY IMAGES NAME ADDRESS/PREFIX KIND(libvirt|qemu|proxmox|ganeti|none)
# DIRECTORY holds what the lab prepared for this host (libvirt's directories, keys, hwrng); IMAGES the guest images.
# Whatever is changed on the host stays on the host: /etc, /usr, /var and so on are overlays in memory.
set -eu
directory=$1 images=$2 name=$3 address=$4 kind=$5

# Who we are outside, as long as /proc is still the outer one; read by the shell itself, hence its own line.
read -r line < /proc/self/stat
echo "$line" > "$directory/init.stat.new"
mv "$directory/init.stat.new" "$directory/init.stat"

mount -t tmpfs -o mode=0755 run /run
mkdir -p /run/lab/{host,images,serial,overlay} /run/libvirt /run/sshd /run/lock
mount --bind "$directory" /run/lab/host
mount --bind "$images" /run/lab/images
mount --bind "$directory/serial" /run/lab/serial

for top in etc usr var root home opt srv; do
    [ -d "/$top" ] && [ ! -L "/$top" ] || continue
    over=/run/lab/overlay/$top
    mkdir -p "$over/upper" "$over/work"
    chown --reference="/$top" "$over/upper"
    chmod --reference="/$top" "$over/upper"
    mount -t overlay -o "lowerdir=/$top,upperdir=$over/upper,workdir=$over/work" overlay "/$top"
done
mount -t tmpfs -o mode=1777 tmp /tmp
cd /

mount -t proc proc /proc
mount -t sysfs sysfs /sys # the new network namespace's; read-only below, once everything is mounted on it

# A /dev of its own: no /dev/kvm (where it exists and does not work, libvirt probes QEMU at every define, for seconds),
# and a /dev/hwrng that a test may replace.
umount --recursive --lazy /dev 2> /dev/null || : # libvirt moves what /proc/mounts lists there, also what would be hidden
mount -t tmpfs -o mode=0755 dev /dev
mkdir -p /dev/pts /dev/shm /dev/net
for node in null:3 zero:5 full:7 random:8 urandom:9; do
    mknod -m 0666 "/dev/${node%:*}" c 1 "${node#*:}"
done
mknod -m 0666 /dev/tty c 5 0
mknod -m 0666 /dev/net/tun c 10 200
ln -s /proc/self/fd /dev/fd
ln -s /proc/self/fd/0 /dev/stdin
ln -s /proc/self/fd/1 /dev/stdout
ln -s /proc/self/fd/2 /dev/stderr
ln -s pts/ptmx /dev/ptmx
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm

read -r device mode < /run/lab/host/hwrng-device
case $device in
    urandom) mknod -m "$mode" /dev/hwrng c 1 9 ;;
    real) mknod -m "$mode" /dev/hwrng c 10 183 ;;
esac
mount -o remount,bind,ro /sys
if [ -d /run/lab/host/hwrng ]; then
    mount --bind /run/lab/host/hwrng /sys/devices/virtual/misc/hw_random
fi

hostname "$name"
echo "$name" > /etc/hostname
printf '127.0.0.1 localhost\n%s %s\n' "${address%/*}" "$name" > /etc/hosts
sed -i 's/^root:[^:]*:/root:*:/' /etc/shadow # sshd refuses an account whose password field begins with "!"
# libvirtd looks up the user and group that it was built with before it reads qemu.conf, where the lab names others.
# Debian's libvirt-daemon-system makes them; it is not installed, for it would start a libvirtd on this machine itself.
for group in kvm libvirt-qemu; do groupadd --force --system "$group"; done
id libvirt-qemu > /dev/null 2>&1 || useradd --system --no-create-home --gid libvirt-qemu libvirt-qemu

# The lab puts eth0 into our network namespace; a bridge on it lets guests join the same network.
for _ in $(seq 500); do [ -e /sys/class/net/eth0 ] && break; sleep 0.02; done
ip link set lo up
ip link add br0 type bridge
ip link set br0 address "$(cat /sys/class/net/eth0/address)"
ip link set eth0 master br0 up
ip addr add "$address" dev br0
ip link set br0 up

/usr/sbin/sshd -E /run/sshd.log -f /dev/null -h /run/lab/host/ssh_host_ed25519_key -o PidFile=/run/sshd.pid \
    -o UsePAM=no -o UseDNS=no -o StrictModes=no -o PermitRootLogin=prohibit-password -o MaxStartups=200 \
    -o AuthorizedKeysFile=/run/lab/host/authorized_keys -o Subsystem="sftp internal-sftp"

case $kind in
    libvirt)
        for place in etc:/etc/libvirt lib:/var/lib/libvirt log:/var/log/libvirt cache:/var/cache/libvirt; do
            mkdir -p "${place#*:}"
            mount --bind "/run/lab/host/libvirt/${place%%:*}" "${place#*:}"
        done
        /usr/sbin/libvirtd --daemon
        ;;
    qemu)
        rm -f /usr/sbin/libvirtd /usr/sbin/virtqemud /usr/sbin/gnt-instance # nobody else manages guests here
        mkdir -p /etc/qemu /run/qemu
        mount --bind /run/lab/host/qemu /etc/qemu
        echo "allow br0" > /etc/qemu/bridge.conf
        install -m 0755 /run/lab/host/programs/qemu-* /usr/local/sbin
        ;;
    proxmox)
        mkdir -p /etc/pve
        mount --bind /run/lab/host/proxmox/etc/pve /etc/pve
        ln -s /run/lab/host/proxmox/bin/pvesh /usr/bin/pvesh
        ;;
    ganeti)
        install -m 0755 /run/lab/host/programs/qemu-ask /usr/local/sbin
        bash /run/lab/host/programs/ganeti-init "$name" example.test
        ;;
esac
touch /run/lab/host/ready

# Adopt and reap the orphans of this PID namespace; with this process everything on the host ends.
while :; do sleep 3600 & wait $! || :; done
