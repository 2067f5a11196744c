# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hypervisor of the lab together with the module under test: what the tests are written in."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ansible
import yaml
from lab import Guest, GuestSpec, Host, Lab
from lab.domain import domain_xml
from lab.process import PATIENCE, wait_for

from .oracle import assert_rest_identical, rngs

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PAYLOAD = "/run/lab/host/payload"  # the module's code, as a host of the lab sees it
PYTHON = "/usr/bin/python3"

COMPILED = shutil.ignore_patterns("__pycache__")

Documents = dict[str, dict[str, str | None]]


class _Unsafe(str):
    """A string that Ansible must not take for a template."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(_Unsafe, lambda dumper, text: dumper.represent_scalar("!unsafe", str(text), style='"'))


@dataclass(frozen=True)
class Outcome:
    """What one module run returned, and all that Ansible printed meanwhile."""

    result: dict[str, Any]
    output: str = ""

    @property
    def failed(self) -> bool:
        return bool(self.result.get("failed"))

    @property
    def changed(self) -> bool:
        return bool(self.result.get("changed"))

    @property
    def msg(self) -> str:
        return str(self.result.get("msg", ""))

    def guest(self, name: str) -> dict[str, Any]:
        found = [guest for guest in self.result["guests"] if guest["guest"] == name]
        assert len(found) == 1, self.result
        return dict(found[0])

    def statuses(self, name: str) -> tuple[str, str]:
        """(config, live), for a guest that has no error."""
        guest = self.guest(name)
        assert guest["error"] is None, guest
        return guest["config"], guest["live"]


@dataclass(frozen=True)
class Cycle:
    """Check mode, the real run, and the run after it."""

    predicted: Outcome
    applied: Outcome
    again: Outcome

    def statuses(self, name: str) -> tuple[str, str]:
        return self.applied.statuses(name)


class Hypervisor:
    """One host of the lab."""

    def __init__(self, lab: Lab, host: Host) -> None:
        self.lab = lab
        self.host = host
        self._defined: list[Guest] = []
        _install_payload(host.directory / "payload")

    # Guests

    def define(self, name: str, *, running: bool = False, wait: bool = True, **spec: Any) -> Guest:
        """A guest for one test; it goes when the test ends."""
        guest = Guest(self.host, GuestSpec(name=name, running=running, **spec))
        self.define_xml(guest, domain_xml(self.host.name, guest.spec))
        if running:
            guest.start()
            if wait and guest.spec.has_agent:
                guest.wait()
        return guest

    def define_xml(self, guest: Guest, xml: str) -> None:
        self._defined.append(guest)
        self.host.define(xml)

    def adopt(self, guest: Guest) -> None:
        """Take care that a guest goes at the end, however it came."""
        self._defined.append(guest)

    def forget(self) -> None:
        """Remove every guest of the test."""
        while self._defined:
            guest = self._defined.pop()
            self.host.run("virsh", "destroy", "--domain", guest.uuid)
            flags = ("--managed-save", "--snapshots-metadata", "--nvram")
            self.host.run("virsh", "undefine", "--domain", guest.uuid, *flags)

    # Looking without the module

    def documents(self) -> Documents:
        """The XML of all domains, with secrets."""
        program = (HERE / "inside" / "documents.py").read_text()
        found: Documents = json.loads(self.host.check(PYTHON, "-c", program))
        return found

    @staticmethod
    def rngs_of(xml: str | None) -> list[str]:
        """The canonical RNG elements of one document."""
        return [] if xml is None else rngs(xml)

    def rngs(self, name: str) -> tuple[list[str] | None, list[str] | None]:
        """The canonical RNG elements of a guest's config and live documents; None where there is no such document."""
        both = self.documents()[name]
        config, live = (None if xml is None else rngs(xml) for xml in (both["config"], both["live"]))
        return config, live

    def counts(self, name: str) -> tuple[int | None, int | None]:
        """How many RNGs a guest has in its config and live."""
        config, live = (None if found is None else len(found) for found in self.rngs(name))
        return config, live

    # The module

    def play(self, *tasks: dict[str, Any], options: tuple[str, ...] = (), **variables: Any) -> list[Outcome]:
        """Run tasks by ansible-playbook over SSH, each also when one before it has failed."""
        with tempfile.TemporaryDirectory() as directory:
            playbook, results = Path(directory, "play.yml"), Path(directory, "results")
            play = {"hosts": self.host.name, "gather_facts": False, "vars": variables}
            play["tasks"] = [{"ignore_errors": True, **_unsafe(task)} for task in tasks]
            playbook.write_text(yaml.dump([play], Dumper=_Dumper, sort_keys=False, allow_unicode=False))
            done = subprocess.run(
                [Path(sys.executable).parent / "ansible-playbook", "-i", self.lab.inventory, *options, playbook],
                cwd=ROOT,
                env={**os.environ, **_ansible_environment(results)},
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            output = done.stdout + done.stderr
            lines = results.read_text().splitlines() if results.exists() else []
        assert len(lines) == len(tasks), output
        return [Outcome(json.loads(line), output) for line in lines]

    def converge(self, devices: list[dict[str, Any]], **options: Any) -> Outcome:
        """One run of the module by Ansible over SSH."""
        return self.play(task(devices, **options))[0]

    def cycle(
        self, devices: list[dict[str, Any]], *, predictable: bool = True, settles: bool = True, **options: Any
    ) -> Cycle:
        """Check mode, the real run and a second run in one play, and what must be true of every one of them.

        Check mode predicted just what the real run did, nothing but RNGs changed, the second run changed nothing.
        """
        before = self.documents()
        checked = {**task(devices, **options), "check_mode": True, "diff": True}
        cycle = Cycle(*self.play(checked, task(devices, **options), task(devices, **options)))
        self.assert_rest_identical(before)
        if predictable:
            assert essence(cycle.predicted) == essence(cycle.applied)
        if settles:
            assert not cycle.again.changed, cycle.again.result
        return cycle

    def assert_rest_identical(self, before: Documents) -> None:
        """Nothing but RNGs differs from what the documents were, for every guest that still is what it was."""
        now = self.documents()
        for name, both in before.items():
            for layer, xml in both.items():
                after = now.get(name, {}).get(layer)
                if xml is not None and after is not None:
                    assert_rest_identical(xml, after, f"{layer} of {name}")

    def module(self, devices: list[dict[str, Any]], **job: Any) -> Outcome:
        """One direct run of the module, without Ansible around it; see start_module."""
        process = self.start_module(devices, **job)
        out, err = process.communicate(timeout=PATIENCE)
        assert out or process.returncode == -signal.SIGKILL or process.returncode == 128 + signal.SIGKILL, err
        return Outcome(json.loads(out) if out else {"killed": True}, out + err)

    def start_module(
        self, devices: list[dict[str, Any]], *, between: str = "", die_after: int | None = None, **options: Any
    ) -> subprocess.Popen[str]:
        """Begin a direct run: four times faster than Ansible, and it takes faults (see inside/run_module.py)."""
        args = {"devices": devices, **options}
        job = {"module": "libvirt_rng", "args": args, "between": between, "die_after": die_after}
        environment = ["env", f"PYTHONPATH={PAYLOAD}", PYTHON, f"{PAYLOAD}/run_module.py"]
        process = subprocess.Popen(
            self.host.command(*environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(job))
        process.stdin.close()
        process.stdin = None
        return process

    # The daemon

    def start_libvirtd(self) -> None:
        """Start the daemon; returns when it answers."""
        self.host.check("/usr/sbin/libvirtd", "--daemon")
        self.host.virsh("version")

    def kill_libvirtd(self) -> None:
        """Kill the daemon as a crash would."""
        script = "p=$(cat /run/libvirtd.pid); kill -9 $p; while kill -0 $p 2>/dev/null; do sleep 0.01; done"
        self.host.check("sh", "-c", script)

    def restart_libvirtd(self) -> None:
        """What an administrator does after editing a configuration file; guests keep running."""
        self.kill_libvirtd()
        self.start_libvirtd()

    @contextmanager
    def qemu_conf(self, lines: str) -> Iterator[None]:
        """Other settings of libvirt's QEMU driver for a while; guests keep running."""
        path = "/etc/libvirt/qemu.conf"
        usual = self.host.check("cat", path)
        keys = {line.split("=")[0] for line in lines.splitlines()}
        kept = [line for line in usual.splitlines() if line.split("=")[0] not in keys]
        self.host.write(path, "\n".join([*kept, lines, ""]))
        self.restart_libvirtd()
        try:
            yield
        finally:
            self.host.write(path, usual)
            self.restart_libvirtd()

    @contextmanager
    def serving(self, program: str, *arguments: str) -> Iterator[None]:
        """A Python program that runs on the host meanwhile. It prints its pid once it is ready."""
        command = self.host.command(PYTHON, "-c", program, *arguments)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            pid = server.stdout.readline().strip()
            try:
                yield
            finally:  # else who waits for its end here would wait for ever
                self.host.check("kill", pid)

    def opened_by(self, name: str) -> list[str]:
        """The files that a guest's QEMU has open."""
        return self.host.check("sh", "-c", f"readlink /proc/{self.qemu_pid(name)}/fd/* || :").splitlines()

    def qemu_pid(self, name: str) -> int:
        """The process of a running guest, as its host numbers it."""
        return int(self.host.check("cat", f"/run/libvirt/qemu/{name}.pid"))

    def signal_qemu(self, name: str, number: signal.Signals) -> None:
        """Stop the process of a guest, or let it go on."""
        self.host.check("kill", f"-{number.value}", str(self.qemu_pid(name)))

    def assert_refused(self, name: str, words: str, outcome: Outcome) -> None:
        """A guest that is off got an error with these words, and no device."""
        guest = outcome.guest(name)
        assert words in guest["error"]
        assert not guest["changed"]
        assert self.counts(name) == (0, None)

    def survives(self, guest: Guest) -> None:
        """Fail unless the guest still runs and its system answers."""
        guest.agent("guest-ping")


def wait_for_rng(guest: Guest) -> None:
    """Return once the guest's kernel uses a virtio RNG, a moment after the device was plugged in."""
    wait_for(f"{guest.name}: its RNG", lambda: guest.rng_current().startswith("virtio_rng."), pause=0.1)


def task(devices: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
    """A task that converges."""
    return {"fleet.rng.libvirt_rng": {"devices": devices, **options}}


def essence(outcome: Outcome) -> list[tuple[Any, ...]]:
    """What check mode and the real run must agree on."""
    keys = ("guest", "changed", "config", "live", "reason", "error")
    return [tuple(guest[key] for key in keys) for guest in outcome.result["guests"]]


def _unsafe(value: Any) -> Any:
    if isinstance(value, str) and value:  # Ansible reads an empty unsafe string as null
        return _Unsafe(value)
    if isinstance(value, list):
        return [_unsafe(item) for item in value]
    if isinstance(value, dict):
        return {key: _unsafe(item) for key, item in value.items()}
    return value


def _ansible_environment(results: Path) -> dict[str, str]:
    return {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback"),
        "ANSIBLE_CALLBACKS_ENABLED": "results",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_SSH_RETRIES": "2",
        "RNG_TEST_RESULTS": str(results),
    }


def _install_payload(directory: Path) -> None:
    """What AnsiballZ would send: Ansible's module_utils and the collection's, unpacked."""
    if directory.exists():
        shutil.rmtree(directory)
    source = Path(ansible.__file__).parent
    (directory / "ansible").mkdir(parents=True)
    (directory / "ansible" / "__init__.py").touch()
    shutil.copytree(source / "module_utils", directory / "ansible" / "module_utils", ignore=COMPILED)
    plugins = directory / "ansible_collections" / "fleet" / "rng" / "plugins"
    for name in ("modules", "module_utils"):
        shutil.copytree(ROOT / "plugins" / name, plugins / name, ignore=COMPILED)
    shutil.copy(HERE / "inside" / "run_module.py", directory)
