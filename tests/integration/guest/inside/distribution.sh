#!/bin/sh
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Makes a host of the lab look like a guest of a distribution that cannot be installed here:
#     distribution.sh NAME
# Its os-release, what builds and lists its initramfs, its boot loader and its virtio RNG are stand-ins; they note how they
# were called in /root/calls. /etc, /usr and /root of a host are its own; /boot and parts of /sys are replaced here.
set -eu
name=$1
kernel=$(uname -r)
bin=/usr/local/bin

mount -t tmpfs boot /boot
mount -t tmpfs modules /sys/module
mount -t tmpfs virtio /sys/bus/virtio
mkdir -p /sys/bus/virtio/devices/virtio0 /sys/bus/virtio/drivers "/lib/modules/$kernel"
echo 0x0004 > /sys/bus/virtio/devices/virtio0/device
echo "kernel/drivers/char/hw_random/virtio-rng.ko.xz:" > "/lib/modules/$kernel/modules.dep"
rm -f "/lib/modules/$kernel/modules.builtin" /usr/sbin/mkinitramfs /usr/sbin/update-grub
mkdir -p /etc/modules-load.d # kmod's or systemd's; the machine below need not have either
touch /root/calls
# The machine below may be a container itself, which every host would take itself for. A mark of hypervisors counts more.
if [ "$name" = container ]; then
    mkdir -p /run/systemd
    echo lxc > /run/systemd/container
else
    mkdir -p /run/libvirt
    touch /run/libvirt/libvirt-sock
fi

stand_in() { # its name; its script comes by standard input
    { echo '#!/bin/sh'; echo "echo \"$1 \$*\" >> /root/calls"; cat; } > "$bin/$1"
    chmod 0755 "$bin/$1"
}
look_into() { # what lists an image
    ln -sf /bin/cat "$bin/$1"
}
system() {
    rm -f /etc/os-release
    printf 'ID=%s\nVERSION_ID=9\nNAME="%s"\n' "$1" "$2" > /etc/os-release
}
# An image is a list of the files in it.
image() { echo usr/lib/modules/virtio_blk.ko.xz > "$1"; }

stand_in modprobe << 'END'
mkdir -p "/sys/module/$1" /sys/bus/virtio/drivers/virtio_rng
echo live > "/sys/module/$1/initstate"
END

case $name in
    rocky)
        system rocky "Rocky Linux"
        image "/boot/initramfs-$kernel.img"
        look_into lsinitrd
        stand_in dracut << 'END'
grep -qs 'force_drivers+=" virtio_rng "' /etc/dracut.conf.d/*.conf || exit 0
for image in /boot/init*; do echo usr/lib/modules/virtio-rng.ko.xz >> "$image"; done
END
        echo 'args="ro quiet"' > /root/kernels
        printf '#!/bin/sh\n' > "$bin/grubby"
        cat >> "$bin/grubby" << 'END'
case $1 in
    --info=ALL) echo index=0; cat /root/kernels ;;
    --update-kernel=ALL) echo "grubby $*" >> /root/calls; echo "args=\"ro quiet ${2#--args=}\"" > /root/kernels ;;
esac
END
        chmod 0755 "$bin/grubby"
        ;;
    debian)
        # Two kernels, of which the other one has the driver built in; and a boot loader that fails the first time.
        system debian "Debian GNU/Linux"
        mkdir -p /boot/grub /etc/default/grub.d /etc/initramfs-tools /lib/modules/9.9.0-builtin
        image "/boot/initrd.img-$kernel"
        image /boot/initrd.img-9.9.0-builtin
        echo kernel/drivers/char/hw_random/virtio-rng.ko > /lib/modules/9.9.0-builtin/modules.builtin
        look_into lsinitramfs
        stand_in mkinitramfs < /dev/null
        stand_in update-initramfs << 'END'
echo usr/lib/modules/virtio-rng.ko.xz >> "/boot/initrd.img-$(uname -r)"
END
        stand_in update-grub << 'END'
[ "$(grep -c update-grub /root/calls)" -gt 1 ] || exit 1
cat /etc/default/grub.d/*.cfg > /boot/grub/grub.cfg
END
        ;;
    sealed)
        # An image that nothing can list.
        system fedora "Fedora Linux"
        image "/boot/initramfs-$kernel.img"
        stand_in dracut < /dev/null
        printf '#!/bin/sh\nexit 1\n' > "$bin/lsinitrd"
        chmod 0755 "$bin/lsinitrd"
        ;;
    container) system debian "Debian GNU/Linux" ;;
    suse)
        system opensuse-leap "openSUSE Leap"
        image "/boot/initrd-$kernel"
        look_into lsinitrd
        stand_in dracut << 'END'
grep -qs 'force_drivers+=" virtio_rng "' /etc/dracut.conf.d/*.conf || exit 0
for image in /boot/init*; do echo usr/lib/modules/virtio-rng.ko.zst >> "$image"; done
END
        ;;
    arch)
        system arch "Arch Linux"
        echo linux > "/lib/modules/$kernel/pkgbase"
        image /boot/initramfs-linux.img
        look_into lsinitcpio
        mkdir -p /etc/mkinitcpio.conf.d
        stand_in mkinitcpio << 'END'
grep -qs 'MODULES+=(virtio_rng)' /etc/mkinitcpio.conf.d/*.conf || exit 0
echo usr/lib/modules/virtio-rng.ko.zst >> /boot/initramfs-linux.img
END
        ;;
    alpine)
        system alpine "Alpine Linux"
        printf 'af_packet\nipv6\n' > /etc/modules
        mkdir -p /etc/runlevels/boot
        touch /etc/init.d/modules
        ln -s /etc/init.d/modules /etc/runlevels/boot/modules
        stand_in mkinitfs < /dev/null
        image /boot/initramfs-virt
        ;;
    other) system gentoo Gentoo ;;
    bare)
        system debian "Debian GNU/Linux"
        rm -f /usr/bin/python3* /usr/local/bin/python3*
        ;;
    freebsd*)
        case $name in
            *refused) echo 'virtio_random_load="NO" # not yes' > /boot/loader.conf ;;
            *listed) echo 'kld_list="fusefs virtio_random"' > /etc/rc.conf ;;
            *parts) mkdir /boot/loader.conf.d && echo virtio_random_load=yes > /boot/loader.conf.d/rng.conf ;;
        esac
        groupadd --force --system wheel
        mkdir -p /boot/kernel
        touch /boot/kernel/virtio_random.ko
        stand_in kldload << 'END'
echo "12 1 0xffffffff82e3a000 2210 virtio_random.ko" > /root/kld
END
        mv "$bin/kldload" /sbin/kldload
        cat > /sbin/kldstat << 'END'
#!/bin/sh
[ -e /root/kld ] || exit 0
cat /root/kld
[ "$1" != -v ] || echo virtio_pci/virtio_random
END
        printf '#!/bin/sh\necho "virtio_pci2@pci0:0:4:0: class=0x00ff00 rev=0x00 hdr=0x00 vendor=0x1af4 device=0x1005"\n' > /sbin/pciconf
        cat > "$bin/uname" << 'END'
#!/bin/sh
case $1 in -s | "") echo FreeBSD ;; *) echo FreeBSD 14.1-RELEASE amd64 ;; esac
END
        chmod 0755 /sbin/kldstat /sbin/pciconf "$bin/uname"
        ;;
esac
