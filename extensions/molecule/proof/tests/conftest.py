# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reports that the scenario's runs wrote on this machine."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

SCHEMA = Path(__file__).resolve().parents[4] / "docs" / "report.schema.json"


class Report:
    """One report: its page, and what it says of each guest."""

    def __init__(self, name: str) -> None:
        directory = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], name)
        self.page = (directory / "report.html").read_text()
        self.data = json.loads((directory / "report.json").read_text())
        jsonschema.validate(self.data, json.loads(SCHEMA.read_text()))

    @property
    def hypervisors(self) -> list[str]:
        """Their names."""
        return [host["hypervisor"] for host in self.data["hosts"]]

    def guests(self, hypervisor: str) -> Mapping[str, Mapping[str, Any]]:
        """Its guests, by name."""
        (found,) = [host for host in self.data["hosts"] if host["hypervisor"] == hypervisor]
        return {guest["name"]: guest for guest in found["guests"]}


@pytest.fixture(scope="session")
def report() -> Callable[[str], Report]:
    """A report that is valid by the published schema, by the name of its directory."""
    return Report
