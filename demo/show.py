# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo: a small fleet without random number generators, one run of enable_rng.yml, and the look from inside.

Everything is real: two hypervisors with their own libvirtd, six QEMU guests, Ansible over SSH. What is shown is read in
the guests, through their agents; the demo fails when a guest does not have what its group asks for.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lab import Guest, Lab, LabError, LabSpec
from lab.images import cache_directory

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PLAYBOOK = ROOT / "playbooks" / "enable_rng.yml"
STATE = cache_directory() / "demo"
START = time.monotonic()

REFUSED = {"legacy1"}  # its group asks for a source that would freeze it
RESTART = {"db2"}  # no free slot while it runs
UNLIMITED_DRAW = 1 << 20  # bytes
UNLIMITED_AT_LEAST = 100_000  # bytes per second, far above every limited group, even on a slow machine


def heading(text: str) -> None:
    """A line that separates the steps."""
    print(f"\n=== [{time.monotonic() - START:4.0f} s] {text}")


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Columns as wide as they need to be."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    for row in cells:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


class Demo:
    """One run against a fleet that is up."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.inventories = ["-i", str(HERE / "inventory.yml"), "-i", str(lab.inventory)]
        self.policies = self._policies()

    def _policies(self) -> dict[str, Mapping[str, Any]]:
        """What the inventory says about each guest, by Ansible's own precedence."""
        done = subprocess.run(
            ["ansible-inventory", *self.inventories, "--list"],
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise LabError(f"ansible-inventory: {done.stderr.strip()}")
        hostvars: dict[str, Mapping[str, Any]] = json.loads(done.stdout)["_meta"]["hostvars"]
        return hostvars

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "recap_file",
            "RECAP_FILE": str(self.lab.state / "recap.json"),
        }

    def playbook(self) -> dict[str, dict[str, int]]:
        """Run enable_rng.yml; the recap. It ends with an error because of the guests that are refused."""
        command = ["ansible-playbook", *self.inventories, str(PLAYBOOK)]
        print(f"$ {' '.join(command)}")
        recap = self.lab.state / "recap.json"
        recap.unlink(missing_ok=True)
        begin = time.monotonic()
        done = subprocess.run(command, env=self._environment(), cwd=ROOT, check=False)
        print(f"ansible-playbook took {time.monotonic() - begin:.0f} s and ended with exit code {done.returncode}.")
        if not recap.exists():
            raise LabError(f"ansible-playbook ended with {done.returncode}, before any host was done")
        counts: dict[str, dict[str, int]] = json.loads(recap.read_text())
        unreachable = [host for host, count in counts.items() if count["unreachable"]]
        if unreachable:
            raise LabError(f"unreachable: {', '.join(unreachable)}")
        return counts

    def _definitions(self) -> dict[str, str]:
        """All that libvirt knows about each guest: its definition and its running state."""
        return {
            guest.name: guest.host.virsh("dumpxml", guest.uuid) + guest.host.virsh("dumpxml", "--inactive", guest.uuid)
            for guest in self.lab.guests
        }

    def policy(self, guest: Guest) -> str:
        """The policy in words."""
        variables = self.policies[guest.name]
        limit = variables.get("virtio_rng_max_bytes", 1024)
        rate = limit if limit == "unlimited" else f"{limit} B / {variables.get('virtio_rng_period', 1000)} ms"
        return f"{variables['virtio_rng_source']}, {rate}"

    def before(self) -> None:
        """What the guests have before: nothing."""
        with ThreadPoolExecutor() as pool:
            currents = list(pool.map(Guest.rng_current, self.lab.guests))
        rows = [
            (guest.name, guest.host.name, current, self.policy(guest))
            for guest, current in zip(self.lab.guests, currents, strict=True)
        ]
        table(("guest", "hypervisor", "rng_current", "what its group asks for"), rows)
        if set(currents) != {"none"}:
            raise LabError("the guests should begin without an RNG")

    def after(self, guests: Iterable[Guest]) -> None:
        """What they have now, measured in them; an error when one differs from its policy."""
        guests = list(guests)
        with ThreadPoolExecutor() as pool:
            rows = list(pool.map(self._look, guests))
        table(("guest", "hypervisor", "rng_current", "drawn", "what its group asks for", "verdict"), rows)
        wrong = [row[0] for row in rows if row[-1].startswith("WRONG")]
        if wrong:
            raise LabError(f"not what the inventory asks for: {', '.join(wrong)}")

    def _look(self, guest: Guest) -> tuple[str, ...]:
        current = guest.rng_current()
        drawn, verdict = "-", "WRONG: no RNG"
        if guest.name in REFUSED:
            verdict = "refused: unsafe source" if current == "none" else "WRONG: it should have been refused"
        elif guest.name in RESTART and current == "none":
            verdict = "waits for a restart: no free PCI slot"
        elif current != "none":
            drawn, verdict = self._measure(guest)
        return guest.name, guest.host.name, current, drawn, self.policy(guest), verdict

    def _measure(self, guest: Guest) -> tuple[str, str]:
        """Three quotas, which take three periods; without a limit a MiB."""
        variables = self.policies[guest.name]
        limit, period = variables.get("virtio_rng_max_bytes", 1024), variables.get("virtio_rng_period", 1000)
        if limit == "unlimited":
            rate = guest.draw(UNLIMITED_DRAW).per_second
            good = rate > UNLIMITED_AT_LEAST
        else:
            rate = guest.draw_quotas(limit).per_second
            good = 0.75 < rate / (limit * 1000 / period) < 1.25
        return f"{rate:,.0f} B/s", "as asked" if good else "WRONG: another rate"

    def run(self) -> None:
        """The whole story."""
        heading("Before, as the guests see it")
        self.before()

        heading("Enable: one run of the playbook")
        print(f"It ends with an error for {', '.join(sorted(REFUSED))}, on purpose: what cannot be done is said aloud.")
        counts = self.playbook()
        if not sum(count["changed"] for count in counts.values()):
            raise LabError("the playbook changed nothing")

        heading("After: every guest draws from its /dev/hwrng for a few seconds")
        self.after(self.lab.guests)

        heading("The same again: nothing differs any more")
        definitions = self._definitions()
        changed = [host for host, count in self.playbook().items() if count["changed"]]
        changed += [name for name, xml in self._definitions().items() if xml != definitions[name]]
        if changed:
            raise LabError(f"the second run changed something: {', '.join(changed)}")
        print(
            "Ansible reports no change, and libvirt's XML of every guest, defined and running, is the same as before."
        )

        heading(f"{', '.join(sorted(RESTART))} had to wait for a restart: here it is")
        restarted = [guest for guest in self.lab.guests if guest.name in RESTART]
        for guest in restarted:
            guest.destroy()
            guest.start()
            guest.wait()
        self.after(restarted)


def look_around(lab: Lab) -> None:
    """What one can do with a fleet that stays up."""
    inventories = f"-i {HERE.relative_to(ROOT)}/inventory.yml -i {lab.inventory}"
    options = "-o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no"
    print("The fleet stays up. In the directory of the project, with .venv/bin on PATH, as root:\n")
    for host in lab.hosts.values():
        print(f"  ssh -i {lab.key} {options} root@{host.address}    # {host.name}: virsh list, virsh dumpxml web1")
    print(f"  ansible-playbook {inventories} playbooks/audit_rng.yml")
    print(f"  ansible-playbook {inventories} playbooks/enable_rng.yml --diff    # after a change in demo/group_vars")
    print(f"  tests/lab/lab --state {lab.state} agent hv1 web1    # the RNG, from inside the guest")
    print(f"  tests/lab/lab --state {lab.state} draw hv1 web1 12288 --warm-up 4096")
    print("\n  make demo-down    # end it")


def down() -> None:
    """End the demo's fleet, whether all of it is up or only a part."""
    Lab(LabSpec(), STATE).down()


def main() -> int:
    """0 when every guest has what its group asks for."""
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    if sys.argv[1:] == ["down"]:
        down()
        print("The demo's fleet is down.")
        return 0
    if sys.argv[1:]:
        print("usage: demo/run [down]", file=sys.stderr)
        return 2
    if not shutil.which("ansible-playbook"):
        print("demo: ansible-playbook is not on PATH; `make demo` installs it into .venv", file=sys.stderr)
        return 1
    keep = os.environ.get("KEEP", "") not in ("", "0")
    finished = False
    try:
        if STATE.exists():
            heading("Ending the fleet that an earlier demo left up")
            down()
        heading("A fleet: two hypervisors with their own libvirtd, six guests without a random number generator")
        lab = Lab(LabSpec.load(HERE / "fleet.yml"), STATE, progress=lambda text: print(f"  {text}")).up()
        Demo(lab).run()
        finished = True
    except LabError as error:
        print(f"\ndemo: failed: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\ndemo: interrupted", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # nobody wants a cleanup that is half done
        if finished and keep:
            heading("Done")
            look_around(lab)
        else:
            heading("Cleaning up")
            down()
    if finished:
        print(f"Done after {time.monotonic() - START:.0f} s." + ("" if keep else " Nothing is left behind."))
    return 0 if finished else 1


if __name__ == "__main__":
    sys.exit(main())
