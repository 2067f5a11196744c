# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration files that fleet.rng.qemu_rng wrote, and QEMUs that start with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from integration.qemu.conftest import Start
from integration.qemu.machine import Machine, converge, module, observe

PORTS = "".join(f'[device "rp{n}"]\n  driver = "pcie-root-port"\n  chassis = "{n}"\n' for n in (1, 2, 3))
THEIRS = f"""# The disks of this guest are on the command line.
[memory]
  size = "64M"

{PORTS}
[object "io1"]
  qom-type = "iothread"
# the end, without an end of the line"""


def restart(guest: Machine) -> None:
    guest.stop()
    guest.start()


@pytest.mark.parametrize(
    ("machine", "theirs", "device"),
    [
        ("q35", THEIRS, {}),
        ("q35", THEIRS, {"source": "builtin", "max_bytes": "unlimited", "model": "virtio-non-transitional"}),
        ("pc", '[memory]\n  size = "64M"\n', {"max_bytes": 640, "period": 77, "driver": {"packed": True}}),
        ("pc", "", {"source": "/dev/random", "driver": {"page_per_vq": True}}),
    ],
)
def test_what_runs_is_what_starts(
    start: Start, tmp_path: Path, machine: str, theirs: str, device: dict[str, Any]
) -> None:
    file = tmp_path / "guest.cfg"
    file.write_text(theirs)
    guest = start("fleet-file", machine, "-S", "-readconfig", str(file))
    outcome = converge(guest, **device)
    assert (outcome["config"], outcome["live"], outcome["error"]) == ("added", "added", None)
    assert file.read_text().startswith(theirs)
    before = observe()[guest.name]
    restart(guest)
    after = observe()[guest.name]
    assert after["live"] == before["live"] == after["config"]
    assert after["persistent"] is True
    assert converge(guest, **device)["changed"] is False
    outcome = converge(guest, wait=0, max_bytes=4096)
    assert (outcome["config"], outcome["live"]) == ("replaced", "pending_removal")  # firmware lets go of nothing
    restart(guest)
    assert converge(guest, max_bytes=4096)["changed"] is False
    assert converge(guest, wait=0, state="absent")["config"] == "removed"
    assert file.read_text() == theirs
    restart(guest)
    assert guest.rngs == []
    guest.stop()


def test_where_nothing_can_be_plugged_in_it_waits_for_the_restart(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "guest.cfg"
    file.write_text("")
    guest = start("fleet-micro", "microvm", "-S", "-readconfig", str(file))
    for check in (True, False):
        outcome = converge(guest, check=check)
        assert (outcome["config"], outcome["live"], outcome["error"]) == ("added", "needs_restart", None)
        assert "virtio-mmio" in outcome["reason"]
    restart(guest)
    assert guest.rngs == ["ua-fleet-rng"]
    again = converge(guest)
    assert (again["config"], again["live"], again["changed"]) == ("unchanged", "unchanged", False)
    guest.stop()


def test_where_nothing_can_be_unplugged_it_waits_for_the_restart(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "guest.cfg"
    theirs = '[device "old"]\n  driver = "virtio-rng-pci"\n'  # on pcie.0
    file.write_text(PORTS + theirs)
    guest = start("fleet-fixed", "q35", "-S", "-readconfig", str(file))
    outcome = converge(guest)
    assert (outcome["config"], outcome["live"], guest.rngs) == ("replaced", "needs_restart", ["old"])
    restart(guest)
    assert guest.rngs == ["ua-fleet-rng"]
    assert converge(guest)["changed"] is False
    guest.stop()


def test_an_egd_socket(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "guest.cfg"
    file.write_text(
        '[chardev "c"]\n  backend = "socket"\n  path = "/run/fleet-none.sock"\n  reconnect = "10"\n'
        '[object "e"]\n  qom-type = "rng-egd"\n  chardev = "c"\n'
        '[device "d"]\n  driver = "virtio-rng-pci"\n  rng = "e"\n'
    )
    guest = start("fleet-egd", "pc", "-S", "-readconfig", str(file))
    seen = observe()[guest.name]
    assert seen["config"] == seen["live"]
    assert seen["live"][0]["source"] == "egd+unix:/run/fleet-none.sock"
    guest.stop()


def test_a_file_of_our_own(start: Start, tmp_path: Path) -> None:
    options: dict[str, Any] = {"config_dir": str(tmp_path)}
    guest = start("fleet-own", "pc", "-S")
    file = tmp_path / f"{guest.name}.cfg"
    result = module("qemu_rng", devices=[{"guest": guest.name}], **options)
    assert (result["guests"][0]["config"], result["guests"][0]["live"]) == ("added", "added")
    assert f"give it -readconfig {file}" in result["guests"][0]["reason"]
    guest.command += ["-readconfig", str(file)]
    restart(guest)
    assert guest.rngs == ["ua-fleet-rng"]
    assert not module("qemu_rng", devices=[{"guest": guest.name}], **options)["changed"]
    guest.stop()
    seen = observe(**options)[guest.name]
    assert (seen["running"], [found["source"] for found in seen["config"]]) == (False, ["/dev/urandom"])
    result = module("qemu_rng", devices=[{"guest": guest.name, "state": "absent"}], **options)
    assert (result["guests"][0]["config"], result["guests"][0]["live"]) == ("removed", "not_applicable")
    assert file.read_text() == ""
    guest.start()
    assert guest.rngs == []
    guest.stop()


def test_a_file_of_another_user(start: Start, tmp_path: Path) -> None:
    """QEMU read it before it became somebody else, who may not: whoever is that could name any file of root's."""
    file = tmp_path / "guest.cfg"
    file.write_text(PORTS + '[device "theirs"]\n  driver = "virtio-rng-pci"\n')
    guest = start("fleet-other", "q35", "-S", "-runas", "nobody", "-readconfig", str(file))
    seen = observe()[guest.name]
    assert (seen["config"], [found["alias"] for found in seen["live"]]) == (None, ["theirs"])
    (note,) = seen["notes"]
    assert note.startswith(f"its configuration file is left alone: {file} belongs to another user than its process, ")
    seen = observe(config_roots=[str(tmp_path)])[guest.name]
    assert [found["alias"] for found in seen["config"]] == ["theirs"]
    guest.stop()
