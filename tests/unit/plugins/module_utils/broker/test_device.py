# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be opened as a source, and what is said of it where it may not."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker import device
from ansible_collections.fleet.rng.plugins.module_utils.broker.device import FAILED, MISSING, CutOffError


def test_no_hardware_behind_the_device() -> None:
    cut = device.explained(OSError(errno.ENODEV, "x"), "/dev/hwrng")
    assert (cut.state, cut.why) == (MISSING, "no hardware RNG is behind it (No such device)")
    assert device.explained(OSError(errno.ENODEV, "x"), "/dev/ttyACM0").why == "No such device"
    assert device.explained(OSError(errno.EIO, "x"), "/dev/hwrng").why == "cannot be read: Input/output error"


def test_rights_are_told_with_the_remedy() -> None:
    cut = device.explained(OSError(errno.EACCES, "x"), "/dev/null")
    rule = f'ENV{{DEVNAME}}=="/dev/null", GROUP="{os.getegid()}", MODE="0640"'
    assert (cut.state, cut.why) == (FAILED, f"this user may not read it (Permission denied); a udev rule helps: {rule}")
    cut = device.explained(OSError(errno.EPERM, "x"), "/dev/hwrng")
    assert "DeviceAllow=" in cut.why


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero", "/dev/full"])
def test_devices_that_are_no_sources(path: str) -> None:
    with pytest.raises(CutOffError, match=r"device 1:\d is no source of randomness"):
        device.open_device(path)


def test_only_character_devices_are_opened(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"secret")
    os.mkfifo(tmp_path / "pipe")
    for other in (path, tmp_path, tmp_path / "pipe"):
        with pytest.raises(CutOffError, match="is no character device"):
            device.open_device(str(other))
    link = tmp_path / "link"
    link.symlink_to("/dev/urandom")
    assert device.check(str(link)) == (1, 9)


def test_a_watchdog_is_never_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    status = os.stat_result((0o020600, 0, 0, 0, 0, 0, 0, 0, 0, 0), {"st_rdev": os.makedev(10, 130)})
    monkeypatch.setattr(os, "stat", lambda path: status)
    with pytest.raises(CutOffError, match="10:130 is no source"):
        device.check("/dev/watchdog")


def test_a_device_that_is_swapped_while_it_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "check", lambda path: (1, 8))
    with pytest.raises(CutOffError, match="became another device"):
        device.open_device("/dev/urandom")


def test_a_descriptor_is_not_inherited() -> None:
    descriptor = device.open_device("/dev/urandom")
    try:
        assert not os.get_inheritable(descriptor)
        assert os.get_blocking(descriptor)
    finally:
        os.close(descriptor)


def test_short_answers_of_the_kernel_are_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getrandom", lambda size, flags: b"x" * min(size, 256))
    assert device.kernel_random(1000) == b"x" * 1000


def test_nothing_blocks_before_the_kernel_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_ready(size: int, flags: int) -> bytes:
        assert (size, flags) == (1, os.GRND_NONBLOCK)
        raise BlockingIOError

    monkeypatch.setattr(os, "getrandom", not_ready)
    assert device.kernel_random(1) is None


@pytest.mark.parametrize(
    ("name", "release", "kernel"),
    [
        ("/dev/random", "6.1.0-13-amd64", True),
        ("/dev/random", "5.6.0", True),
        ("/dev/random", "4.18.0-553.el8", False),
        ("/dev/urandom", "4.18.0-553.el8", True),
        ("/dev/random", "unknown", False),
        ("/dev/null", "6.1.0", False),
        ("/dev/no-such-device", "6.1.0", False),
    ],
)
def test_what_is_the_kernels_generator_and_never_blocks(
    name: str, release: str, kernel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "host", release, "#1", "x86_64")))
    assert device.is_kernel(name) is kernel
