# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hypervisors that are broken, full, closed to us, or less able than others."""

from __future__ import annotations

import pytest
from integration.libvirt.hypervisor import Hypervisor, task

ALL = [{"guest": name} for name in ("one", "two", "three")]


@pytest.fixture(autouse=True)
def _guests(fragile: Hypervisor) -> None:
    """Two guests that are off and one that runs."""
    for entry in ALL:
        fragile.define(entry["guest"], firmware_only=True, running=entry["guest"] == "three")


def test_libvirtd_down(fragile: Hypervisor) -> None:
    fragile.restart_libvirtd()  # by itself a restart drops an alias from the live XML of a guest without USB
    before = fragile.documents()
    fragile.kill_libvirtd()
    try:
        play = fragile.play({**task(ALL), "check_mode": True}, task(ALL), {"fleet.rng.libvirt_rng_info": {}})
    finally:
        fragile.start_libvirtd()
    for outcome, way in zip(play, ("writing", "writing", "reading"), strict=True):
        assert outcome.failed
        assert outcome.msg.startswith(f"cannot open qemu:///system for {way}: ")
        assert "is libvirtd running" in outcome.msg
    assert fragile.documents() == before


FULL = """
mount -t tmpfs -o size=256k definitions /run/definitions && cp -a /etc/libvirt/qemu/. /run/definitions
mount --bind /run/definitions /etc/libvirt/qemu && umount /run/definitions
cat /dev/zero > /etc/libvirt/qemu/filler || true
"""
READ_ONLY = """
mount --bind /etc/libvirt/qemu /run/definitions && mount --bind -o ro /run/definitions /etc/libvirt/qemu
mount -o remount,bind,ro /etc/libvirt/qemu && umount /run/definitions
"""
CURES = {"full": "rm /etc/libvirt/qemu/filler", "read_only": "mount -o remount,bind,rw /etc/libvirt/qemu"}


@pytest.mark.parametrize(
    ("fault", "words"), [("full", "No space left on device"), ("read_only", "Read-only file system")]
)
def test_definitions_cannot_be_written(fault: str, words: str, fragile: Hypervisor) -> None:
    script = {"full": FULL, "read_only": READ_ONLY}[fault]
    fragile.host.check("sh", "-ec", f"mkdir -p /run/definitions; {script}")
    try:
        before = fragile.documents()
        cycle = fragile.cycle(ALL, predictable=False)
        for name in ("one", "two", "three"):
            assert words in cycle.applied.guest(name)["error"]
        assert cycle.applied.msg.startswith("3 of 3 guests failed: ")
        now = fragile.documents()
        assert [now[name]["config"] for name in ("one", "two", "three")] == [
            before[name]["config"] for name in ("one", "two", "three")
        ]
        fragile.host.check("sh", "-ec", CURES[fault])
        fragile.module(ALL)
        assert not fragile.module(ALL).changed
        assert [fragile.counts(name) for name in ("one", "two", "three")] == [(1, None), (1, None), (1, 1)]
        fragile.assert_rest_identical(before)
    finally:
        fragile.forget()
        fragile.host.check("umount", "/etc/libvirt/qemu")
        fragile.restart_libvirtd()


def test_not_root_and_without_become(fragile: Hypervisor) -> None:
    fragile.host.check("sh", "-c", "id visitor 2>/dev/null || useradd --create-home --password '*' visitor")
    before = fragile.documents()
    checked, applied, observed = fragile.play(
        {**task(ALL), "check_mode": True}, task(ALL), {"fleet.rng.libvirt_rng_info": {}}, ansible_user="visitor"
    )
    for outcome in (checked, applied):
        assert outcome.failed
        assert "become may be needed" in outcome.msg
    assert not observed.failed
    assert [guest["name"] for guest in observed.result["guests"]] == ["one", "three", "two"]
    assert fragile.documents() == before


def test_interpreter_without_the_libvirt_binding(fragile: Hypervisor) -> None:
    fragile.host.check("python3", "-m", "venv", "--without-pip", "/opt/bare")
    tasks = (task(ALL), {"fleet.rng.libvirt_rng_info": {}})
    for outcome in fragile.play(*tasks, ansible_python_interpreter="/opt/bare/bin/python"):
        assert outcome.failed
        assert outcome.msg.startswith(
            "/opt/bare/bin/python on this host has no module libvirt: install python3-libvirt"
        )


FORGET_BUILTIN = """
cd /var/cache/libvirt/qemu/capabilities
for file in *.xml; do
    touch -r "$file" /run/stamp && sed -i "/<flag name='rng-builtin'\\/>/d" "$file" && touch -r /run/stamp "$file"
done
! grep -q rng-builtin *.xml
"""


def test_qemu_without_builtin(fragile: Hypervisor) -> None:
    """A real libvirtd, whose memory of what QEMU can do is edited: any QEMU that it could run here has the backend."""
    devices = [{"guest": "one", "source": "builtin"}, {"guest": "two"}]
    fragile.kill_libvirtd()
    try:
        fragile.host.check("sh", "-ec", FORGET_BUILTIN)
        fragile.start_libvirtd()
        cycle = fragile.cycle(devices)
        error = cycle.applied.guest("one")["error"]
        assert error == "source builtin: this guest's QEMU knows only random, egd"
        assert cycle.statuses("two") == ("added", "not_applicable")
        assert fragile.counts("one") == (0, None)
    finally:
        fragile.host.check("sh", "-c", "rm -f /var/cache/libvirt/qemu/capabilities/*.xml")
        fragile.restart_libvirtd()
    assert fragile.module(devices).statuses("one") == ("added", "not_applicable")
