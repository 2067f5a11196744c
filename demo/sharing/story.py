# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two groups of guests share one slow source at 3 to 1, and what one does not use the other has."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab import Lab, LabError
from report import REPORTS
from runs import Playbooks
from terminal import heading, table

from . import picture
from .counters import SETTLING, Phase, mistakes, rates, share, unserved
from .host import SOURCE, Reader, Watch, start_broker, start_source, top

HERE = Path(__file__).resolve().parent
INVENTORY = HERE / "inventory.yml"
PICTURE = REPORTS / "broker.svg"

GOLD, SILVER = ("gold-1", "gold-2"), ("silver-1", "silver-2")
GUESTS = GOLD + SILVER
LENGTH = 14.0  # seconds of a phase
UPGRADE = "upgrade"


class Sharing:
    """One run against a fleet that is up."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.host = lab.host("hv1")
        self.playbooks = Playbooks(lab, INVENTORY, brief=True)
        policies = self.playbooks.policies()
        self.gold, self.silver = (int(policies[names[0]]["rng_broker_rate"]) for names in (GOLD, SILVER))
        self.ratio = self.gold / self.silver
        self.rate = self.gold + self.silver  # of the source: no more than what is guaranteed
        self.readers = {name: Reader(lab.guest(name)) for name in GUESTS}
        self.phases: list[Phase] = []
        self.upgraded = 0.0

    def tell(self) -> None:
        """The whole story."""
        self.install()
        self.enable()
        heading("Three phases: guests read their /dev/hwrng without a pause, or are idle")
        print("The broker has read a little ahead: first all guests read until that is used up.")
        self._be(GUESTS)
        time.sleep(SETTLING)
        with Watch(self.host) as watch:
            self.phase("all busy", GUESTS, f"gold and silver should share at {self.ratio:g} : 1")
            self.phase("gold idle", SILVER, "silver should have all that the source gives")
            again = f"gold and silver should share at {self.ratio:g} : 1 again, with all of silver's for silver-1"
            self.phase("silver-2 idle", (*GOLD, "silver-1"), again, upgrade=True)
            self._be(())
        self.show(watch)
        try:
            self.check(watch)
        except ValueError as error:
            raise LabError(str(error)) from error
        self.enable_again()

    def install(self) -> None:
        """The source, and the broker, which reads it."""
        heading("A slow source, and a broker on it")
        print(f"The source is a stand-in: {SOURCE} of hv1 is a character device that a small process of the demo feeds")
        print(f"with random bytes, {self.rate} per second. It is slow as a hardware RNG is slow: who reads it waits.")
        start_source(self.host, self.rate)
        self.playbooks.run_well("broker_rng")
        print("No systemd runs on hv1: the demo starts the broker as an init script would, as a user without rights.")
        start_broker(self.host)

    def enable(self) -> None:
        """One run gives the guests devices that lead to it."""
        heading("Give the guests their RNG: gold and silver say `virtio_rng_source: broker`")
        if not self.playbooks.run_well("enable_rng", "-e", "rng_prepare_brokers=true").changed:
            raise LabError("the playbook changed nothing")
        with ThreadPoolExecutor() as pool:
            currents = list(pool.map(lambda name: self.lab.guest(name).rng_current(), GUESTS))
        table(("guest", "rng_current, in the guest"), zip(GUESTS, currents, strict=True))
        if set(currents) != {"virtio_rng.0"}:
            raise LabError("not all guests draw from the device")

    def phase(self, name: str, busy: Iterable[str], expected: str, upgrade: bool = False) -> None:
        """Have some guests busy for a while. ``upgrade``: the broker replaces itself in the middle."""
        chosen = frozenset(busy)
        self._be(chosen)
        begin = time.time()
        said = (f"{guest} {'reads' if guest in chosen else 'is idle'}" for guest in GUESTS)
        print(f"\n--- {name}, for {LENGTH:g} s: {', '.join(said)}")
        print(f"{expected[0].upper()}{expected[1:]}.")
        time.sleep(LENGTH / 4)
        print("hv1$ virtrngctl top --once")
        print(top(self.host, picture.WIDTH), end="")
        if upgrade:
            time.sleep(max(0.0, begin + LENGTH / 2 - time.time()))
            self.upgraded = time.time()
            print("hv1$ virtrngctl upgrade    # the installed program takes the place of the running one")
            print(self.host.check("virtrngctl", "upgrade"), end="")
        # A machine that is slow gets the time that is missing.
        time.sleep(max(begin + LENGTH - time.time(), LENGTH / 2 if upgrade else LENGTH / 4))
        self.phases.append(Phase(name, chosen, begin, time.time()))
        stopped = [guest for guest in chosen if not self.readers[guest].reads()]
        if stopped:
            raise LabError(f"{name}: reading ended in {', '.join(stopped)}")

    def _be(self, busy: Iterable[str]) -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda name: self.readers[name].be(name in busy), GUESTS))

    def show(self, watch: Watch) -> None:
        """The picture, here and as a file."""
        heading("The picture")
        start = watch.samples[0].at
        series = rates(watch.samples, GUESTS)
        marks = [picture.Mark(phase.name, phase.begin - start) for phase in self.phases]
        marks.append(picture.Mark(UPGRADE, self.upgraded - start))
        colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        print(picture.for_terminal(series, marks, shutil.get_terminal_size((picture.WIDTH, 24)).columns, colours))
        PICTURE.parent.mkdir(parents=True, exist_ok=True)
        title = f"gold and silver at {self.ratio:g} : 1 on one source of {self.rate:,} bytes per second"
        picture.for_browser(series, marks, title, PICTURE)
        print(f"The same for a browser: {PICTURE.as_uri()}")
        print(
            f"While all read, gold's part is {self.ratio:g} times as high as silver's; with gold idle, silver has all."
        )

    def check(self, watch: Watch) -> None:
        """What the broker's counters say, without the first seconds of each phase; a LabError when it is far off."""
        heading("Check: the broker's counters, without the first seconds of each phase")
        shares = [share(watch.samples, phase) for phase in self.phases]
        rows = [
            (
                found.phase.name,
                *(f"{found.guests.get(guest, 0):,}" for guest in GUESTS),
                f"{self.ratio:g} : 1" if found.phase.busy.intersection(GOLD) else "0 : 1",
                _ratio(found.group("gold"), found.group("silver")),
                f"{found.per_second:,.0f} B/s, {100 * found.per_second / self.rate:.0f} %",
            )
            for found in shares
        ]
        table(("phase", *(f"{guest}, B" for guest in GUESTS), "expected", "gold : silver", "of the source"), rows)
        wrong = mistakes(shares, self.ratio)
        last = self.phases[-1]
        hung = unserved(watch.samples, last.busy, last.begin, last.end)
        wrong += [f"{guest} got nothing for a while around the upgrade" for guest in sorted(hung)]
        first, final = watch.samples[0], watch.samples[-1]
        if final.restarts != first.restarts + 1:
            wrong.append(f"the broker replaced itself {final.restarts - first.restarts} times, and not once")
        if final.clients != first.clients:
            wrong.append(f"{first.clients} connections became {final.clients}")
        if wrong:
            raise LabError("; ".join(wrong))
        print(f"The broker replaced itself once, with all {final.clients} connections; nobody stopped reading.")

    def enable_again(self) -> None:
        """A second run changes nothing."""
        heading("The same again: nothing is left to do")
        changed = self.playbooks.run_well("enable_rng", "-e", "rng_prepare_brokers=true").changed
        if changed:
            raise LabError(f"the second run changed something: {', '.join(changed)}")


def _ratio(gold: int, silver: int) -> str:
    return f"{gold / silver:.2f} : 1" if silver else "nothing for silver"


def show_files() -> None:
    """Where the picture is; it stays."""
    heading("The picture, to be opened in a browser")
    print(f"  {PICTURE.as_uri()}")
    print("It stays there until the next demo.")


def look_around(lab: Lab) -> None:
    """What one can do with a fleet that stays up."""
    options = "-o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no"
    playbooks = Playbooks(lab, INVENTORY)
    print("The fleet stays up. In the directory of the project, with .venv/bin on PATH, as root:\n")
    print(f"  ssh -t -i {lab.key} {options} root@{lab.host('hv1').address} virtrngctl top    # q ends it")
    again = shlex.join(playbooks.command("enable_rng", "-e", "rng_prepare_brokers=true", "--diff"))
    print(f"  {again}    # after a change in demo/sharing/inventory.yml")
    tool = f"tests/lab/lab --state {lab.state}"
    print(f"  {tool} agent hv1 gold-1 'dd if=/dev/hwrng of=/dev/null bs=64 count=1000'    # makes it busy")
    print("\n  make demo-down    # end it")
