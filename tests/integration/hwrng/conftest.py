# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest with two RNGs, and what chooses at boot put into it: the distribution's udev and systemd-tmpfiles."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from lab import Guest, GuestSpec, HostSpec, Lab, LabSpec
from lab.guest import HW_RANDOM
from lab.packages import download, install
from lab.process import PATIENCE, run, say, wait_for

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
RNG = "<rng model='virtio'><backend model='random'>/dev/urandom</backend><alias name='ua-{}'/></rng>"
SPEC = LabSpec(
    (HostSpec("hv1", guests=(GuestSpec("two", ssh=True, memory=256, rng=RNG.format("first") + RNG.format("second")),)),)
)
TOOLS = "/opt/tools"  # in the guest: programs of the distribution with their libraries
FILES = (
    "/etc/udev /etc/tmpfiles.d /etc/local.d /etc/runlevels /etc/modules-load.d /run/openrc /usr/bin/systemd-tmpfiles"
)
END_UDEV = "p=$(cat /run/udevd.pid 2>/dev/null) && kill $p && while kill -0 $p 2>/dev/null; do sleep 0.1; done"


@dataclass
class Two:
    """The guest, its RNGs, and the module run on it over SSH."""

    lab: Lab
    guest: Guest
    directory: Path

    def run(self, *, check: bool = False, **options: Any) -> dict[str, Any]:
        """Run the module; its result, ``failed`` included."""
        playbook = self.directory / "playbook.yml"
        task = {"fleet.rng.hwrng": options, "check_mode": check, "diff": True}
        playbook.write_text(yaml.safe_dump([{"hosts": "two", "gather_facts": False, "tasks": [task]}]))
        results = self.directory / "results.json"
        results.unlink(missing_ok=True)
        done = subprocess.run(
            [Path(sys.executable).parent / "ansible-playbook", "-i", self.lab.inventory, playbook],
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_CALLBACK_PLUGINS": str(HERE.parent / "libvirt" / "callback"),
                "ANSIBLE_CALLBACKS_ENABLED": "results",
                "RNG_TEST_RESULTS": str(results),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert results.exists(), done.stdout + done.stderr
        result: dict[str, Any] = json.loads(results.read_text())
        assert result.get("unreachable", False) is False, result
        return result

    def uses(self) -> tuple[str, bool]:
        """What the guest's kernel uses, and whether somebody chose it."""
        return self.guest.rng_current(), self.guest.read(f"{HW_RANDOM}/rng_selected").strip() == "1"

    def await_use(self, name: str) -> None:
        """Wait until udev has told the kernel to use an RNG. Its event comes a moment after the list has changed."""
        wait_for(f"the choice of {name}", lambda: self.uses() == (name, True), pause=0.1)

    def forget(self) -> None:
        """Leave the choice to the kernel again, as after a boot."""
        self.guest.run(f"echo > {HW_RANDOM}/rng_current")
        assert self.uses() == (self.guest.rng_available()[0], False)

    def unplug(self, alias: str) -> None:
        count = len(self.guest.rng_available())
        self.guest.host.virsh("detach-device-alias", "--domain", self.guest.uuid, "--alias", f"ua-{alias}", "--live")
        self.guest.run(f"until [ $(wc -w < {HW_RANDOM}/rng_available) -lt {count} ]; do sleep 0.1; done")
        # Its alias is free, and udev has been told, only when the guest has let go of all of the device.
        wait_for(f"the end of {alias}", lambda: alias not in self.plugged(), pause=0.1)

    def plugged(self) -> set[str]:
        """The RNGs that QEMU has, by their names here."""
        xml = ET.fromstring(self.guest.host.virsh("dumpxml", "--domain", self.guest.uuid))
        return {alias.get("name", "").removeprefix("ua-") for alias in xml.iterfind("devices/rng/alias")}

    def plug(self, alias: str) -> None:
        count = len(self.guest.rng_available())
        self.guest.host.write("/root/rng.xml", RNG.format(alias))
        self.guest.host.virsh("attach-device", "--domain", self.guest.uuid, "--file", "/root/rng.xml", "--live")
        self.guest.run(f"until [ $(wc -w < {HW_RANDOM}/rng_available) -gt {count} ]; do sleep 0.1; done")

    def reset(self) -> None:
        """Two RNGs as virtio_rng.0 and virtio_rng.1, none of them chosen, and nothing that chooses at boot."""
        self.guest.run(f"{END_UDEV}; rm -rf {FILES} /run/udev*")
        there = self.plugged()
        if self.guest.rng_available() != ["virtio_rng.0", "virtio_rng.1"] or there != {"first", "second"}:
            for alias in there:
                self.unplug(alias)
            for alias in ("first", "second"):
                self.plug(alias)
        self.forget()


def send(guest: Guest, key: Path, *files: tuple[Path, str]) -> None:
    """Put files into the guest, as they are here."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", dereference=True) as archive:
        for source, target in files:
            archive.add(source, target.lstrip("/"), recursive=False)
    address = (guest.address or "").partition("/")[0]
    options = ["-i", str(key), *(f"-o{one}" for one in ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"))]
    subprocess.run(
        ["ssh", *options, "-oLogLevel=ERROR", f"root@{address}", "tar -x -C /"],
        input=packed.getvalue(),
        capture_output=True,
        timeout=PATIENCE,
        check=True,
    )


def with_libraries(program: Path) -> list[tuple[Path, str]]:
    """A program and what it loads, at a place of its own: the guest has some of the libraries already."""
    words = run("ldd", program).split()
    libraries = {Path(word) for word in words if word.startswith("/") and "ld-linux" not in word}
    return [(program, f"{TOOLS}/{program.name}"), *((path, f"{TOOLS}/{path.name}") for path in sorted(libraries))]


@pytest.fixture(scope="module")
def lab(boot_lab: Callable[[LabSpec], Lab]) -> Lab:
    return boot_lab(SPEC)


@pytest.fixture(scope="module")
def tools(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> None:
    """udev and systemd-tmpfiles from the packages of this machine's distribution, and what they link to."""
    install(["systemd"], say)  # not udev, which might touch the devices of this machine
    unpacked = tmp_path_factory.mktemp("packages") / "unpacked"
    unpacked.mkdir()
    download(["udev", "systemd"], unpacked)
    for name in ("udevadm", "systemd-tmpfiles"):
        (found,) = (path for path in unpacked.rglob(name) if path.parent.name == "bin" and path.is_file())
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LD_LIBRARY_PATH", ":".join(str(path) for path in unpacked.rglob("systemd") if path.is_dir()))
            send(lab.guest("two"), lab.key, *with_libraries(found))


@pytest.fixture
def two(lab: Lab, tmp_path: Path) -> Two:
    two = Two(lab, lab.guest("two"), tmp_path)
    two.reset()
    return two
