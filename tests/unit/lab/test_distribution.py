# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pure parts of guests with a distribution: their spec, their domain XML, the repositories, and the empty disk."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml
from lab import GuestSpec, LabError, LabSpec, distribution
from lab.domain import GuestNet, domain_xml, guest_uuid

GUEST = GuestSpec("deb1", distribution=True, memory=512)
NET = GuestNet("10.57.6.0/22", "52:54:0a:39:06:00", "AAAAkey")


def test_it_boots_its_own_disk_and_learns_address_and_key_from_the_firmware() -> None:
    domain = ET.fromstring(domain_xml("hv1", GUEST, NET))
    assert domain.find("os/kernel") is None
    assert domain.find("os/boot[@dev='hd']") is not None
    source = domain.find("devices/disk[@device='disk']/source")
    assert source is not None
    assert source.get("file") == f"/run/lab/host/disks/{guest_uuid('hv1', 'deb1')}"
    entries = {entry.get("name"): entry.text for entry in domain.iterfind("sysinfo[@type='smbios']/system/entry")}
    assert entries == {"serial": "10.57.6.0/22", "sku": "AAAAkey"}
    # The agent's port, the network card and the disk each take a root port.
    assert len(domain.findall("devices/controller[@model='pcie-root-port']")) == GUEST.spare_ports + 3


def test_other_guests_have_no_disk() -> None:
    domain = ET.fromstring(domain_xml("hv1", GuestSpec("a", ssh=True), NET))
    assert domain.find("devices/disk") is None
    assert domain.find("sysinfo") is None


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ("memory: 256", "memory of 384 MiB"),
        ("memory: 512, driver: false", "guests without distribution"),
        ("memory: 512, agent: hung", "guests without distribution"),
        ("memory: 512, cmdline: fips=1", "guests without distribution"),
        ("memory: 512, firmware_only: true", "guests without distribution"),
    ],
)
def test_what_it_cannot_have_is_refused(keys: str, why: str) -> None:
    with pytest.raises(LabError, match=why):
        LabSpec.parse(yaml.safe_load(f"{{hosts: {{hv1: {{guests: {{a: {{distribution: true, {keys}}}}}}}}}}}"))


def test_the_spec_tells_what_is_needed() -> None:
    spec = LabSpec.parse({"hosts": {"hv1": {"guests": {"a": {"distribution": True, "memory": 512}}}}})
    assert spec.needs_distribution
    assert not spec.needs_ssh_guests
    assert spec.hosts[0].guests[0].networked


DEBIAN = """\
Debian|http://mirror/debian/|bookworm-updates|oldstable-updates|main
Debian|http://mirror/debian/|bookworm|oldstable|main
Debian|http://mirror/debian/|bookworm|oldstable|contrib
Debian|http://mirror/debian-security/|bookworm-security|oldstable-security|main
Somebody|http://elsewhere/apt/|bookworm|stable|main
"""
UBUNTU = """\
Ubuntu|http://mirror/ubuntu/|jammy|jammy|main
Ubuntu|http://mirror/ubuntu/|jammy|jammy-updates|universe
"""


@pytest.mark.parametrize(
    ("listed", "sources"),
    [
        (
            DEBIAN,
            [
                "deb http://mirror/debian/ bookworm main",
                "deb http://mirror/debian/ bookworm-updates main",
                "deb http://mirror/debian-security/ bookworm-security main",
            ],
        ),
        (UBUNTU, ["deb http://mirror/ubuntu/ jammy main", "deb http://mirror/ubuntu/ jammy-updates universe"]),
    ],
)
def test_only_the_distributions_repositories_are_used(
    listed: str, sources: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distribution, "apt", lambda *dummy: listed)
    assert distribution._sources() == sources


def test_without_any_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distribution, "apt", lambda *dummy: "")
    with pytest.raises(LabError, match="no repository"):
        distribution._sources()


def test_the_disk_begins_as_the_firmware_wants_it(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    distribution._write_disk(disk, b"\xeb" * 512, b"core")
    with disk.open("rb") as stream:
        first, second = stream.read(512), stream.read(512)
    assert first[:440] == b"\xeb" * 440
    assert first[510:] == b"\x55\xaa"
    entry = first[446:462]
    assert (entry[0], entry[4]) == (0x80, 0x83)
    start, count = int.from_bytes(entry[8:12], "little"), int.from_bytes(entry[12:], "little")
    assert (start + count) * 512 == disk.stat().st_size
    assert second.startswith(b"core\0")
    with pytest.raises(LabError, match="does not fit"):
        distribution._write_disk(disk, b"", bytes(start * 512))
