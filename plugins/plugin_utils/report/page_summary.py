# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers of the page and the lists that somebody has to act upon."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.converge import NOT_APPLICABLE, UNCHANGED
from ansible_collections.fleet.rng.plugins.plugin_utils.report.page_facts import (
    SEVERITIES,
    VERDICTS,
    Guest,
    current,
    devices_text,
)
from ansible_collections.fleet.rng.plugins.plugin_utils.report.page_hosts import NOT_OBSERVED, NOT_PLANNED, Host

# What the page lists without a script; the script shows the rest.
REASONS = 12
NAMES = 6
SUBJECTS = 100
KINDS = 20
REMEDIES = 2
NO_GROUP = "no group"
UNPROVEN = (
    "Start QEMU's agent in the guest, or set rng_verify_guests to ask over its own connection; then verify again."
)

Told = tuple[str, str, tuple[str, ...]]  # name, reason, remedies


@dataclass
class Tally:
    """Guests of one group, one hypervisor or all, counted."""

    name: str
    guests: int = 0
    rng: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)

    def add(self, guest: Guest) -> None:
        self.guests += 1
        self.rng += guest.rng == "yes"
        self.verdicts[guest.verdict] += 1
        self.runs.update(guest.run)

    @property
    def judged(self) -> bool:
        """Whether any of them was verified, with whatever result."""
        return any(self.verdicts[word] for word in ("verified", "failed", "waiting", "unproven"))

    @property
    def trouble(self) -> int:
        """Guests that somebody has to look at."""
        return self.verdicts["failed"] + self.runs["refused"] + self.runs["error"]

    @property
    def shares(self) -> list[tuple[str, int, float, float]]:
        """The parts of a stacked bar of 1000 units: verdict, guests, start, width."""
        return parts({word: self.verdicts[word] for word in reversed(VERDICTS)})


@dataclass(frozen=True)
class Reason:
    """Guests, or hypervisors, that something is the matter with for the same reason."""

    why: str
    count: int
    names: tuple[str, ...]  # the first few
    remedies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Matter:
    """One kind of thing to act upon, by reason; ``filter`` is what shows its guests in the list."""

    word: str
    filter: tuple[str, str] | None
    count: int
    reasons: tuple[Reason, ...]
    more: int  # reasons that are not listed
    above: int = 0  # guests of this kind that stand in another matter above


@dataclass
class Finding:
    """All that was found under one id."""

    id: str
    severity: str
    remedies: Counter[str] = field(default_factory=Counter)
    subjects: list[tuple[str, str | None, str]] = field(default_factory=list)  # hypervisor, guest, message

    @property
    def messages(self) -> Counter[str]:
        return Counter(message for dummy, dummy2, message in self.subjects)


def parts(counts: Mapping[str, int]) -> list[tuple[str, int, float, float]]:
    """Counts as the parts of a bar of 1000 units, in their order; what counts at all can be seen."""
    total = sum(counts.values())
    shares = {word: max(4.0, 1000 * count / total) for word, count in counts.items() if count}
    scale = 1000 / (sum(shares.values()) or 1)
    found, start = [], 0.0
    for word, share in shares.items():
        width = share * scale
        found.append((word, counts[word], round(start, 1), round(width, 1)))
        start += width
    return found


def tallies(hosts: Sequence[Mapping[str, Any]], guests: Iterable[Guest]) -> tuple[Tally, list[Tally], list[Tally]]:
    """All guests; by inventory group; by hypervisor, in the order of the report."""
    everything = Tally("all guests")
    groups: dict[str, Tally] = {}
    by_host = [Tally(host["hypervisor"]) for host in hosts]
    for guest in guests:
        everything.add(guest)
        by_host[guest.host].add(guest)
        for name in guest.data.get("groups") or (NO_GROUP,):
            groups.setdefault(name, Tally(name)).add(guest)
    return everything, sorted(groups.values(), key=lambda tally: (tally.name == NO_GROUP, tally.name)), by_host


def matters(hosts: Iterable[Host], guests: Sequence[Guest], warned: Iterable[tuple[str, str]]) -> list[Matter]:
    """What somebody has to act upon, the most pressing first; kinds that nothing is of are left out.

    :param warned: warnings with the hypervisors that they are about, or with "" for the report itself.
    """
    troubled = [(host.name, host.why, host.trouble) for host in hosts]
    warned = list(warned)

    def with_trouble(word: str) -> list[tuple[str, str]]:
        return [(name, why) for name, why, trouble in troubled if trouble == word]

    def with_run(word: str) -> list[Told]:
        return [_told(guest, guest.why) for guest in guests if word in guest.run]

    # A guest that was refused, or failed while changing, is told of there, once.
    failed = [guest for guest in guests if guest.verdict == "failed"]
    alone = [
        _told(guest, guest.data.get("reason") or "") for guest in failed if not {"refused", "error"} & set(guest.run)
    ]
    unproven = [
        _told(guest, guest.data.get("reason") or guest.why, UNPROVEN) for guest in guests if guest.verdict == "unproven"
    ]
    waiting = [
        _told(guest, (guest.data.get("outcome") or {}).get("reason") or guest.why)
        for guest in guests
        if "needs restart" in guest.run
    ]
    found = [
        _matter("Not observed", None, with_trouble(NOT_OBSERVED)),
        _matter("Not planned", None, with_trouble(NOT_PLANNED)),
        _matter("Refused", ("run", "refused"), with_run("refused")),
        _matter("Failed while changing", ("run", "error"), with_run("error")),
        replace(_matter("Failed", ("verdict", "failed"), alone), above=len(failed) - len(alone)),
        _matter("Needs a restart", ("run", "needs restart"), waiting),
        _matter("Old device not yet released", ("run", "pending removal"), with_run("pending removal")),
        _matter("Unproven", ("verdict", "unproven"), unproven),
        _matter("Missing in this report", None, [(name, why) for name, why in warned if not name]),
        _matter("Warnings", None, [(name, why.removeprefix(f"{name}: ")) for name, why in warned if name]),
    ]
    return [matter for matter in found if matter.count]


def _told(guest: Guest, why: str, usual: str = "") -> Told:
    """A guest with its reason and what to do about it; ``usual`` is for one without findings."""
    remedies = tuple(dict.fromkeys(item["remedy"] for item in guest.data.get("findings") or ()))
    return guest.data["name"], why, remedies or ((usual,) if usual else ())


def _matter(word: str, link: tuple[str, str] | None, found: Iterable[tuple[str, str] | Told]) -> Matter:
    by_reason: defaultdict[str, list[str]] = defaultdict(list)
    remedies: defaultdict[str, dict[str, None]] = defaultdict(dict)  # in order, each once
    for name, why, *known in found:
        by_reason[why].append(name)
        remedies[why].update(dict.fromkeys(known[0] if known else ()))
    reasons = sorted(
        (
            Reason(why, len(names), tuple(filter(None, names[:NAMES])), tuple(remedies[why])[:REMEDIES])
            for why, names in by_reason.items()
        ),
        key=lambda reason: -reason.count,
    )
    count = sum(reason.count for reason in reasons)
    return Matter(word, link, count, tuple(reasons[:REASONS]), len(reasons[REASONS:]))


Change = tuple[str, str, str, str, int]


def changes(hosts: Sequence[Mapping[str, Any]], guests: Iterable[Guest]) -> tuple[list[Change], int]:
    """What became of the guests that changed: layers, before, after, how many; and how many kinds are left out."""
    kinds: Counter[tuple[str, str, str, str]] = Counter()
    for guest in guests:
        outcome = guest.data.get("outcome") or {}
        if outcome.get("changed"):
            layers = [outcome[layer] for layer in ("config", "live")]
            words = ["" if word in (UNCHANGED, NOT_APPLICABLE) else word.replace("_", " ") for word in layers]
            before = current({**guest.data, "after": None})
            wanted = [guest.data["wanted"]] if guest.data.get("wanted") else []
            # What would change has not changed, whoever looks again.
            again = guest.data.get("after") and not hosts[guest.host].get("check_mode")
            after = guest.devices if again else wanted
            kinds[(words[0], words[1], devices_text(before), devices_text(after))] += 1
    shown = [(*kind, count) for kind, count in kinds.most_common(KINDS)]
    return shown, len(kinds) - len(shown)


def findings(hosts: Iterable[Mapping[str, Any]], guests: Iterable[Guest]) -> list[Finding]:
    """By id, the worst first."""
    found: dict[tuple[str, str], Finding] = {}

    def add(item: Mapping[str, Any], host: str, guest: str | None) -> None:
        key = (item["id"], item["severity"])
        finding = found.setdefault(key, Finding(*key))
        finding.remedies[item["remedy"]] += 1
        finding.subjects.append((host, guest, item["message"]))

    for host in hosts:
        for item in (host.get("rng") or {}).get("findings") or ():
            add(item, host["hypervisor"], None)
    for guest in guests:
        for item in guest.data.get("findings") or ():
            add(item, guest.hypervisor, guest.data["name"])
    order = {severity: rank for rank, severity in enumerate(SEVERITIES)}
    return sorted(found.values(), key=lambda finding: (order.get(finding.severity, len(order)), finding.id))
