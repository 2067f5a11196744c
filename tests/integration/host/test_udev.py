# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rule of the role rng_host, by udev's own reading of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab.packages import download

from .conftest import Play

DEVICE = Path("/sys/class/misc/hw_random")


@pytest.mark.skipif(not DEVICE.exists(), reason="the kernel has no device for hardware RNGs")
def test_udev_gives_the_device_its_permissions(play: Play, tmp_path: Path) -> None:
    unpacked = tmp_path / "packages" / "unpacked"
    unpacked.mkdir(parents=True)
    download(["udev", "systemd"], unpacked)
    (udevadm,) = (path for path in unpacked.rglob("udevadm") if path.parent.name == "bin" and path.is_file())
    libraries = ":".join(str(path) for path in unpacked.rglob("systemd") if path.is_dir())
    wishes = {"devices": [{"path": "/dev/hwrng", "group": "0"}]}
    forget = "chmod 0600 /dev/hwrng"
    test = f"{forget}; LD_LIBRARY_PATH={libraries} {udevadm} test --action=add {DEVICE} 2>&1"
    tasks = [
        {
            "include_role": {"name": "fleet.rng.rng_host"},
            "vars": {"rng_host_become": False, "rng_host_permissions": wishes},
        },
        {"shell": test, "register": "udev"},
    ]
    script = "mkdir -p /run/udev /etc/udev/rules.d; touch /run/udev/control; mknod -m 0600 /dev/hwrng c 10 183"
    code, output, said = play(tasks, keep="udev.stdout", script=script)
    assert code == 0, output
    assert "0640" in said, said
