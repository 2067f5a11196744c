# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reports that the demo's runs write, and what they have to say about its guests."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lab import LabError

# In the clone, where `make demo-down` leaves it alone; the next demo begins a new one, `make clean` removes it.
REPORTS = Path(__file__).resolve().parent.parent / ".cache" / "demo"

# What a verification has to say about the guests that are not sound: the verdict, and a finding of docs/findings.md.
BAD = {
    "legacy1": ("failed", "RNG101"),  # refused, so it has none
    "batch2": ("failed", "RNG109"),  # no driver
    "web3": ("unproven", "RNG117"),  # no agent
}


class Report:
    """One report: a page, and the same as data."""

    def __init__(self, name: str) -> None:
        self.directory = REPORTS / name

    @property
    def page(self) -> Path:
        """The file to open in a browser."""
        return self.directory / "report.html"

    @property
    def options(self) -> list[str]:
        """What makes a playbook write it."""
        return ["-e", f"rng_report_dir={self.directory}"]

    def guests(self) -> dict[str, Mapping[str, Any]]:
        """What it says about each guest; an error when it was not written, or the page does not have them all."""
        try:
            page, data = self.page.read_text(), json.loads((self.directory / "report.json").read_text())
        except (OSError, ValueError) as error:
            raise LabError(f"the report: {error}") from error
        guests = {guest["name"]: guest for host in data["hosts"] for guest in host["guests"]}
        missing = [name for name in guests if name not in page]
        if missing:
            raise LabError(f"the page does not have {', '.join(missing)}")
        return guests


def clear() -> None:
    """Begin without the reports of an earlier demo."""
    shutil.rmtree(REPORTS, ignore_errors=True)


def share() -> None:
    """Give them to the user who called sudo."""
    user, group = os.environ.get("SUDO_UID"), os.environ.get("SUDO_GID")
    if user and group and REPORTS.exists():
        for path in (REPORTS, *REPORTS.rglob("*")):
            os.chown(path, int(user), int(group), follow_symlinks=False)


def expect_changes(guests: Mapping[str, Mapping[str, Any]], untouched: Iterable[str]) -> None:
    """Every guest had no RNG in its configuration, and has one now."""
    for name, guest in guests.items():
        before, after = guest["before"]["config"], (guest["after"] or {}).get("config")
        if before or bool(after) == (name in set(untouched)):
            raise LabError(f"the report does not have {name} before and after: {before}, {after}")


def expect_nothing_done(guests: Mapping[str, Mapping[str, Any]]) -> None:
    """A verification changes nothing, and says so also of guests that are not as they should be."""
    wrong = [
        name
        for name, guest in guests.items()
        if guest["outcome"]["changed"] or {"added", "replaced", "removed"} & set(guest["outcome"].values())
    ]
    if wrong:
        raise LabError(f"the report of a verification says that something was done to {', '.join(wrong)}")


def expect_verdicts(guests: Mapping[str, Mapping[str, Any]], names: Iterable[str]) -> None:
    """Every sound guest is verified, and every bad one is named, with what is to be done about it."""
    wrong = []
    for name in names:
        verdict, finding = BAD.get(name, ("verified", None))
        guest = guests.get(name, {})
        if guest.get("verdict") != verdict:
            wrong.append(f"{name} is {guest.get('verdict')}, not {verdict}: {guest.get('reason')}")
        remedies = {found["id"]: found["remedy"] for found in guest.get("findings", ())}
        if finding and not remedies.get(finding):
            wrong.append(f"{name} has no {finding} with a remedy, only {', '.join(remedies) or 'nothing'}")
    if wrong:
        raise LabError("; ".join(wrong))
