# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role rng_host: what it writes through links, and what it does when something cannot be done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .conftest import Play


def role(**variables: Any) -> dict[str, Any]:
    return {"import_role": {"name": "fleet.rng.rng_host"}, "vars": {"rng_host_become": False, **variables}}


def conf(path: Path, **more: Any) -> dict[str, Any]:
    return {"devices": [{"path": "/dev/hwrng7", "mode": "0444"}], "cgroup_acl": True, "qemu_conf": str(path), **more}


def test_a_link_stays_one_and_its_file_keeps_its_mode(play: Play, tmp_path: Path) -> None:
    real = tmp_path / "real.conf"
    real.write_text("# ours\n")
    real.chmod(0o600)
    link = tmp_path / "qemu.conf"
    link.symlink_to("real.conf")
    code, output, outcome = play([role(rng_host_permissions=conf(link))], keep="rng_host_outcome")
    assert code == 0, output
    assert str(link) in outcome["changed"]
    assert link.is_symlink()
    assert '"/dev/hwrng7"' in real.read_text()
    assert real.stat().st_mode & 0o7777 == 0o600
    code, output, outcome = play([role(rng_host_permissions=conf(link))], keep="rng_host_outcome")
    assert (code, str(link) in outcome["changed"]) == (0, False), output


UDEV = "mkdir -p /run/udev /etc/udev/rules.d; touch /run/udev/control"
DEVICES = "mknod -m 0600 /dev/hwrng7 c 1 9; mknod -m 0600 /dev/hwrng8 c 1 9"


def test_what_cannot_be_done_keeps_nothing_else_from_being_done(play: Play, tmp_path: Path) -> None:
    """A group that is not there, a qemu.conf that nobody could edit, a daemon with an option that is none."""
    file = tmp_path / "qemu.conf"
    file.write_text("cgroup_device_acl = [\n")
    devices = [{"path": "/dev/hwrng7", "group": "nobodys"}, {"path": "/dev/hwrng8", "mode": "0444"}]
    wishes = conf(file, devices=devices)
    variables = {"rng_host_permissions": wishes, "rng_host_daemon": "rngd", "rng_host_test_sources": ["/dev/urandom"]}
    variables["rng_daemon_options"] = {"rngd": ["; reboot"]}
    look = {"shell": "stat -c %a /dev/hwrng8; cat /etc/udev/rules.d/*", "register": "looked"}
    tasks = [{"block": [role(**variables)], "always": [look]}]
    code, output, found = play(tasks, keep="[rng_host_outcome, looked]", script=f"{UDEV}; {DEVICES}")
    outcome, looked = found
    assert code == 2
    problems = outcome["problems"]
    assert len(problems) == 3, output
    starts = ("/dev/hwrng7: ", f"{file}: ", "the entropy daemon: ")
    whys = (
        "nobodys",
        "the file is left alone: cgroup_device_acl is no list of paths that ends",
        "rng_daemon_options has lists of words",
    )
    for problem, start, why in zip(problems, starts, whys, strict=True):
        assert problem.startswith(start)
        assert why in problem
    assert looked["stdout_lines"][0] == "444"
    assert '"/dev/hwrng7"' in looked["stdout"]
    assert outcome["changed"] == ["the permissions of /dev/hwrng8", "their permissions at boot"]
    assert [one["status"] for one in outcome["sources"]] == ["good"]
    assert file.read_text() == "cgroup_device_acl = [\n"


def test_libvirt_restarts_though_there_was_a_problem(play: Play, tmp_path: Path) -> None:
    file = tmp_path / "qemu.conf"
    file.write_text("# ours\n")
    wishes = conf(file, restart_libvirt=True)
    wishes["devices"].append({"path": "/dev/zero7"})
    service = tmp_path / "libvirtd"
    service.write_text(f"#!/bin/sh\necho $1 >> {tmp_path}/told\n")
    service.chmod(0o755)
    script = f"{UDEV}; touch /dev/zero7; cp {service} /etc/init.d/; echo $$ > /run/libvirtd.pid"
    code, output, outcome = play([role(rng_host_permissions=wishes)], keep="rng_host_outcome", script=script)
    assert (code, outcome["problems"]) == (2, ["/dev/zero7 is no character device"]), output
    assert (tmp_path / "told").read_text().split()[-2:] == ["stop", "start"]
