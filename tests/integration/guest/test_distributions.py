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
INSIDE = Path(__file__).parent / "inside"
NAMES = ("rocky", "suse", "arch", "alpine", "other", "bare", "freebsd", "windows")
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
    "suse": {"rng_guest_initramfs": "always", "rng_guest_kernel_arguments": {"random.trust_cpu": "on"}},
    "arch": {"rng_guest_initramfs": "always"},
    "windows": {"ansible_shell_type": "powershell"},
}
REFUSED = ("suse",)  # its kernel arguments, which makes the role fail at its end
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
    lab = boot_lab(LabSpec(tuple(HostSpec(name, libvirt=False) for name in NAMES)))
    for name in NAMES:
        lab.host(name).check("mount", "--bind", str(INSIDE), "/mnt")
        lab.host(name).check("sh", "/mnt/distribution.sh", name)
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
    assert left == dict.fromkeys(NAMES, "")
    return {"check": dry, "first": play(), "second": play()}


def written(host: Host) -> str:
    """Files that name the driver, in the places where the role writes."""
    found = host.run("grep", "-rlE", "virtio_(rng|random)", *OURS, "/etc/modules")
    return found.stdout


def read(lab: Lab, name: str, path: str) -> list[str]:
    return lab.host(name).check("cat", path).splitlines()


@pytest.mark.parametrize("name", NAMES)
def test_the_dry_run_predicts_and_the_second_changes_nothing(runs: dict[str, Run], name: str) -> None:
    assert (runs["check"].changed(name) > 0) == (runs["first"].changed(name) > 0)
    assert runs["second"].changed(name) == 0
    assert [run.failures(name) for run in runs.values()] == [int(name in REFUSED)] * 3
    assert "Changed:" not in runs["second"].line(name)
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


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("other", "no table for its distribution"),
        ("bare", "it has no Python"),
        ("windows", "Windows; it is left alone"),
    ],
)
def test_what_cannot_be_served_is_told_in_a_line_and_left_alone(
    lab: Lab, runs: dict[str, Run], name: str, words: str
) -> None:
    for run in runs.values():
        assert words in run.line(name)
        assert run.changed(name) == 0
    assert written(lab.host(name)) == lab.host(name).check("cat", "/root/calls") == ""
