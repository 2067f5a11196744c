# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alert rules, as Prometheus reads them: each fires for its reason, after its time, and no other with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

ALERTS = Path(__file__).parents[3] / "roles" / "rng_report" / "files" / "alerts.yml"
HOST = 'hypervisor="hv1"'
GUEST = f'{HOST}, guest="web1", uuid="u1"'
CONFIG = f'guest_attached{{{GUEST}, layer="config"}}'
LIVE = f'guest_attached{{{GUEST}, layer="live"}}'
RUNNING = f"guest_running{{{GUEST}}}"
WAITS = f"guest_needs_restart{{{GUEST}}}"
QUOTA = f"guest_max_bytes_per_second{{{GUEST}}}"
COLLECTED = f"last_collection_timestamp_seconds{{{HOST}}}"
OBSERVED = f"hypervisor_observed{{{HOST}}}"
KINDS = f"hypervisor_kinds{{{HOST}}}"
READY = f"host_crng_ready{{{HOST}}}"
BUDGET = f"host_budget_bytes_per_second{{{HOST}}}"
PROMISED = f"host_promised_bytes_per_second{{{HOST}}}"
UNLISTED = f"guests_unlisted{{{HOST}}}"
BROKER = f"host_broker_running{{{HOST}}}"
ON_BROKER = f"guests_on_broker{{{HOST}}}"
FAILED = f'guests_verdict{{{HOST}, verdict="failed"}}'
BROKER_MISSING = "FleetRngBrokerMissing"
NOT_OBSERVED, UNCLEAR = "FleetRngHypervisorNotObserved", "FleetRngHypervisorUnclear"
NEVER, ALWAYS = "0x600", "1x600"  # a sample every five minutes, for two days
WITHOUT_LIMIT = "Inf+0x600"

SOUND = {
    COLLECTED: "0+300x600",
    OBSERVED: ALWAYS,
    KINDS: ALWAYS,
    READY: ALWAYS,
    f'findings{{{HOST}, id="RNG014", severity="info"}}': ALWAYS,
    BUDGET: "4096x600",
    PROMISED: "4096x600",
    UNLISTED: NEVER,
    ON_BROKER: NEVER,
    FAILED: NEVER,
    RUNNING: ALWAYS,
    CONFIG: ALWAYS,
    LIVE: ALWAYS,
    WAITS: NEVER,
    QUOTA: "1024x600",
}


def finding(identifier: str, severity: str) -> str:
    return f'findings{{{HOST}, id="{identifier}", severity="{severity}"}}'


@dataclass(frozen=True)
class Case:
    """What differs from a sound host (None: is not there), and which alert fires at which time."""

    name: str
    differs: Mapping[str, str | None]
    quiet: str
    fires: str = ""
    alert: str = ""
    labels: str = HOST
    severity: str = "warning"
    base: Mapping[str, str] = field(default_factory=lambda: SOUND)

    def series(self) -> dict[str, str]:
        merged = {**self.base, **self.differs}
        return {name: values for name, values in merged.items() if values is not None}

    def firing(self) -> list[dict[str, Any]]:
        labels = ", ".join(
            [f'alertname="{self.alert}"', 'alertstate="firing"', f'severity="{self.severity}"']
            + ([self.labels] if self.labels else [])
        )
        return [{"labels": f"ALERTS{{{labels}}}", "value": 1}]

    def test(self) -> dict[str, Any]:
        looks: list[tuple[str, Sequence[Any]]] = [(self.quiet, [])]
        if self.alert:
            looks.append((self.fires, self.firing()))
        return {
            "name": self.name,
            "interval": "5m",
            "input_series": [{"series": f"fleet_rng_{name}", "values": text} for name, text in self.series().items()],
            "promql_expr_test": [
                {"expr": 'ALERTS{alertstate="firing"}', "eval_time": time, "exp_samples": samples}
                for time, samples in looks
            ],
        }


CASES = (
    Case("a sound host", {}, "40h"),
    Case("nothing anywhere", {}, "55m", "65m", "FleetRngNothingCollected", "", base={}),
    Case("stopped to collect", {COLLECTED: NEVER}, "1h5m", "1h20m", "FleetRngNotCollected"),
    Case("does not answer", {OBSERVED: "1x6 0x600"}, "40m", "55m", NOT_OBSERVED),
    Case("does not answer, and its kind was given", {OBSERVED: NEVER, KINDS: None}, "10m", "20m", NOT_OBSERVED),
    Case("no hypervisor", {OBSERVED: NEVER, KINDS: NEVER}, "10m", "20m", UNCLEAR),
    Case("several hypervisors", {OBSERVED: NEVER, KINDS: "2x600"}, "10m", "20m", UNCLEAR),
    Case("did not answer once", {OBSERVED: "1x6 0 1x600"}, "50m"),
    Case("no entropy", {READY: NEVER}, "4m", "10m", "FleetRngCrngNotReady", severity="critical"),
    Case("idle hardware", {finding("RNG003", "warning"): ALWAYS}, "25m", "35m", "FleetRngHardwareRngUnused"),
    Case(
        "an error, and RNG001, which has an alert of its own",
        {finding("RNG010", "error"): "2x600", finding("RNG001", "error"): ALWAYS},
        "10m",
        "20m",
        "FleetRngErrorFinding",
        f'{HOST}, id="RNG010"',
        severity="critical",
    ),
    Case("guests of a broker that serves", {ON_BROKER: "3x600", BROKER: ALWAYS}, "40h"),
    Case("a broker without guests that hangs", {BROKER: NEVER, finding("RNG022", "error"): ALWAYS}, "40h"),
    Case(
        "guests of a broker that hangs",
        {ON_BROKER: "3x600", BROKER: NEVER, finding("RNG022", "error"): ALWAYS},
        *("10m", "20m", BROKER_MISSING),
        severity="critical",
    ),
    Case("no broker", {ON_BROKER: "3x600"}, "10m", "20m", BROKER_MISSING, severity="critical"),
    Case(
        "a broker without a source",
        {ON_BROKER: "3x600", BROKER: ALWAYS, finding("RNG024", "error"): ALWAYS},
        *("10m", "20m", "FleetRngErrorFinding", f'{HOST}, id="RNG024"'),
        severity="critical",
    ),
    Case("no RNG", {CONFIG: NEVER, LIVE: NEVER}, "55m", "65m", "FleetRngGuestWithoutRng", GUEST),
    Case(
        "off, and no RNG",
        {CONFIG: NEVER, LIVE: None, RUNNING: NEVER},
        "55m",
        "65m",
        "FleetRngGuestWithoutRng",
        GUEST,
    ),
    Case("only while it runs", {CONFIG: NEVER}, "55m", "65m", "FleetRngGuestLosesRng", GUEST),
    Case("waits", {LIVE: NEVER, WAITS: ALWAYS}, "23h", "25h", "FleetRngGuestWaitsForRestart", GUEST, severity="info"),
    Case("cannot be read", {CONFIG: None, LIVE: None}, "55m", "65m", "FleetRngGuestUnreadable", GUEST),
    Case("not verified", {FAILED: "2x600"}, "10m", "20m", "FleetRngGuestsFailVerification"),
    Case("promised too much", {PROMISED: "4097x600"}, "25m", "35m", "FleetRngBudgetExceeded"),
    Case("no limit under a budget", {QUOTA: WITHOUT_LIMIT}, "25m", "35m", "FleetRngBudgetWithoutLimit"),
    Case("no limit, and off", {QUOTA: WITHOUT_LIMIT, RUNNING: NEVER}, "35m"),
    Case("no limit, and no budget", {QUOTA: WITHOUT_LIMIT, BUDGET: None, PROMISED: None}, "35m"),
    Case("too many guests", {UNLISTED: "3x600"}, "55m", "65m", "FleetRngGuestsUnlisted", severity="info"),
)


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_prometheus_reads_the_rules(promtool: Callable[..., str]) -> None:
    assert f"{len(rules())} rules found" in promtool("check", "rules", ALERTS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_alerts_fire_for_their_reason(case: Case, promtool: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "test.yml"
    document = {"rule_files": [str(ALERTS)], "evaluation_interval": "5m", "tests": [case.test()]}
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    promtool("test", "rules", file)


def test_every_alert_has_a_case() -> None:
    assert {case.alert for case in CASES} - {""} == {rule["alert"] for rule in rules()}


def test_annotations_are_rendered(promtool: Callable[..., str], tmp_path: Path) -> None:
    """promtool compares the whole text, so one alert stands for all: the templates of all are parsed above."""
    document = {
        "rule_files": [str(ALERTS)],
        "evaluation_interval": "5m",
        "tests": [
            {
                "interval": "5m",
                "input_series": [{"series": f"fleet_rng_{UNLISTED}", "values": "3x600"}],
                "alert_rule_test": [
                    {
                        "eval_time": "2h",
                        "alertname": "FleetRngGuestsUnlisted",
                        "exp_alerts": [
                            {
                                "exp_labels": {"severity": "info", "hypervisor": "hv1"},
                                "exp_annotations": {
                                    "summary": "Not every guest of hv1 has metrics of its own",
                                    "description": "3 are only counted: there are too many guests, "
                                    "or some cannot be told apart.",
                                },
                            }
                        ],
                    }
                ],
            }
        ],
    }
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    promtool("test", "rules", file)
