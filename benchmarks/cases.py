# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured: each case yields rows for the table as soon as it has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from fleet import ROOT, Controller, Inventory
from harness import BenchmarkError, Contestant, Goal, Rounds, Row, compare, slope
from lab import Host

ENABLE = ROOT / "playbooks/enable_rng.yml"
START_UP = "nothing.yml"  # a play that does nothing: what every run of ansible-playbook costs
SMALL = 10  # guests of a small host
LOOP = 20  # guests that the loops of today have to do; they cost the same for each


@dataclass(frozen=True)
class Sizes:
    """How much of it."""

    rounds: int = 5
    audit: tuple[int, ...] = (1, 20, 100)
    observe: tuple[int, ...] = (10, 500)
    converge: tuple[int, ...] = (100, 500)
    controller: tuple[int, ...] = (10, 100, 300)

    @property
    def small_hosts(self) -> int:
        """How many hosts of ten guests are needed for all of it."""
        return max(1, *self.audit, *self.controller)


QUICK = Sizes(rounds=2, audit=(1, 10), observe=(10, 100), converge=(100,), controller=(5, 20))


class Bench:
    """The cases, on a fleet that is up."""

    def __init__(self, controller: Controller, sizes: Sizes) -> None:
        self.controller = controller
        self.sizes = sizes
        self.small = [host for host in controller.lab.hosts.values() if host.name.startswith("h")]

    def audit(self) -> Iterator[Row]:
        """(a) The kernel RNG of many machines: one probe against ping and against a dozen tasks."""
        for count in self.sizes.audit:
            inventory = self.controller.inventory(self.small[:count])
            size = _counted(count, "host")
            rounds = self._compare(inventory, "ping.yml", "raw.yml", "rng_info.yml")
            yield _ratio("audit", "rng_info / ping", size, rounds, "rng_info.yml", "ping.yml", Goal(0.35))
            yield _ratio("audit", "an empty command / ping", size, rounds, "raw.yml", "ping.yml")
            # It takes minutes for many hosts, and its ratio leaves no doubt after one round.
            few = 1 if count > 20 else min(2, self.sizes.rounds)
            rounds = self._compare(inventory, "rng_info.yml", "audit_by_hand.yml", rounds=few, warm_up=False)
            goal = Goal(30, at_least=True)
            yield _ratio("audit", "a dozen tasks / rng_info", size, rounds, "audit_by_hand.yml", "rng_info.yml", goal)

    def observe(self) -> Iterator[Row]:
        """(a) All guests of one hypervisor in one module run, against ping."""
        for count in self.sizes.observe:
            inventory = self.controller.inventory([self._host(count)])
            rounds = self._compare(inventory, "ping.yml", "libvirt_rng_info.yml", rounds=2 * self.sizes.rounds)
            goal = Goal(1.2 if count <= SMALL else 1.5)
            what = "libvirt_rng_info / ping"
            yield _ratio("observe", what, _counted(count, "guest"), rounds, "libvirt_rng_info.yml", "ping.yml", goal)

    def converge(self) -> Iterator[Row]:
        """(b) Guests without an RNG get one: against bare libvirt calls, and against the loops of today."""
        for count in self.sizes.converge:
            yield from self._against_bare_calls(count)
            yield from self._against_loops(count)

    def again(self) -> Iterator[Row]:
        """(c) Nothing differs any more."""
        for count in self.sizes.converge:
            host = self._host(count)
            size = _counted(count, "guest")
            inventory = self.controller.inventory([host], guests=True)
            wanted = self._wanted(host)
            self.controller.play("libvirt_rng.yml", inventory, wanted)
            contestants = [
                self._play(START_UP, inventory),
                self._play("ping.yml", inventory),
                Contestant(
                    "libvirt_rng.yml",
                    partial(self.controller.play, "libvirt_rng.yml", inventory, wanted, changes=False),
                ),
                self._play(ENABLE, inventory, changes=False),
            ]
            rounds = compare(contestants, self.sizes.rounds)
            yield _ratio("again", "libvirt_rng / ping", size, rounds, "libvirt_rng.yml", "ping.yml")
            yield _whole("again", "enable_rng.yml / ping", size, rounds, "enable_rng.yml", "ping.yml")
            self._strip(host)

    def fleet(self) -> Iterator[Row]:
        """(d) Time and memory of the controller, for fleets in which nothing differs."""
        peaks: dict[str, dict[int, float]] = {"ping.yml": {}, "enable_rng.yml": {}}
        for count in self.sizes.controller:
            inventory = self.controller.inventory(self.small[:count], guests=True)
            size = f"{_counted(count, 'host')} of {SMALL} guests"
            few = self.sizes.rounds if count <= 20 else min(3, self.sizes.rounds)
            contestants = [
                self._play(START_UP, inventory),
                self._play("ping.yml", inventory),
                self._play(ENABLE, inventory, changes=False),
            ]
            rounds = compare(contestants, few)
            goal = Goal(1.6) if count == 100 else None
            yield _whole("fleet", "enable_rng.yml / ping", size, rounds, "enable_rng.yml", "ping.yml", goal)
            for name, peak in peaks.items():
                peak[count] = rounds.median(name, measure="peak_kib")
                yield Row(
                    "fleet",
                    f"{name.removesuffix('.yml')}, per host",
                    size,
                    [1000 * seconds / count for seconds in rounds.each(name, START_UP)],
                    [1000 * seconds / count for seconds in rounds.each(name, START_UP, "cpu")],
                    "ms",
                    None,
                    f"controller {peak[count] / 1024:.1f} MiB",
                )
            commands = self.controller.round_trips(ENABLE, inventory)
            if set(commands) != {host.name for host in inventory.hosts}:
                raise BenchmarkError(f"enable_rng.yml did not reach every host: {commands}")
            yield Row(
                "fleet", "commands per host, at most", size, [max(commands.values())], goal=Goal(1), unit="commands"
            )
        if len(self.sizes.controller) > 1:
            growth = {name: slope(peak) for name, peak in peaks.items()}
            size = f"{min(self.sizes.controller)} to {max(self.sizes.controller)} hosts"
            yield Row(
                "fleet",
                "controller memory per host, enable_rng.yml",
                size,
                [growth["enable_rng.yml"]],
                unit="KiB",
                goal=Goal(60),
                detail=f"ping {growth['ping.yml']:.1f} KiB",
            )

    def _against_bare_calls(self, count: int) -> Iterator[Row]:
        host = self._host(count)
        inventory = self.controller.inventory([host])

        def strip() -> None:
            self._strip(host)

        contestants = [
            Contestant("1", lambda: self.controller.bare(host, "attach", 1), strip),
            Contestant("8", lambda: self.controller.bare(host, "attach", 8), strip),
            Contestant("careful", lambda: self.controller.bare(host, "attach-carefully", 8), strip),
            Contestant(
                "module", lambda: self.controller.module_run("libvirt_rng.yml", inventory, self._wanted(host)), strip
            ),
        ]
        rounds = compare(contestants, self.sizes.rounds)
        strip()
        faster = min("1", "8", key=rounds.median)
        for name in ("1", "8"):
            yield Row(
                "converge",
                f"libvirt_rng / bare libvirt, {_counted(int(name), 'connection')}",
                _counted(count, "guest"),
                rounds.ratios("module", name),
                goal=Goal(1.5) if name == faster and count >= 500 else None,
                detail=f"{rounds.median('module'):.2f} s : {rounds.median(name):.2f} s",
            )
        yield Row(
            "converge",
            "the same, reading before and after, 8 connections",
            _counted(count, "guest"),
            rounds.ratios("module", "careful"),
            detail=f"{rounds.median('module'):.2f} s : {rounds.median('careful'):.2f} s",
        )

    def _against_loops(self, count: int) -> Iterator[Row]:
        host = self._host(count)
        inventory = self.controller.inventory([host])
        some = {"guest_names": [entry["guest"] for entry in self._wanted(host)["wanted_devices"]][:LOOP]}

        def strip() -> None:
            self._strip(host)

        def play(playbook: str, variables: dict[str, object]) -> Contestant:
            return Contestant(
                playbook, lambda: self.controller.play(playbook, inventory, variables, changes=True), strip
            )

        loops = ("loop_virt_xml.yml", "loop_virt_module.yml")
        contestants = [
            self._play(START_UP, inventory),
            play("libvirt_rng.yml", self._wanted(host)),
            *(play(loop, some) for loop in loops),
        ]
        rounds = compare(contestants, min(2, self.sizes.rounds), warm_up=False)
        strip()
        for loop, name in zip(loops, ("virt-xml", "virt get_xml, define"), strict=True):
            ratios, cpu = (
                [ratio * count / LOOP for ratio in rounds.ratios(loop, "libvirt_rng.yml", START_UP, measure)]
                for measure in ("seconds", "cpu")
            )
            each = 1000 * rounds.median(loop, START_UP) / LOOP
            yield Row(
                "converge",
                f"loop over {name} / libvirt_rng",
                _counted(count, "guest"),
                ratios,
                cpu,
                goal=Goal(30, at_least=True) if count >= 500 else None,
                detail=f"{each:.0f} ms a guest, from {LOOP} : {rounds.median('libvirt_rng.yml', START_UP):.2f} s",
            )

    def _host(self, guests: int) -> Host:
        return self.small[0] if guests == SMALL else self.controller.lab.host(big_host(guests))

    def _wanted(self, host: Host) -> dict[str, list[dict[str, str]]]:
        return {"wanted_devices": [{"guest": guest.name} for guest in self.controller.lab.guests if guest.host is host]}

    def _strip(self, host: Host) -> None:
        self.controller.bare(host, "detach", 8)

    def _play(self, playbook: object, inventory: Inventory, changes: bool | None = None) -> Contestant:
        name = str(playbook).rpartition("/")[2]
        return Contestant(name, lambda: self.controller.play(str(playbook), inventory, changes=changes))

    def _compare(self, inventory: Inventory, *playbooks: str, rounds: int = 0, warm_up: bool = True) -> Rounds:
        contestants = [self._play(playbook, inventory) for playbook in (START_UP, *playbooks)]
        return compare(contestants, rounds or self.sizes.rounds, warm_up)


CASES: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "audit": Bench.audit,
    "observe": Bench.observe,
    "converge": Bench.converge,
    "again": Bench.again,
    "fleet": Bench.fleet,
}


def big_host(guests: int) -> str:
    """The host that has so many guests, all without an RNG."""
    return f"big{guests}"


def _ratio(case: str, what: str, size: str, rounds: Rounds, one: str, two: str, goal: Goal | None = None) -> Row:
    """Of the cost of the task alone: the start-up of ansible-playbook is taken off both."""
    detail = f"{rounds.median(one, START_UP):.2f} s : {rounds.median(two, START_UP):.2f} s"
    ratios = rounds.ratios(one, two, START_UP)
    return Row(case, what, size, ratios, rounds.ratios(one, two, START_UP, "cpu"), goal=goal, detail=detail)


def _whole(case: str, what: str, size: str, rounds: Rounds, one: str, two: str, goal: Goal | None = None) -> Row:
    """Of whole runs of ansible-playbook."""
    detail = f"{rounds.median(one):.2f} s : {rounds.median(two):.2f} s, whole runs"
    return Row(
        case, what, size, rounds.ratios(one, two), rounds.ratios(one, two, measure="cpu"), goal=goal, detail=detail
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("s" if number != 1 else "")
