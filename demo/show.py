# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo: a small fleet without random number generators, one run of enable_rng.yml, a look inside, the proof.

Everything is real: two hypervisors of libvirt and one of plain QEMU, ten guests, Ansible over SSH. The demo looks into
the guests itself, and fails when one has not what its group asks for, or when the collection's verdict is another.
``broker`` tells another story, that of the package sharing.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import report
from inside import FROM_FILE, NO_AGENT, NO_DRIVER, REFUSED, RESTART, Inside, definition
from lab import Guest, Lab, LabError, LabSpec
from lab.images import cache_directory
from runs import HERE, Playbooks
from sharing import story as sharing
from terminal import elapsed, heading

STATE = cache_directory() / "demo"
FIRST_RUN = report.Report("first-run")
PROOF = report.Report("proof")


class Demo:
    """One run against a fleet that is up."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.playbooks = Playbooks(lab)
        self.inside = Inside(self.playbooks.policies())

    def run(self) -> None:
        """The whole story."""
        heading("Before, as the guests see it")
        self.inside.before(self.lab.guests)
        self.enable()
        heading("After: every guest draws from its /dev/hwrng for a few seconds")
        self.inside.after(self.lab.guests)
        self.enable_again()
        self.restart()
        self.verify()

    def enable(self) -> None:
        """One run, which proves what it did and writes a report."""
        heading("Enable: one run of the playbook, with a proof and a report")
        bad = ", ".join(sorted(REFUSED | NO_DRIVER))
        print(f"It ends with an error for {bad}, on purpose: what cannot be done is said aloud.")
        done = self.playbooks.run("enable_rng", "-e", "rng_verify=true", *FIRST_RUN.options)
        if not done.changed:
            raise LabError("the playbook changed nothing")
        guests = FIRST_RUN.guests()
        report.expect_changes(guests, untouched=REFUSED)
        report.expect_verdicts(guests, [guest.name for guest in self.lab.guests if guest.name not in RESTART])

    def enable_again(self) -> None:
        """A second run changes nothing."""
        heading("The same again: nothing is left to do")
        print(f"It ends with an error again, for {', '.join(sorted(REFUSED))} still asks for an unsafe source.")
        definitions = self._definitions()
        changed = self.playbooks.run("enable_rng").changed
        changed += [name for name, now in self._definitions().items() if now != definitions[name]]
        if changed:
            raise LabError(f"the second run changed something: {', '.join(changed)}")
        print(
            "Ansible reports no change, and all guests are the same as before: libvirt's XML, QEMU's files and devices."
        )

    def _definitions(self) -> dict[str, str]:
        return {guest.name: definition(guest) for guest in self.lab.guests}

    def restart(self) -> None:
        """What had to wait works after a restart, and what plain QEMU starts with is in its file."""
        waited, written = ", ".join(sorted(RESTART)), ", ".join(sorted(FROM_FILE))
        heading(f"Restart: {waited} had to wait for it, and {written}, plain QEMU, starts with what is in its file now")
        restarted = [guest for guest in self.lab.guests if guest.name in RESTART | FROM_FILE]
        with ThreadPoolExecutor() as pool:
            list(pool.map(_restart, restarted))
        self.inside.after(restarted)

    def verify(self) -> None:
        """Every sound guest is verified, the bad ones are named."""
        heading("Prove it: what the guests themselves, their QEMU and the host say, held against the policy")
        refused, driverless = ", ".join(sorted(REFUSED)), ", ".join(sorted(NO_DRIVER))
        print(f"It ends with an error, as it should: {refused} asks for an unsafe source, {driverless} has no driver.")
        print(f"{', '.join(sorted(NO_AGENT))} has no agent: nothing is wrong with it, but nobody can prove it.")
        done = self.playbooks.run("verify_rng", *PROOF.options)
        report.expect_verdicts(PROOF.guests(), [guest.name for guest in self.lab.guests])
        report.expect_nothing_done(PROOF.guests())
        if not done.code:
            raise LabError("verify_rng.yml ended without an error although guests are not as they should be")


def _restart(guest: Guest) -> None:
    guest.destroy()
    guest.start()
    guest.wait()


def show_reports() -> None:
    """Where they are; they stay."""
    heading("The reports, to be opened in a browser")
    for text, page in (("the first run: every guest before and after", FIRST_RUN), ("the proof", PROOF)):
        print(f"  {page.page.as_uri()}    {text}")
    print(f"Beside each page is the same as JSON, CSV and metrics. They stay in {report.REPORTS} until the next demo.")


def look_around(lab: Lab) -> None:
    """What one can do with a fleet that stays up."""
    options = "-o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no"
    playbooks = Playbooks(lab)
    print("The fleet stays up. In the directory of the project, with .venv/bin on PATH, as root:\n")
    for host in lab.hosts.values():
        guest = host.spec.guests[0].name
        look = {"libvirt": f"virsh list, virsh dumpxml {guest}", "qemu": f"cat /etc/qemu/{guest}.cfg"}[host.spec.kind]
        print(f"  ssh -i {lab.key} {options} root@{host.address}    # {host.name}: {look}")
    print(f"  {shlex.join(playbooks.command('audit_rng'))}")
    print(f"  {shlex.join(playbooks.command('enable_rng', '--diff'))}    # after a change in demo/group_vars")
    print(f"  {shlex.join(playbooks.command('verify_rng'))}")
    tool = f"tests/lab/lab --state {lab.state}"
    print(f"  {tool} agent hv1 web1    # the RNG, from inside the guest")
    print(f"  {tool} agent hv2 batch2 'insmod /modules/*-virtio-rng.ko'    # what was planted there")
    print(f"  {tool} draw hv1 web1 12288 --warm-up 4096")
    print("\n  make demo-down    # end it")


@dataclass(frozen=True)
class Story:
    """What a demo is about, and the fleet that it needs."""

    title: str
    fleet: Path
    tell: Callable[[Lab], None]
    show_files: Callable[[], None]
    look_around: Callable[[Lab], None]


STORIES = {
    "fleet": Story(
        "A fleet: two libvirt hypervisors and one of plain QEMU, ten guests without a random number generator",
        HERE / "fleet.yml",
        lambda lab: Demo(lab).run(),
        show_reports,
        look_around,
    ),
    "broker": Story(
        "A fleet: one libvirt hypervisor, two guests in the group gold and two in the group silver",
        sharing.HERE / "fleet.yml",
        lambda lab: sharing.Sharing(lab).tell(),
        sharing.show_files,
        sharing.look_around,
    ),
}


def down() -> None:
    """End the demo's fleet, whether all of it is up or only a part."""
    Lab(LabSpec(), STATE).down()


def main() -> int:
    """0 when every guest has what its group asks for, and every verdict is right."""
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    if sys.argv[1:] == ["down"]:
        down()
        print("The demo's fleet is down.")
        return 0
    story = STORIES.get(" ".join(sys.argv[1:]) or "fleet")
    if story is None:
        print("usage: demo/run [broker|down]", file=sys.stderr)
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
        report.clear()
        heading(story.title)
        lab = Lab(LabSpec.load(story.fleet), STATE, progress=lambda text: print(f"  {text}")).up()
        story.tell(lab)
        finished = True
    except LabError as error:
        print(f"\ndemo: failed: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\ndemo: interrupted", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # nobody wants a cleanup that is half done
        report.share()
        if finished and keep:
            heading("Done")
            story.look_around(lab)
        else:
            heading("Cleaning up")
            down()
    if finished:
        story.show_files()
        left = (
            ""
            if keep
            else f" Nothing of the fleet stays but the installed packages, and the images in {cache_directory()}."
        )
        print(f"Done after {elapsed():.0f} s.{left}")
    return 0 if finished else 1


if __name__ == "__main__":
    sys.exit(main())
