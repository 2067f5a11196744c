# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a daemon says of itself, as Prometheus would have it: its samples, going on, at times that are made up."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from integration.broker.running import Broker
from prometheus_client.openmetrics.parser import text_string_to_metric_families

BEGIN = 30  # the minute from which on things are as the second look saw them
MINUTES = 120
INSTANCE = "hv1:9100"
UPDATED = "last_update_timestamp_seconds"


@dataclass(frozen=True)
class Look:
    """The samples of a daemon at one time, and which of them are counters."""

    samples: Mapping[str, float]
    counters: frozenset[str]

    @property
    def time(self) -> float:
        """When it was, by the daemon's clock."""
        return self.one(UPDATED)

    def one(self, name: str, **labels: str) -> float:
        """The only sample of a metric that has these labels."""
        wanted = [f"{key}={json.dumps(value)}" for key, value in labels.items()]
        (found,) = (
            value
            for series, value in self.samples.items()
            if series.startswith(f"virtrngd_{name}{{") and all(label in series for label in wanted)
        )
        return found


def look(told: Broker | str) -> Look:
    """At a daemon that runs, or at the text that one has written."""
    text = told if isinstance(told, str) else "\n".join(told.metrics()) + "\n"
    samples, counters = {}, set()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = {**sample.labels, "instance": INSTANCE}
            series = f"{sample.name}{{{', '.join(f'{key}={json.dumps(value)}' for key, value in labels.items())}}}"
            samples[series] = sample.value
            if family.type == "counter":
                counters.add(series)
    return Look(samples, frozenset(counters))


def told(looks: Sequence[Look], begin: int = BEGIN, step: int = 10, alive: bool = True) -> list[dict[str, str]]:
    """Series of one sample a minute, for promtool.

    Until the minute ``begin`` all is as in the first look, then as in the second one, ``step`` minutes later as in the
    third, and so on. After the last one counters go on as they did before it. Unless it is ``alive`` they do not, and
    neither does the time that it tells.
    """
    names = sorted(set().union(*(one.samples for one in looks)))
    return [{"series": name, "values": " ".join(_values(name, looks, begin, step, alive))} for name in names]


def _values(name: str, looks: Sequence[Look], begin: int, step: int, alive: bool) -> Iterator[str]:
    *dummy, before, last = looks
    growth = 0.0
    if alive and name in last.counters and last.time > before.time:
        growth = 60 * (last.samples[name] - before.samples.get(name, 0)) / (last.time - before.time)
    for minute in range(MINUTES):
        number = 0 if minute < begin else min(1 + (minute - begin) // step, len(looks) - 1)
        value = looks[number].samples.get(name)
        if value is None:
            yield "_"
        elif UPDATED in name:
            yield _number(60 * (minute if alive else min(minute, begin)))
        elif looks[number] is last and growth > 0:
            yield _number(value + growth * (minute - begin - step * (len(looks) - 2)))
        else:
            yield _number(value)


def _number(value: float) -> str:
    return "Inf" if value == float("inf") else repr(float(value))


def firing(*alerts: tuple[str, str, Mapping[str, str]]) -> list[dict[str, Any]]:
    """The samples of alerts that fire: name, severity and further labels of each."""
    return [
        {
            "labels": "ALERTS{"
            + ", ".join(
                f"{key}={json.dumps(value)}"
                for key, value in {"alertname": name, "alertstate": "firing", "severity": severity, **labels}.items()
            )
            + "}",
            "value": 1,
        }
        for name, severity, labels in alerts
    ]
