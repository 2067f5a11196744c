# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints a JSON list of the domain documents that virt-install makes of many combinations of options.

Runs on a lab host, with virt-install's own code in one process: a virt-install for each would take a second each. The
combinations are drawn at random from what is below, the same ones every time. What virt-install refuses is left out.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import sys

sys.path.insert(0, "/usr/share/virt-manager")
from virtinst import cli, virtinstall

CHOICES = {
    "osinfo": ["debian11", "debian7", "win10", "win2k8r2", "fedora36", "rhel7.9", "centos-stream9", "ubuntu22.04"]
    + ["freebsd13.0", "openbsd7.0", "opensuse15.4", "generic", "linux2020"],
    "machine": ["q35", "q35", "pc", "pc-q35-6.2", "pc-i440fx-5.2", "pc-i440fx-2.12"],
    "graphics": ["none", "vnc,password=V<8,passwordValidTo=2031-01-01T00:00:00", "spice,password=geheim&<>"]
    + ["vnc,listen=0.0.0.0,port=5910,keymap=de", "spice,listen=none,gl.enable=no", "vnc,websocket=-1"],
    "video": ["none", "virtio", "qxl,ram=65536,vram=65536", "vga", "cirrus", "bochs"],
    "network": ["none", "user,model=virtio", "bridge=br0,model=e1000,mac=52:54:00:00:00:01"]
    + ["bridge=br0,model=virtio,mac=52:54:00:00:00:02,driver.queues=4,mtu.size=9000,rom.bar=off"],
    "vcpus": ["1", "4,maxvcpus=8", "8,sockets=2,cores=2,threads=2", "2,cpuset=0-1"],
    "memory": ["256", "1024,maxmemory=2048", "512,hugepages=yes"],
    "cpu": ["qemu64", "Haswell,+aes,-x2apic", "host-model", "EPYC,topology.sockets=1", "Nehalem,check=none"],
    "disk": [
        "none",
        "/srv/disks/a.qcow2,size=1,bus=virtio,cache=none,discard=unmap,serial=S-1",
        "/srv/disks/b.raw,size=1,bus=sata,io=threads,iotune.total_iops_sec=100",
        "/srv/disks/c.raw,size=1,bus=scsi,shareable=yes,driver.type=raw,boot.order=1",
        "source.protocol=https,source.name=a.iso,source.host0.name=example.org,source.host0.port=443,device=cdrom,bus=sata",
        "/srv/disks/d.raw,size=1,bus=usb,removable=on,readonly=yes",
    ],
}
# Each is there or not; a tuple is one choice out of several.
EXTRAS = [
    ("--rng=/dev/random", "--rng=none", "--rng=/dev/urandom,rate.bytes=64,rate.period=200", "--rng=builtin"),
    ("--controller=type=scsi,model=virtio-scsi", "--controller=type=scsi,model=lsilogic"),
    ("--controller=type=usb,model=qemu-xhci", "--controller=type=usb,model=ich9-ehci1"),
    "--controller=type=virtio-serial",
    "--controller=type=pci,model=pci-bridge,index=9",
    "--channel=unix,target.type=virtio,target.name=org.qemu.guest_agent.0",
    (
        "--serial=pty",
        "--serial=tcp,host=127.0.0.1:2222,mode=bind,protocol=telnet",
        "--serial=file,path=/srv/serial.log",
    ),
    "--parallel=null",
    "--console=pty,target.type=virtio",
    ("--watchdog=i6300esb,action=reset", "--watchdog=ib700,action=poweroff"),
    ("--sound=ich9", "--sound=ac97", "--sound=none"),
    "--input=tablet,bus=virtio",
    "--input=keyboard,bus=usb",
    ("--memballoon=virtio,autodeflate=on", "--memballoon=none"),
    "--vsock=cid.auto=yes",
    "--panic=default",
    "--tpm=model=tpm-tis,backend.type=passthrough,backend.device.path=/dev/tpm0",
    ("--filesystem=/srv,shared,mode=mapped", "--filesystem=/srv/disks,data,readonly=yes,mode=passthrough"),
    "--xml=./devices/hostdev/@mode=subsystem --xml=./devices/hostdev/@type=pci --xml=./devices/hostdev/source/address/@bus=9",  # noqa: E501
    "--shmem=name=shared,model.type=ivshmem-plain,size=4,size.unit=M",
    "--iommu=model=intel",
    "--metadata=title=A title,description=An <odd> & unusual description",
    "--sysinfo=type=smbios,bios.vendor=ACME,system.serial=12345",
    "--features=hyperv.relaxed.state=on,hyperv.vapic.state=on,kvm.hidden.state=on,vmport.state=off",
    "--clock=offset=localtime,hpet_present=no,rtc_tickpolicy=catchup",
    "--pm=suspend_to_mem.enabled=on,suspend_to_disk.enabled=off",
    "--numatune=1,mode=preferred",
    "--blkiotune=weight=500",
    "--cputune=vcpupin0.vcpu=0,vcpupin0.cpuset=0-1",
    "--memtune=hard_limit=4194304",
    "--qemu-commandline=-set device.foo=bar",
    "--events=on_crash=preserve,on_reboot=destroy",
    "--iothreads=2",
    "--memorybacking=nosharepages=yes,locked=no",
    "--resource=/machine/production",
    "--seclabel=type=none",
    "--xml=./devices/emulator=/usr/bin/qemu-system-x86_64",
]
SPICE = ["--redirdev=usb,type=spicevmc", "--smartcard=mode=passthrough,type=spicevmc", "--channel=spicevmc"]


def options(chosen: random.Random, number: int) -> list[str]:
    """One combination."""
    words = [f"--{name}={chosen.choice(values)}" for name, values in CHOICES.items()]
    for extra in EXTRAS + (SPICE if any(word.startswith("--graphics=spice") for word in words) else []):
        if chosen.random() < 0.25:
            word = extra if isinstance(extra, str) else chosen.choice(extra)
            words += word.split(" ") if word.startswith("--xml=") else [word]
    identity = f"00000000-0000-4000-8000-{number:012}"
    return [*words, f"--name=corpus{number}", f"--uuid={identity}", "--import", "--virt-type=qemu"]


def document(connection: object, words: list[str]) -> str | None:
    """What virt-install prints for a combination; None when it refuses it."""
    sys.argv = ["virt-install", *words, "--check=all=off", "--dry-run", "--print-xml"]
    output, refusal = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(refusal):
            virtinstall.main(conn=connection)
    except (SystemExit, Exception) as error:  # noqa: BLE001 - whatever virt-install may throw
        print(error, refusal.getvalue()[-300:], file=sys.stderr)
        return None
    return output.getvalue() or None


chosen = random.Random(1)  # noqa: S311 - no secret: the same combinations in every run
connection = cli.getConnection("qemu:///system")
found = [document(connection, options(chosen, number)) for number in range(int(sys.argv[1]))]
json.dump([xml for xml in found if xml], sys.stdout)
