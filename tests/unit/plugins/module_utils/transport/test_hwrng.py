# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kernel says and is told, in a tree of files; kernels that refuse are played, as files refuse nothing."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.errors import RngError
from ansible_collections.fleet.rng.plugins.module_utils.kernel.choice import Seen
from ansible_collections.fleet.rng.plugins.module_utils.transport import hwrng
from ansible_collections.fleet.rng.plugins.module_utils.transport.hwrng import HwrngError, Machine, ModuleError

HW_RANDOM = "sys/devices/virtual/misc/hw_random"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / HW_RANDOM
    directory.mkdir(parents=True)
    for name, text in (("available", "virtio_rng.0 tpm-rng-0\n"), ("current", "virtio_rng.0\n"), ("selected", "0\n")):
        (directory / f"rng_{name}").write_text(text)
    return tmp_path


def make(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def test_it_sees_and_tells(root: Path) -> None:
    machine = Machine(str(root))
    assert machine.see() == Seen(("virtio_rng.0", "tpm-rng-0"), "virtio_rng.0", False)
    assert machine.use("tpm-rng-0").current == "tpm-rng-0"
    assert (root / HW_RANDOM / "rng_current").read_text() == "tpm-rng-0\n"


def test_without_hw_random(tmp_path: Path) -> None:
    assert Machine(str(tmp_path)).see() == Seen()


@pytest.mark.parametrize("code", [errno.ENODEV, errno.EINVAL, errno.EIO])
def test_what_a_kernel_uses_counts_and_not_what_it_answers(code: int, root: Path, monkeypatch: Any) -> None:
    def refuse(*dummy: Any) -> int:
        (root / HW_RANDOM / "rng_current").write_text("virtio_rng.0\n")
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(hwrng.os, "write", refuse)
    assert Machine(str(root)).use("tpm-rng-0").current == "virtio_rng.0"


def test_a_kernel_that_vanishes_is_seen(root: Path) -> None:
    machine = Machine(str(root))
    (root / HW_RANDOM / "rng_current").unlink()
    (root / HW_RANDOM).joinpath("rng_current").symlink_to(root / "nowhere/at/all")
    assert machine.use("tpm-rng-0").current is None


@pytest.mark.parametrize(
    ("code", "advice"),
    [(errno.EACCES, "become may be needed"), (errno.EROFS, "in a container only its host can choose")],
)
def test_who_may_tell_it_nothing_learns_why(code: int, advice: str, root: Path, monkeypatch: Any) -> None:
    def refuse(*dummy: Any) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(hwrng.os, "open", refuse)
    with pytest.raises(HwrngError, match=f"rng_current: {os.strerror(code)}; {advice}"):
        Machine(str(root)).use("tpm-rng-0")


def test_what_cannot_be_read(root: Path) -> None:
    (root / HW_RANDOM / "rng_available").unlink()
    (root / HW_RANDOM / "rng_available").mkdir()
    with pytest.raises(HwrngError, match="rng_available: Is a directory"):
        Machine(str(root)).see()


def test_a_device_that_takes_a_moment(root: Path, monkeypatch: Any) -> None:
    machine = Machine(str(root))

    def appear(dummy: float) -> None:
        (root / HW_RANDOM / "rng_available").write_text("virtio_rng.0 tpm-rng-0 amd\n")

    monkeypatch.setattr(hwrng.time, "sleep", appear)
    assert "amd" in machine.await_first(("amd", "tpm-*")).available
    monkeypatch.setattr(hwrng, "_APPEAR_SECONDS", 0)
    assert "chaoskey" not in machine.await_first(("chaoskey",)).available


def test_modules_that_are_there(root: Path) -> None:
    make(root, "sys/module/tpm_tis/initstate", "proc/sys/kernel/osrelease", "lib/modules/6.1.0/modules.builtin")
    (root / "proc/sys/kernel/osrelease").write_text("6.1.0\n")
    (root / "lib/modules/6.1.0/modules.builtin").write_text(
        "kernel/drivers/char/hw_random/virtio-rng.ko\nkernel/drivers/char/hw_random/rng-core.ko.xz\n"
    )
    machine = Machine(str(root))
    for name in ("tpm_tis", "tpm-tis", "virtio_rng", "virtio-rng", "rng_core"):
        assert machine.has_module(name)
    for name in ("tpm", "virtio", "rng"):
        assert not machine.has_module(name)
    (root / "lib/modules/6.1.0/modules.builtin").unlink()
    assert not machine.has_module("virtio_rng")


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("exit 0", None),
        ("echo 'FATAL: Module x not found' >&2; exit 1", "modules: x cannot be loaded: FATAL: Module x not found"),
        ("exit 3", "modules: x cannot be loaded: modprobe ended with 3"),
        ("printf '\\033[2J' >&2; exit 1", "\\\\x1b"),
        ("sleep 60", "modules: x cannot be loaded: modprobe did not end within 1 seconds"),
        (None, "modules: x cannot be loaded: modprobe: No such file or directory"),
    ],
)
def test_loading(script: str | None, error: str | None, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(hwrng, "_LOAD_SECONDS", 1)
    monkeypatch.setattr(hwrng, "_SBIN", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin" if script else str(tmp_path))
    if script:
        (tmp_path / "modprobe").write_text(f'#!/bin/sh\n[ "$*" = x ] || exit 9\n{script}\n')
        (tmp_path / "modprobe").chmod(0o755)
    if error is None:
        Machine(str(tmp_path)).load("x")
        return
    with pytest.raises(ModuleError, match=error):
        Machine(str(tmp_path)).load("x")


def test_programs_of_root_for_a_user_whose_path_lacks_them(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(hwrng, "_SBIN", f"/nowhere:{tmp_path}")
    monkeypatch.setenv("PATH", "/nowhere")
    for name in ("modprobe", "udevadm"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/calls\n')
        (tmp_path / name).chmod(0o755)
    machine = Machine(str(tmp_path))
    machine.load("x")
    machine.settle()
    make(tmp_path, "run/udev/control")
    machine.settle()
    assert (tmp_path / "calls").read_text() == "modprobe x\nudevadm settle --timeout=10\n"


def test_udev_that_cannot_be_asked_is_not_waited_for(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(hwrng, "_SBIN", "/nowhere")
    monkeypatch.setenv("PATH", "/nowhere")
    make(tmp_path, "run/udev/control")
    Machine(str(tmp_path)).settle()


@pytest.mark.parametrize(
    ("signs", "mechanisms"),
    [
        ([], ()),
        (["run/systemd/system/x", "run/udev/control"], ("udev", "tmpfiles")),
        (["run/systemd/system/x"], ("tmpfiles",)),
        (["usr/bin/systemd-tmpfiles"], ("tmpfiles",)),
        (["run/openrc/softlevel"], ("openrc",)),
        (["run/openrc/softlevel", "run/udev/control"], ("udev", "openrc")),
        (["etc/runit/core-services/00-x.sh"], ("runit",)),
    ],
)
def test_mechanisms(signs: list[str], mechanisms: tuple[str, ...], tmp_path: Path) -> None:
    make(tmp_path, *signs)
    assert Machine(str(tmp_path)).mechanisms() == mechanisms


def test_local_scripts_of_openrc(tmp_path: Path) -> None:
    machine = Machine(str(tmp_path))
    assert not machine.runs_local_scripts()
    machine.run_local_scripts()
    assert machine.runs_local_scripts()
    assert (tmp_path / "etc/runlevels/default/local").readlink() == Path("/etc/init.d/local")
    with pytest.raises(RngError, match="File exists"):
        machine.run_local_scripts()
