# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole lab: hosts and guests from a spec, brought up in parallel, and taken down without a trace."""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sized
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from .distribution import disk_name, ensure_disk
from .domain import DISKS, IMAGES, GuestNet, domain_xml
from .errors import LabError
from .ganeti import Instance
from .ganeti import prepare as prepare_ganeti
from .guest import Guest
from .host import Host
from .images import cache_directory, ensure_images
from .inventory import write_inventory
from .network import Network, mac
from .node import NodeGuest
from .packages import PACKAGES, install
from .process import Progress, run, say
from .qemu import QemuGuest
from .spec import LabSpec

T = TypeVar("T")

STATE_FILE = "lab.json"
GUESTS = {"libvirt": Guest, "qemu": QemuGuest, "proxmox": NodeGuest, "ganeti": Instance}
WORKERS = max(2, os.cpu_count() or 2)


def prepare(ssh: bool = False, progress: Progress = say, distribution: bool = False) -> Path:
    """Install and build whatever labs need; answers the directory of the images. Fast when there is nothing to do."""
    require_root()
    install(list(PACKAGES), progress)
    images = ensure_images(ssh, progress)
    if distribution:
        ensure_disk(images, progress)
    return images


def require_root() -> None:
    """Namespaces and bridges are root's."""
    if os.geteuid() != 0:
        raise LabError("this needs root: run it with sudo")


class Lab:
    """A lab in a state directory.

    :param spec: what it consists of.
    :param state: its directory, which must not exist yet; by default a new one under the cache directory.
    :param progress: called with one line of text per step.
    """

    def __init__(self, spec: LabSpec, state: str | Path | None = None, progress: Progress = say) -> None:
        self.spec = spec
        self.progress = progress
        self.state = Path(state).absolute() if state else _new_state()
        self.hosts: dict[str, Host] = {}
        self.guests: list[Guest] = []

    @classmethod
    def open(cls, state: str | Path, progress: Progress = say) -> Lab:
        """A lab that is up already, maybe started by another process."""
        path = Path(state).absolute() / STATE_FILE
        try:
            data = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise LabError(f"no lab is up in {state}: {error}") from error
        lab = cls(LabSpec.parse(data["spec"]), state, progress)
        lab._populate(Network(data["index"]))
        return lab

    @property
    def inventory(self) -> Path:
        """The Ansible inventory of hosts and guests."""
        return self.state / "inventory.yml"

    @property
    def key(self) -> Path:
        """The SSH key that opens every host and guest."""
        return self.state / "id_ed25519"

    def host(self, name: str) -> Host:
        """A host by its name."""
        if name not in self.hosts:
            raise LabError(f"no host {name!r}; there are {', '.join(self.hosts)}")
        return self.hosts[name]

    def guest(self, name: str, host: str | None = None) -> Guest:
        """A guest by its name, and by its host where two hosts have one of that name."""
        found = [guest for guest in self.guests if guest.name == name and host in (None, guest.host.name)]
        if len(found) != 1:
            where = f" on {host}" if host else ""
            raise LabError(f"{len(found)} guests are called {name!r}{where}; exactly one is needed")
        return found[0]

    def up(self) -> Lab:
        """Boot everything; returns when hosts and running guests answer. Leaves nothing behind when it fails."""
        images = prepare(self.spec.needs_ssh_guests, self.progress, self.spec.needs_distribution)
        if any(host.kind == "ganeti" for host in self.spec.hosts):
            prepare_ganeti(self.progress)
        if self.state.exists() and any(self.state.iterdir()):
            raise LabError(f"{self.state} is not empty: a lab may be up there (take it down first)")
        self.state.mkdir(parents=True, exist_ok=True)
        pool = ThreadPoolExecutor(WORKERS)
        try:
            self._boot(images, pool)
        except BaseException:
            self.progress("giving up, cleaning up")
            pool.shutdown(wait=False, cancel_futures=True)
            self.down()
            pool.shutdown(wait=True)
            self.down()  # for what a worker had just begun
            raise
        pool.shutdown()
        return self

    def _boot(self, images: Path, pool: ThreadPoolExecutor) -> None:
        (self.state / STATE_FILE).write_text("{}")
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", self.key)
        network = Network.claim(self.state)
        self._populate(network)
        data = {"index": network.index, "spec": self.spec.to_data()}
        (self.state / STATE_FILE).write_text(json.dumps(data, indent=2))
        write_inventory(self.inventory, self.hosts.values(), self.guests, self.key)
        _share_with_sudo_user(self.state, self.key, self.inventory)
        public = self.key.with_suffix(".pub").read_text()
        self.progress(f"booting {_count(self.hosts, 'host')} on {network.bridge}: {', '.join(self.hosts)}"[:200])
        self._each(pool, list(self.hosts.values()), lambda host: host.boot(images, public))
        if not self.guests:
            return
        self.progress(f"defining {_count(self.guests, 'guest')}")
        self._each(pool, list(self.hosts.values()), self._define)
        running = [guest for guest in self.guests if guest.spec.running]
        if running:
            self.progress(f"booting {_count(running, 'guest')}, {WORKERS} at a time")
        self._each(pool, running, self._start)

    def _populate(self, network: Network) -> None:
        self.hosts = {
            spec.name: Host(spec, self.state / "hosts" / spec.name, network, number)
            for number, spec in enumerate(self.spec.hosts)
        }
        self.guests = []
        number = 0
        for host in self.hosts.values():
            for spec in host.spec.guests:
                address = None
                if spec.networked:
                    address, number = str(network.guest_address(number)), number + 1
                self.guests.append(GUESTS[host.spec.kind](host, spec, address))

    def domain_xml(self, guest: Guest) -> str:
        """The XML that a guest is defined with."""
        return domain_xml(guest.host.name, guest.spec, self._net(guest))

    def _net(self, guest: Guest) -> GuestNet | None:
        if not guest.address:
            return None
        key = self.key.with_suffix(".pub").read_text().split()[1]
        return GuestNet(guest.address, mac("52:54", ipaddress.IPv4Interface(guest.address)), key)

    def _define(self, host: Host) -> None:
        guests = [guest for guest in self.guests if guest.host is host]
        for guest in guests:
            if isinstance(guest, (QemuGuest, NodeGuest, Instance)):
                guest.define(self._net(guest))
            elif guest.spec.distribution:
                host.check("mkdir", "-p", DISKS)
                base = ["-F", "raw", "-b", f"{IMAGES}/{disk_name()}"]
                host.check("qemu-img", "create", "-q", "-f", "qcow2", *base, f"{DISKS}/{guest.uuid}")
        if guests and host.spec.kind == "libvirt":
            host.define(*map(self.domain_xml, guests))

    def _start(self, guest: Guest) -> None:
        guest.start()
        if guest.spec.boots:
            guest.wait()
            self.progress(f"guest {guest.name} of {guest.host.name} is up")

    @staticmethod
    def _each(pool: ThreadPoolExecutor, items: Iterable[T], work: Callable[[T], object]) -> None:
        """Do the work for every item in parallel; the first failure is raised."""
        for future in [pool.submit(work, item) for item in items]:
            future.result()

    def down(self) -> None:
        """End every process, remove the bridge and the state directory. Safe to repeat, and after a crash."""
        if self.state.is_dir() and any(self.state.iterdir()) and not (self.state / STATE_FILE).exists():
            raise LabError(f"{self.state} does not look like a lab's directory: left alone")
        hosts = self.state / "hosts"
        for directory in sorted(hosts.iterdir()) if hosts.is_dir() else []:
            host = self.hosts.get(directory.name)
            if host:
                host.kill()
            else:
                Host.kill_recorded(directory)
        Network.release(self.state)
        shutil.rmtree(self.state, ignore_errors=True)

    def __enter__(self) -> Lab:
        return self.up()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()


def _new_state() -> Path:
    cache = cache_directory()
    cache.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="lab-", dir=cache))


def _count(items: Sized, noun: str) -> str:
    return f"{len(items)} {noun}" + ("s" if len(items) != 1 else "")


def _share_with_sudo_user(*paths: Path) -> None:
    """Who called sudo can use the key, too; SSH accepts only keys that no one else can read."""
    user, group = os.environ.get("SUDO_UID"), os.environ.get("SUDO_GID")
    if user and group:
        for path in paths:
            os.chown(path, int(user), int(group))
