# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command lines of QEMU as people, units and managers write them."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.codec.qemu_words import (
    Words,
    manager_of,
    parse_properties,
    parse_words,
)

AGENT = (
    "-chardev socket,path=/run/a.qga,server=on,wait=off,id=qga0 -device virtio-serial "
    "-device virtserialport,chardev=qga0,name=org.qemu.guest_agent.0"
)

JSON_RNG = {"driver": "virtio-rng-pci", "max-bytes": "1", "packed": "on"}
OBJECT = {"qom-type": "rng-random", "id": "r", "filename": "/dev/random"}


def read(line: str) -> Words:
    return parse_words(["qemu-system-x86_64", *shlex.split(line)])


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("-name web1", "name", "web1"),
        ("-name guest=a,,b,debug-threads=on", "name", "a,b"),
        ("--name 'x; rm -rf /'", "name", "x; rm -rf /"),
        ("-name -qmp -S", "name", "-qmp"),
        ("-name debug-threads=on", "name", ""),
        ("-uuid 1F0A8A86-3B5D-4C5C-9A0E-0D6A6F6A7C11", "uuid", "1f0a8a86-3b5d-4c5c-9a0e-0d6a6f6a7c11"),
        ("-M q35,accel=tcg", "machine", "q35"),
        ("-machine accel=kvm,type=pc", "machine", "pc"),
        ("-qmp unix:/run/a.qmp,server=on,wait=off", "monitors", ("/run/a.qmp",)),
        ("-qmp unix:/run/a.qmp,server,nowait", "monitors", ("/run/a.qmp",)),
        ("-qmp-pretty unix:a,,b,server=on", "monitors", ("a,b",)),
        ("-qmp unix:/run/a.qmp", "monitors", ()),
        ("-qmp tcp:localhost:4444,server=on", "monitors", ()),
        ("-qmp stdio", "monitors", ()),
        ("-append '-qmp unix:/x,server=on' -S", "monitors", ()),
        ("-append -qmp -snapshot unix:/x,server=on", "monitors", ()),
        ("-mon chardev=m,mode=control -chardev socket,id=m,path=/a,server=on", "monitors", ("/a",)),
        ("-chardev socket,id=m,path=/a,server=on -mon m,mode=control,pretty=on", "monitors", ("/a",)),
        ("-chardev socket,id=m,path=/a,server=on -mon chardev=m", "monitors", ()),
        ("-chardev socket,id=m,path=/a -mon chardev=m,mode=control", "monitors", ()),
        ("-chardev pty,id=m -mon chardev=m,mode=control", "monitors", ()),
        ("-mon chardev=m,mode=control", "monitors", ()),
        ("-S -nographic -qmp unix:/a,server=on", "monitors", ("/a",)),
        ("disk.img -qmp unix:/a,server=on -qmp unix:/b,server=on", "monitors", ("/a", "/b")),
        ("-readconfig /etc/qemu/a.cfg -readconfig b.cfg", "config_files", ("/etc/qemu/a.cfg", "b.cfg")),
        (AGENT, "agent", "/run/a.qga"),
        (AGENT.replace("org.qemu.guest_agent.0", "other"), "agent", ""),
        (AGENT.replace("server=on,", ""), "agent", ""),
        ("-device virtio-rng-pci,max-bytes=1", "rngs", ({"driver": "virtio-rng-pci", "max-bytes": "1"},)),
        ('-device \'{"driver":"virtio-rng-pci","max-bytes":1,"packed":true}\'', "rngs", (JSON_RNG,)),
        ("-device '{\"driver\":'", "rngs", ()),
        ("-object rng-random,id=r,filename=/dev/random -object iothread,id=i", "objects", (OBJECT,)),
        ("-device pcie-root-port,id=rp1 -device ioh3420 -device e1000e,bus=rp1 -readconfig a", "ports", ("rp1",)),
        ("-readconfig a -device pcie-root-port,id=rp1", "ports", ()),
        ("-device pcie-root-port,id=rp1", "ports", ()),
        ("-device '{\"driver\":\"pcie-root-port\",\"id\":\"rp1\"}' -readconfig a", "ports", ()),
        ("-device pcie-root-port,id=rp1 -device e1000e,bus=rp1", "buses", ("rp1",)),
        ("-object secret,id=masterKey0,format=raw,file=/var/lib/libvirt/x", "manager", "libvirt"),
        ("-object '{\"qom-type\":\"secret\",\"id\":\"masterKey0\"}'", "manager", "libvirt"),
        ("-chardev socket,id=qmp,path=/var/run/qemu-server/100.qmp,server=on", "manager", "Proxmox VE"),
        ("-pidfile /run/ganeti/kvm-hypervisor/pid/vm1", "manager", "Ganeti"),
        ("-name libvirt -drive file=/var/lib/libvirt/images/a.img", "manager", ""),
        ("-qmp", "monitors", ()),
        ("", "name", ""),
    ],
)  # fmt: skip
def test_words(line: str, field: str, value: Any) -> None:
    assert getattr(read(line), field) == value


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a,b=c", {"x": "a", "b": "c"}),
        ("a=1,b=,c=d=e", {"a": "1", "b": "", "c": "d=e"}),
        ("p=a,,,,b,,,q=c", {"p": "a,,b,", "q": "c"}),
        ("a,server,nowait,no", {"x": "a", "server": "on", "wait": "off", "no": "on"}),
        ("", {"x": ""}),
    ],
)
def test_properties(text: str, found: dict[str, str]) -> None:
    assert parse_properties(text, "x") == found


def test_managers_by_their_places() -> None:
    assert manager_of("/var/lib/libvirt/qemu/domain-1-a/monitor.sock") == "libvirt"
    assert manager_of("/run/qemu/a.qmp") == ""
