# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host of a lab: namespaces on this machine, with init, sshd and what starts guests inside."""

from __future__ import annotations

import json
import subprocess
import uuid
from pathlib import Path

from .errors import LabError
from .network import Network
from .process import PATIENCE, Process, run, wait_for
from .proxmox import Files
from .spec import HostSpec

INSIDE = Path(__file__).parent / "inside"
PROGRAMS = {  # of some kinds of hosts
    "ganeti-init": (INSIDE / "ganeti-init.sh").read_text(),
    "qemu-guest": (INSIDE / "qemu-guest.sh").read_text(),
    "qemu-ask": "#!/usr/bin/python3\n" + (INSIDE.parent / "sockets.py").read_text(),
}
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
}

LIBVIRTD_CONF = """\
listen_tls = 0
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_rw_perms = "0700"
host_uuid = "{uuid}"
log_outputs = "3:file:/var/log/libvirt/libvirtd.log"
"""

# Guests run as root, with no cgroups, security driver or namespaces of their own, and without virtlogd.
QEMU_CONF = """\
user = "root"
group = "root"
security_driver = "none"
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
remember_owner = 0
"""


class Host:
    """A host, by the directory that belongs to it; the directory knows whether and as which process it runs."""

    def __init__(self, spec: HostSpec, directory: Path, network: Network, number: int) -> None:
        self.spec = spec
        self.name = spec.name
        self.directory = directory
        self.network = network
        self.number = number
        self.address = str(network.host_address(number).ip)
        self._starter: subprocess.Popen[bytes] | None = None

    def boot(self, images: Path, public_key: str) -> None:
        """Start it; returns when SSH answers, and libvirt where it has that."""
        self._prepare(public_key)
        log = self.directory / "init.log"
        init = [INSIDE / "host-init.sh", self.directory, images, self.name, self.network.host_address(self.number)]
        unshare = ["unshare", "--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--"]
        with log.open("wb") as output:
            self._starter = subprocess.Popen(
                [*unshare, "bash", *map(str, init), self.spec.kind],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=ENVIRONMENT,
                start_new_session=True,
            )
        try:
            wait_for(f"host {self.name}: its init", lambda: self._there("init.stat"))
            self.network.plug(self.number, self.process().pid)
            wait_for(f"host {self.name}: its services", lambda: self._there("ready"))
        except LabError as error:
            raise LabError(f"{error}\n{log.read_text(errors='replace')[-2000:]}".strip()) from error

    def _prepare(self, public_key: str) -> None:
        self.directory.mkdir(parents=True)
        (self.directory / "serial").mkdir()
        (self.directory / "authorized_keys").write_text(public_key)
        key = self.directory / "ssh_host_ed25519_key"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", key)
        (self.directory / "qemu").mkdir()
        if self.spec.kind == "proxmox":
            Files(self.directory / "proxmox").create(node=self.name, own_program=True)
        (self.directory / "programs").mkdir()
        for program, text in PROGRAMS.items():
            (self.directory / "programs" / program).write_text(text)
        for kind in ("etc/qemu", "lib", "log", "cache"):
            (self.directory / "libvirt" / kind).mkdir(parents=True)
        etc = self.directory / "libvirt" / "etc"
        identity = uuid.uuid5(uuid.NAMESPACE_DNS, f"{self.name}.{self.network.bridge}")  # else all have the machine's
        (etc / "libvirtd.conf").write_text(LIBVIRTD_CONF.format(uuid=identity))
        (etc / "qemu.conf").write_text(QEMU_CONF)
        hwrng = self.spec.hwrng
        (self.directory / "hwrng-device").write_text(f"{hwrng.device} {hwrng.mode}\n" if hwrng else "real 0600\n")
        if hwrng:
            (self.directory / "hwrng").mkdir()
            for name, text in hwrng.files().items():
                (self.directory / "hwrng" / name).write_text(text)

    def _there(self, name: str) -> bool:
        """Whether its init has written a file, as it does at each step; an error when it has ended."""
        if self._starter and self._starter.poll() is not None:
            raise LabError(f"host {self.name}: its init ended")
        return (self.directory / name).exists()

    def process(self) -> Process:
        """Its first process."""
        process = Process.read(self.directory / "init.stat")
        if process is None or not process.alive():
            raise LabError(f"host {self.name} is not running")
        return process

    def kill(self) -> None:
        """End its first process, and with it everything on the host, guests included."""
        self.kill_recorded(self.directory)
        if self._starter:  # it waits for the first process
            self._starter.wait(PATIENCE)
            self._starter = None

    @staticmethod
    def kill_recorded(directory: Path) -> None:
        """End whatever runs as the host of a directory, also when nothing else is known about it."""
        process = Process.read(directory / "init.stat")
        if process:
            process.kill()

    def command(self, *command: str) -> list[str]:
        """The command line that runs a command on the host from here."""
        return ["nsenter", "-t", str(self.process().pid), "-m", "-n", "-u", "-p", "-i", "-r", "--", *command]

    def run(
        self, *command: str, stdin: str | None = None, timeout: float = PATIENCE
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the host, as root; the caller judges the exit code."""
        try:
            return subprocess.run(
                self.command(*command),
                input=stdin,
                capture_output=True,
                text=True,
                timeout=timeout,
                env=ENVIRONMENT,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise LabError(f"host {self.name}: {' '.join(command)[:200]}: no end after {timeout:g} s") from error

    def check(self, *command: str, stdin: str | None = None, timeout: float = PATIENCE) -> str:
        """Run a command on the host that has to succeed, and answer its output."""
        done = self.run(*command, stdin=stdin, timeout=timeout)
        if done.returncode:
            raise LabError(f"host {self.name}: {' '.join(command)[:200]}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def virsh(self, *arguments: str, timeout: float = PATIENCE) -> str:
        """``virsh`` on the host; a domain is best named by its UUID, as virsh takes the name 5 for an id."""
        return self.check("virsh", "--quiet", "--connect", "qemu:///system", *arguments, timeout=timeout)

    def define(self, *xml: str, timeout: float = PATIENCE) -> None:
        """Define any number of domains, a few milliseconds each."""
        program = (INSIDE / "define.py").read_text()
        self.check("/usr/bin/python3", "-c", program, stdin=json.dumps(xml), timeout=timeout)

    def write(self, path: str, content: str) -> None:
        """Write a file on the host."""
        self.check("tee", path, stdin=content)
