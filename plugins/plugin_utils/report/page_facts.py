# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the page says of each guest, decided once: its numbers, its filters and its lists all use these words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.device import UNLIMITED
from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils.report.summary import devices_of, outcomes_of

# The worst first: lists and bars keep this order.
VERDICTS = ("failed", "waiting", "unproven", "not judged", "off", "unmanaged", "verified")
RUNS = ("refused", "error", "needs restart", "pending removal", "changed", "unchanged")
HAS = {True: "yes", False: "no", None: "unknown"}
SEVERITIES = ("error", "warning", "info")
TEXT = 600  # characters of one text; nothing that is longer is worth a page
_PLAIN = (bool, int, float, type(None))
_SECOND = 1000  # milliseconds
_UNITS = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"), (1, "B"))


@dataclass(frozen=True)
class Guest:
    """One guest of the report, and what the page concludes from it."""

    data: Mapping[str, Any]
    host: int  # its place in the report's list
    hypervisor: str
    devices: list[Mapping[str, Any]] | None  # what it has now: of the running guest, else of its configuration
    verdict: str
    run: tuple[str, ...]
    why: str

    @property
    def rng(self) -> str:
        return HAS[None if self.devices is None else bool(self.devices)]

    @property
    def rank(self) -> tuple[int, int, str, str]:
        """Those that somebody has to look at come first."""
        runs = min(RUNS.index(word) for word in self.run)
        urgent = 0 if runs < 2 else 1 + VERDICTS.index(self.verdict)
        return (urgent, runs, self.hypervisor, self.data["name"])


def clean(value: Any) -> Any:
    """The same document with every text fit to be shown, whoever wrote it."""
    if isinstance(value, str):
        return value if len(value) <= TEXT and value.isprintable() else printable(value, TEXT)
    # A large report has millions of values; a call for each would take most of the time that its page takes.
    if isinstance(value, dict):
        return {clean(str(key)): item if type(item) in _PLAIN else clean(item) for key, item in value.items()}
    if isinstance(value, Mapping):
        return clean(dict(value))
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    return value


def guests_of(report: Mapping[str, Any]) -> list[Guest]:
    """All guests of a clean report, the ones to look at first."""
    found = [
        _guest(data, index, host["hypervisor"])
        for index, host in enumerate(report["hosts"])
        for data in host.get("guests") or ()
    ]
    return sorted(found, key=lambda guest: guest.rank)


def _guest(data: Mapping[str, Any], host: int, hypervisor: str) -> Guest:
    outcome = data.get("outcome") or {}
    run = _run(data)
    reasons = (outcome.get("error"), outcome.get("reason"), data.get("reason"))
    if run[0] not in ("refused", "error") and data.get("verdict"):
        reasons = reasons[::-1]
    return Guest(
        data=data,
        host=host,
        hypervisor=hypervisor,
        devices=current(data),
        verdict=data.get("verdict") or VERDICTS[3],
        run=run,
        why=next((reason for reason in reasons if reason), ""),
    )


def current(data: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """The devices at the last look; None when nobody could see them."""
    layers = devices_of(data)
    live = layers["live"] if data.get("running") else None
    found: list[Mapping[str, Any]] | None = layers["config"] if live is None else live
    return found


def _run(data: Mapping[str, Any]) -> tuple[str, ...]:
    words = {"error" if word == "failed" else word.replace("_", " ") for word in outcomes_of(data)}
    return tuple(word for word in RUNS if word in words) or (RUNS[-1],)


def amount(number: float) -> str:
    """Bytes as people write them: ``1 KiB``, ``1.5 MiB``."""
    for size, unit in _UNITS:
        if number >= size:
            return f"{number / size:.4g} {unit}"
    return f"{number:.3g} B"


def span(low: float, high: float) -> str:
    """Two amounts in the unit of the larger: ``0.97 to 1 KiB``."""
    size, unit = next((pair for pair in _UNITS if high >= pair[0]), _UNITS[-1])
    return f"{low / size:.4g} to {high / size:.4g} {unit}"


def rate_of(device: Mapping[str, Any]) -> float | None:
    """Bytes per second that a device lets through; None means no limit."""
    if device["max_bytes"] == UNLIMITED:
        return None
    return int(device["max_bytes"]) * 1000 / int(device["period"])


def rate(device: Mapping[str, Any]) -> str:
    """The rate of a device in the unit of all rates of the page; where that says less, with the quota itself."""
    per_second = rate_of(device)
    if per_second is None:
        return UNLIMITED
    shown = f"{amount(per_second)}/s"
    if int(device["period"]) == _SECOND and _is_whole(int(device["max_bytes"])):
        return shown
    return f"{shown} ({device['max_bytes']} B / {device['period']} ms)"


def _is_whole(number: int) -> bool:
    """Whether ``amount`` rounds nothing away."""
    size = next(size for size, dummy in _UNITS if number >= size)
    return float(amount(number).split()[0]) * size == number


def device_text(device: Mapping[str, Any]) -> str:
    """A device in a few words."""
    return f"{device['source']}, {rate(device)}"


def devices_text(devices: Sequence[Mapping[str, Any]] | None) -> str:
    """The devices of a guest in a few words."""
    if devices is None:
        return "unknown"
    return " + ".join(map(device_text, devices)) or "none"
