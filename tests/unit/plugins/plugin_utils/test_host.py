# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preparing a hypervisor: its permissions, what confines its guests, and the line that is said about it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.plugin_utils.host import obstacles, permissions, rate, recap, seen

HWRNG = {"path": "/dev/hwrng", "user": "", "group": "kvm", "mode": "0640"}


def test_permissions_have_defaults() -> None:
    assert permissions({"devices": [{"path": "/dev/hwrng", "group": "kvm"}]}) == {
        "manage": True,
        "devices": [HWRNG],
        "cgroup_acl": None,
        "qemu_conf": "/etc/libvirt/qemu.conf",
        "restart_libvirt": False,
    }


def test_nothing_is_managed_that_is_not_named() -> None:
    assert permissions({})["manage"] is False
    assert permissions({"cgroup_acl": True})["manage"] is False
    assert permissions({"devices": []})["manage"] is True


@pytest.mark.parametrize(
    ("wishes", "why"),
    [
        ([], "takes devices"),
        ({"device": "/dev/hwrng"}, "takes devices"),
        ({"devices": "/dev/hwrng"}, "is a list"),
        ({"devices": ["/dev/hwrng"]}, "a device has"),
        ({"devices": [{"path": "/dev/hwrng", "owner": "root"}]}, "a device has"),
        ({"devices": [{"path": "hwrng"}]}, "below /dev"),
        ({"devices": [{"path": "/dev/../etc/shadow"}]}, "below /dev"),
        ({"devices": [{"path": '/dev/x", RUN+="reboot'}]}, "below /dev"),
        ({"devices": [{"path": "/dev/hwrng\n"}]}, "below /dev"),
        ({"devices": [{"path": "/dev/urandom"}]}, "for everybody"),
        ({"devices": [{"path": "/dev/hwrng", "group": "kvm; reboot"}]}, "names or numbers"),
        ({"devices": [{"path": "/dev/hwrng", "user": "$(id)"}]}, "names or numbers"),
        ({"devices": [{"path": "/dev/hwrng", "mode": 640}]}, "octal digits in quotes"),
        ({"devices": [{"path": "/dev/hwrng", "mode": "4755"}]}, "octal digits in quotes"),
        ({"devices": [{"path": "/dev/hwrng"}, {"path": "/dev/hwrng"}]}, "twice"),
        ({"cgroup_acl": "yes"}, "true or false"),
        ({"qemu_conf": "qemu.conf"}, "absolute path"),
        ({"qemu_conf": "/etc/x;y"}, "absolute path"),
    ],
)
def test_wrong_permissions_are_refused(wishes: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        permissions(wishes)


def test_a_mode_of_three_digits_is_completed() -> None:
    assert permissions({"devices": [{"path": "/dev/hwrng", "mode": "660"}]})["devices"][0]["mode"] == "0660"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], []),
        (["mechanism udev"], []),
        (["apparmor yes"], ["AppArmor", "'/dev/hwrng r,'"]),
        (["apparmor yes", "rule /dev/hwrng"], []),
        (["selinux yes", "label /dev/hwrng system_u:object_r:random_device_t:s0"], []),
        (["selinux yes", "label /dev/hwrng system_u:object_r:device_t:s0"], ["SELinux", "a device_t", "semanage"]),
        (["selinux yes", "label /dev/hwrng "], []),
        (["label /dev/hwrng system_u:object_r:device_t:s0"], []),
        (["selinux yes", "label /dev/hwrng a:b:evil\x1b[2J:s0"], ["evil\\x1b"]),
    ],
)
def test_what_confines_guests_is_said_with_what_helps(lines: list[str], words: list[str]) -> None:
    found = obstacles(seen(lines), ["/dev/hwrng", "/dev/urandom", "builtin"])
    assert len(found) == (1 if words else 0)
    for word in words:
        assert word in found[0]


def test_what_is_no_line_of_ours_is_nothing() -> None:
    nothing = {"mechanism": "none", "apparmor": False, "selinux": False, "rules": [], "labels": {}}
    assert seen(["", "mechanism x", "apparmor", "y z"]) == nothing
    assert seen(["mechanism openrc"])["mechanism"] == "openrc"


RNG = {"current": "tpm-rng-0", "cpu": ["rdrand"]}
BEGIN: dict[str, Any] = {"host": "hv1", "changed": [], "problems": [], "notes": [], "sources": [], "rng": RNG}
GOOD = {"source": "/dev/hwrng", "status": "good", "bytes_per_second": 9600.0, "why": "all bytes came"}
BAD = {"source": "/dev/x", "status": "missing", "bytes_per_second": None, "why": "gone"}


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({}, "hv1: tpm-rng-0 feeds its kernel, and rdrand. Nothing to change."),
        (
            {"rng": {"current": None, "cpu": []}},
            "hv1: No hardware RNG feeds its kernel, only timing. Nothing to change.",
        ),
        ({"rng": None}, "hv1: It could not be audited. Nothing to change."),
        (
            {"sources": [GOOD, BAD], "rng": None, "changed": ["a"]},
            "hv1: It could not be audited. Sources: /dev/hwrng good, 9.38 KiB/s; /dev/x missing (gone). Changed: a.",
        ),
        (
            {"rng": {**RNG, "broker": {"status": "stale", "why": "not updated for 90 s"}}},
            "hv1: tpm-rng-0 feeds its kernel, and rdrand. Broker: stale: not updated for 90 s. Nothing to change.",
        ),
        (
            {"changed": ["a", "b"], "problems": ["c."], "notes": ["d"]},
            "hv1: tpm-rng-0 feeds its kernel, and rdrand. Changed: a; b. Not done: c. Note: d.",
        ),
        (
            {"changed": ["a"], "check_mode": True},
            "hv1: tpm-rng-0 feeds its kernel, and rdrand. Would change: a.",
        ),
        (
            {"rng": {"current": "evil\x1b[2J", "cpu": None}},
            "hv1: evil\\x1b[2J feeds its kernel. Nothing to change.",
        ),
    ],
)
def test_recap(more: dict[str, Any], line: str) -> None:
    assert recap({**BEGIN, **more}, 400) == [line]


def test_a_long_recap_is_folded_and_whole() -> None:
    notes = [f"note {number} has some words" for number in range(40)]
    lines = recap({**BEGIN, "notes": notes, "daemon": "The kernel does not need one."}, 100)
    assert all(len(line) <= 100 for line in lines)
    said = " ".join(" ".join(lines).split())
    assert all(note in said for note in notes)
    assert said.endswith("Daemon: The kernel does not need one.")


@pytest.mark.parametrize(
    ("value", "text"),
    [(12.4, "12.4 B/s"), (2048, "2 KiB/s"), (5.5 * 2**20, "5.5 MiB/s"), (2e9, "1907 MiB/s"), (None, "of unknown rate")],
)
def test_rates(value: Any, text: str) -> None:
    assert rate(value) == text
