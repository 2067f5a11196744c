# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role rng_guest on distributions that cannot be booted here: their files are real, their programs stand-ins."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from lab import HostSpec, Lab, LabSpec
from lab.host import Host
from lab.process import PATIENCE

REPOSITORY = Path(__file__).parents[3]
DISTRIBUTION = (Path(__file__).parent / "inside" / "distribution.sh").read_text()
FREEBSD = ("freebsd", "freebsd-refused", "freebsd-listed", "freebsd-parts")
NAMES = (
    "rocky", "debian", "sealed", "suse", "arch", "alpine", "container", "other", "bare", *FREEBSD, "windows"
)  # fmt: skip
PLAYBOOK = [
    {
        "hosts": "machines",
        "gather_facts": False,
        "ignore_errors": True,  # what is not done is in the line, and judged there
        "roles": ["fleet.rng.rng_guest"],
    }
]
VARIABLES = {
    "rocky": {"rng_guest_initramfs": "always", "rng_guest_kernel_arguments": {"random.trust_cpu": "on"}},
    "debian": {"rng_guest_initramfs": "always", "rng_guest_kernel_arguments": {"random.trust_cpu": "on"}},
    "sealed": {"rng_guest_initramfs": "always"},
    "suse": {"rng_guest_initramfs": "always", "rng_guest_kernel_arguments": {"random.trust_cpu": "on"}},
    "arch": {"rng_guest_initramfs": "always"},
    "windows": {"ansible_shell_type": "powershell"},
}
# How many failures the dry, the first and the second run tell: what is refused makes the role fail at its end.
FAILURES = {"debian": [0, 2, 0], "sealed": [0, 1, 1], "suse": [1, 1, 1], "freebsd-refused": [1, 1, 1]}
THEIRS = {"freebsd-refused": "/boot/loader.conf\n"}  # what was there before
OURS = ("/etc/modules-load.d", "/etc/dracut.conf.d", "/etc/mkinitcpio.conf.d", "/boot/loader.conf")
LOAD = "/etc/modules-load.d/fleet-rng-guest.conf"


@dataclass
class Run:
    """What one run of the role wrote, and how many changes it counted on each machine."""

    output: str

    def line(self, name: str) -> str:
        (found,) = re.findall(rf"^{name}: (.*)$", self.output, re.MULTILINE)
        return str(found)

    def changed(self, name: str) -> int:
        (found,) = re.findall(rf"^{name} +: ok=\d+ +changed=(\d+)", self.output, re.MULTILINE)
        return int(found)

    def failures(self, name: str) -> int:
        (found,) = re.findall(rf"^{name} +: .* ignored=(\d+)", self.output, re.MULTILINE)
        return int(found)


@pytest.fixture(scope="session")
def lab(boot_lab: Callable[[LabSpec], Lab]) -> Lab:
    lab = boot_lab(LabSpec(tuple(HostSpec(name, kind="none") for name in NAMES)))
    for name in NAMES:
        lab.host(name).check("sh", "-s", name, stdin=DISTRIBUTION)
    return lab


@pytest.fixture(scope="session")
def runs(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """A dry run, a run, and another, on all of them; and what was there of ours after the dry one."""
    directory = tmp_path_factory.mktemp("guest")
    (directory / "play.yml").write_text(yaml.safe_dump(PLAYBOOK))
    (directory / "own.yml").write_text(
        json.dumps({"all": {"hosts": {name: VARIABLES.get(name, {}) for name in NAMES}}})
    )

    def play(*arguments: str) -> Run:
        command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(lab.inventory), "-i", "own.yml"]
        done = subprocess.run(
            [*command, "--forks=8", *arguments, "play.yml"],
            cwd=directory,
            env={**os.environ, "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg")},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert "PLAY RECAP" in done.stdout, done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        return Run(done.stdout)

    dry = play("--check", "--diff")
    left = {name: written(lab.host(name)) + lab.host(name).check("cat", "/root/calls") for name in NAMES}
    assert left == {name: THEIRS.get(name, "") for name in NAMES}
    return {"check": dry, "first": play(), "second": play(), "third": play("--limit", "debian")}


def written(host: Host) -> str:
    """Files that name the driver, in the places where the role writes."""
    found = host.run("grep", "-rlE", "virtio_(rng|random)", *OURS, "/etc/modules")
    return found.stdout


def read(lab: Lab, name: str, path: str) -> list[str]:
    return lab.host(name).check("cat", path).splitlines()


@pytest.mark.parametrize("name", NAMES)
def test_the_dry_run_predicts_and_the_second_changes_nothing(runs: dict[str, Run], name: str) -> None:
    assert (runs["check"].changed(name) > 0) == (runs["first"].changed(name) > 0)
    told = [runs[run].failures(name) for run in ("check", "first", "second")]
    assert told == FAILURES.get(name, [0, 0, 0])
    last = "third" if name == "debian" else "second"
    assert runs[last].changed(name) == 0
    assert "Changed:" not in runs[last].line(name)
    done = re.findall("Changed: (.*?)[.] ", runs["first"].line(name) + " ")
    assert re.findall("Would change: (.*?)[.] ", runs["check"].line(name) + " ") == done


@pytest.mark.parametrize(
    ("name", "path", "line", "build"),
    [
        ("rocky", "/etc/dracut.conf.d", 'force_drivers+=" virtio_rng "', "dracut --force --regenerate-all"),
        ("suse", "/etc/dracut.conf.d", 'force_drivers+=" virtio_rng "', "dracut --force --regenerate-all"),
        ("arch", "/etc/mkinitcpio.conf.d", "MODULES+=(virtio_rng)", "mkinitcpio -P"),
    ],
)
def test_driver_is_in_the_initramfs_built_once(
    lab: Lab, runs: dict[str, Run], name: str, path: str, line: str, build: str
) -> None:
    assert "the driver is in the initramfs" in runs["first"].line(name)
    assert "Waits for a reboot: the driver in the initramfs" in runs["second"].line(name)
    assert read(lab, name, f"{path}/fleet-rng-guest.conf") == [line]
    assert read(lab, name, "/root/calls").count(build) == 1
    assert "virtio_rng" in read(lab, name, LOAD)


def test_kernel_arguments_are_set_with_grubby_once(lab: Lab, runs: dict[str, Run]) -> None:
    assert "kernel arguments random.trust_cpu=on" in runs["first"].line("rocky")
    calls = [call for call in read(lab, "rocky", "/root/calls") if call.startswith("grubby")]
    assert calls == ["grubby --update-kernel=ALL --args=random.trust_cpu=on"]


def test_a_boot_loader_that_failed_is_run_again_until_it_did_it(lab: Lab, runs: dict[str, Run]) -> None:
    assert "update-grub left out random.trust_cpu=on" in runs["first"].line("debian")
    assert "Changed: kernel arguments random.trust_cpu=on" in runs["second"].line("debian")
    assert read(lab, "debian", "/root/calls").count("update-grub ") == 2
    assert "random.trust_cpu=on" in lab.host("debian").check("cat", "/boot/grub/grub.cfg")


def test_a_kernel_with_the_driver_built_in_lacks_nothing_in_its_image(lab: Lab, runs: dict[str, Run]) -> None:
    assert "the driver is in the initramfs" in runs["first"].line("debian")
    assert read(lab, "debian", "/root/calls").count("update-initramfs -u -k all") == 1


def test_an_image_that_cannot_be_listed_is_told_by_the_first_run_too(lab: Lab, runs: dict[str, Run]) -> None:
    for run in ("first", "second"):
        assert "cannot be listed, so nobody knows whether the driver is in it" in runs[run].line("sealed")
    assert read(lab, "sealed", "/root/calls").count("dracut --force --regenerate-all") == 1


def test_kernel_arguments_are_refused_with_a_reason(runs: dict[str, Run]) -> None:
    assert "Not done: kernel arguments are left alone: this distribution has no drop-in" in runs["first"].line("suse")


def test_alpine_gets_a_line_of_its_own(lab: Lab, runs: dict[str, Run]) -> None:
    assert "the driver is loaded at boot" in runs["first"].line("alpine")
    assert read(lab, "alpine", "/etc/modules") == ["af_packet", "ipv6", "virtio_rng"]
    assert "modprobe virtio_rng" in read(lab, "alpine", "/root/calls")
    assert lab.host("alpine").run("test", "-e", LOAD).returncode


def test_freebsd_loads_its_driver_and_hears_what_it_costs(lab: Lab, runs: dict[str, Run]) -> None:
    assert read(lab, "freebsd", "/boot/loader.conf") == ['virtio_random_load="YES"']
    assert read(lab, "freebsd", "/root/calls") == ["kldload -n virtio_random"]
    assert "costs CPU time" in runs["first"].line("freebsd")


def test_freebsd_keeps_what_its_operator_says(lab: Lab, runs: dict[str, Run]) -> None:
    assert read(lab, "freebsd-refused", "/boot/loader.conf") == ['virtio_random_load="NO" # not yes']
    assert read(lab, "freebsd-refused", "/root/calls") == []
    for run in ("check", "first", "second"):
        assert "Not done: /boot/loader.conf keeps virtio_random" in runs[run].line("freebsd-refused")
    for name, path in (("freebsd-listed", "/etc/rc.conf"), ("freebsd-parts", "/boot/loader.conf.d/rng.conf")):
        assert f"Note: {path} loads the driver at boot" in runs["first"].line(name)
        assert lab.host(name).run("test", "-e", "/boot/loader.conf").returncode
        assert read(lab, name, "/root/calls") == ["kldload -n virtio_random"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("other", "no table for its distribution"),
        ("container", "a container, whose host has the kernel; it is left alone"),
        ("bare", "it has no Python"),
        ("windows", "Windows; it is left alone"),
    ],
)
def test_what_cannot_be_served_is_told_in_a_line_and_left_alone(
    lab: Lab, runs: dict[str, Run], name: str, words: str
) -> None:
    for run in ("check", "first", "second"):
        assert words in runs[run].line(name)
        assert runs[run].changed(name) == 0
    assert written(lab.host(name)) == lab.host(name).check("cat", "/root/calls") == ""
