# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet that is measured, and the controller that runs playbooks against it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import BenchmarkError, Sample
from lab import Host, Lab
from lab.inventory import write_inventory
from lab.spec import GuestSpec, HostSpec, LabSpec

HERE = Path(__file__).parent
ROOT = HERE.parent
ANSIBLE = ROOT / ".cache/benchmarks/ansible"  # the package `ansible`, for community.libvirt only
FORKS = 10
RNG = "<rng model='virtio'><rate bytes='1024' period='1000'/><backend model='random'>/dev/urandom</backend></rng>"


def spec_of(hosts: int, guests: int, big: Mapping[str, int]) -> LabSpec:
    """``hosts`` small hosts whose ``guests`` have their RNG already, and hosts of many guests without."""
    small = {f"h{number:03}": guests for number in range(1, hosts + 1)}
    return LabSpec(
        tuple(
            HostSpec(name, guests=tuple(_guest(name, number, RNG if name in small else "") for number in range(count)))
            for name, count in {**small, **big}.items()
        )
    )


def _guest(host: str, number: int, rng: str) -> GuestSpec:
    return GuestSpec(f"{host}-g{number:03}", machine="pc", running=False, rng=rng)


@dataclass(frozen=True)
class Inventory:
    """Some hosts of the lab, with or without their guests, as an inventory file."""

    path: Path
    hosts: tuple[Host, ...]


class Meter:
    """The processor time of this process and everything that it starts: a control group counts it.

    Unlike time on the clock it hardly depends on what else the machine does.
    """

    def __init__(self) -> None:
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
        root = next((Path(path) for dummy, path, kind, *dummies in mounts if kind == "cgroup2"), None)
        if root is None:
            raise BenchmarkError("no control groups (version 2) are mounted here")
        own = Path("/proc/self/cgroup").read_text().split("0::/")[1].splitlines()[0]
        self._home = root / own
        self._group = root / f"fleet-rng-bench-{os.getpid()}"
        self._group.mkdir()
        (self._group / "cgroup.procs").write_text(str(os.getpid()))

    def seconds(self) -> float:
        """Used so far."""
        fields = dict(line.split() for line in (self._group / "cpu.stat").read_text().splitlines())
        return int(fields["usage_usec"]) / 1e6

    def close(self) -> None:
        """Leave the group; call it when everything started has ended."""
        (self._home / "cgroup.procs").write_text(str(os.getpid()))
        self._group.rmdir()


class Controller:
    """Runs ansible-playbook as its users do: pipelining, connections kept open, ``FORKS`` forks."""

    def __init__(self, lab: Lab, meter: Meter) -> None:
        self.lab = lab
        self.meter = meter
        self.work = lab.state / "bench"
        self.work.mkdir(exist_ok=True)
        collections = [ROOT / ".collections", *([ANSIBLE] if ANSIBLE.exists() else [])]
        self.environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": ":".join(map(str, collections)),
            "ANSIBLE_HOME": str(self.work / "ansible"),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.work / "cp"),
            "ANSIBLE_FORKS": str(FORKS),
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
            "ANSIBLE_RETRY_FILES_ENABLED": "false",
            "PATH": f"{ROOT / '.venv/bin'}:{os.environ['PATH']}",
        }

    def inventory(self, hosts: Sequence[Host], guests: bool = False) -> Inventory:
        """Exactly these hosts; ``guests`` adds theirs, as an operator's inventory has them."""
        path = self.work / f"{hosts[0].name}-{len(hosts)}{'-guests' if guests else ''}.yml"
        chosen = [guest for guest in self.lab.guests if guests and guest.host in hosts]
        write_inventory(path, hosts, chosen, self.lab.key)
        return Inventory(path, tuple(hosts))

    def play(
        self,
        playbook: str | Path,
        inventory: Inventory,
        variables: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        changes: bool | None = None,
    ) -> Sample:
        """Run a playbook to its end.

        :param changes: whether it has to change something, or nothing; a run that does else is no measurement.
        """
        command = ["ansible-playbook", "-i", str(inventory.path), str(HERE / "playbooks" / playbook)]
        if variables:
            given = self.work / "variables.json"
            given.write_text(json.dumps(variables))
            command += ["-e", f"@{given}"]
        log = self.work / "output"
        with log.open("wb") as output:
            begin, used = time.monotonic(), self.meter.seconds()
            process = subprocess.Popen(
                command,
                env={**self.environment, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
            dummy, status, usage = os.wait4(process.pid, 0)
            seconds, cpu = time.monotonic() - begin, self.meter.seconds() - used
            process.returncode = os.waitstatus_to_exitcode(status)
        text = log.read_text(errors="replace")
        if process.returncode:
            raise BenchmarkError(f"{' '.join(command)}: exit code {process.returncode}\n{text[-3000:]}")
        changed = sum("changed=0 " not in line for line in text.splitlines() if " unreachable=" in line)
        if changes is not None and changed != (len(inventory.hosts) if changes else 0):
            raise BenchmarkError(f"{playbook}: {changed} of {len(inventory.hosts)} hosts changed\n{text[-3000:]}")
        return Sample(seconds, cpu, usage.ru_maxrss)

    def round_trips(self, playbook: str | Path, inventory: Inventory) -> Counter[str]:
        """How many commands a playbook runs on each host, counted where they leave the controller."""
        log = self.work / "commands"
        log.write_text("")
        environment = {"ANSIBLE_SSH_EXECUTABLE": str(HERE / "counting-ssh"), "BENCH_SSH_LOG": str(log)}
        self.play(playbook, inventory, environment=environment)
        names = {host.address: host.name for host in inventory.hosts}
        return Counter(names[address] for address in log.read_text().split())

    def module_run(self, playbook: str | Path, inventory: Inventory, variables: Mapping[str, Any]) -> Sample:
        """How long the one module of a playbook ran on the one host, without controller and transport."""
        (host,) = inventory.hosts
        shutil.copy(HERE / "inside/python", host.directory / "python")
        runs = host.directory / "runs"
        runs.write_text("")
        self.play(playbook, inventory, {**variables, "ansible_python_interpreter": "/run/lab/host/python"})
        return _recorded(runs)

    def bare(self, host: Host, what: str, connections: int) -> Sample:
        """The bare libvirt calls in one process on the host, timed in the same way."""
        for name in ("bare.py", "python"):
            shutil.copy(HERE / "inside" / name, host.directory / name)
        runs = host.directory / "runs"
        runs.write_text("")
        host.check("/run/lab/host/python", "/run/lab/host/bare.py", what, str(connections), timeout=300)
        return _recorded(runs)

    def disconnect(self) -> None:
        """End the SSH connections that Ansible left open."""
        for socket in (self.work / "cp").glob("*"):
            subprocess.run(["ssh", "-O", "exit", "-o", f"ControlPath={socket}", "x"], capture_output=True, check=False)


def _recorded(runs: Path) -> Sample:
    lines = runs.read_text().splitlines()
    if len(lines) != 1:
        raise BenchmarkError(f"{len(lines)} processes where one was expected")
    begin, end = lines[0].split()
    return Sample(float(end) - float(begin))
