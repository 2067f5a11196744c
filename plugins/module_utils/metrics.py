# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Host documents (``fleet.rng/host/1``) as OpenMetrics text, for a textfile collector.

The text is also valid in Prometheus' older format, which node_exporter reads: that knows no type ``info``, so what is
named ``_info`` is a gauge of 1, and no sample has a time of its own. What a document does not tell has no sample.
"""

from __future__ import annotations

import calendar
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

from .text import printable

PREFIX = "fleet_rng_"
LABEL_LIMIT = 200  # characters of a label's value
MOST_GUESTS = 10000  # of one hypervisor with samples of their own; the rest is counted in guests_unlisted
STATES = ("present", "absent", "unmanaged", "refused", "unknown")
VERDICTS = ("verified", "failed", "waiting", "unproven", "off", "unmanaged")
_TOO_MUCH = 2**64
_BROKER_SOCKETS = "egd+unix:/run/virtrngd/"  # what its guests' sources begin with

Labels = Tuple[Tuple[str, str], ...]
Value = Optional[float]


@dataclass(frozen=True)
class Family:
    """One metric family; a ``unit`` is also the end of its name, as OpenMetrics wants it.

    ``kind`` is gauge or counter; the samples of a counter have ``_total`` behind the name.
    """

    name: str
    help: str
    unit: str = ""
    kind: str = "gauge"


FAMILIES = (
    Family("hypervisor_info", "What runs on the hypervisor; always 1."),
    Family("hypervisor_observed", "Whether the hypervisor could be observed (1) or not (0)."),
    Family(
        "hypervisor_kinds",
        "Kinds of hypervisor that were recognized on the host; only where it is one, guests are observed.",
    ),
    Family("last_collection_timestamp_seconds", "When the hypervisor was observed, in Unix time.", "seconds"),
    Family("host_crng_ready", "Whether the kernel's random number generator is initialized."),
    Family(
        "host_entropy_available_bits",
        "The kernel's entropy_avail; a constant 256 on kernels from 5.18 on, which is no sign of health.",
        "bits",
    ),
    Family("host_hwrng_current_info", "The hardware RNG that the kernel draws from, or none; always 1."),
    Family("host_budget_bytes_per_second", "What all guests of the host may draw together.", "bytes_per_second"),
    Family("host_promised_bytes_per_second", "What of the budget is promised to guests.", "bytes_per_second"),
    Family("host_broker_running", "Whether the entropy broker of the host runs; no sample where there is none."),
    Family("host_broker_guests", "Guests that the entropy broker serves."),
    Family("host_broker_guests_waiting_long", "Guests that wait for the entropy broker longer than 10 seconds."),
    Family("host_broker_source_info", "The source that serves the entropy broker, or none; always 1."),
    Family("host_broker_refused_connections", "Connections that the entropy broker refused since it was started."),
    Family("guests", "Guests of the hypervisor, by the state that their policy asks for."),
    Family("guests_verdict", "Guests of the hypervisor, by the verdict of their verification."),
    Family("guests_needing_restart", "Guests that have their wanted RNG only after a restart."),
    Family("guests_on_broker", "Guests with an RNG on a socket of the host's entropy broker, in their config or live."),
    Family("guests_unlisted", "Guests that have no samples of their own: too many of them, or not distinct."),
    Family("findings", "Findings about the hypervisor and its guests, by id."),
    Family("guest_running", "Whether the guest runs."),
    Family("guest_attached", "Whether the guest has a virtio RNG, in its config and live."),
    Family("guest_verified", "Whether the guest was proven to have what its policy asks for."),
    Family("guest_needs_restart", "Whether the guest has its wanted RNG only after a restart."),
    Family(
        "guest_max_bytes_per_second",
        "What the guest's RNGs may give it: their quotas; +Inf without a limit.",
        "bytes_per_second",
    ),
    Family("guest_measured_bytes_per_second", "What the guest drew when it was measured.", "bytes_per_second"),
    Family("guest_entropy_available_bits", "The entropy_avail of the guest's kernel.", "bits"),
)


def render(hosts: Iterable[Mapping[str, Any]]) -> str:
    """The text for one or more host documents; hypervisors are told apart by the label ``hypervisor``."""
    return exposition(PREFIX, FAMILIES, (sample for host in hosts for sample in _host_samples(host)))


def exposition(prefix: str, families: Iterable[Family], found: Iterable[Tuple[str, Labels, Value]]) -> str:
    """The text of some samples, each with the name of its family; one whose value is None is left out."""
    families = tuple(families)
    samples: Dict[str, Dict[Labels, float]] = {family.name: {} for family in families}
    for name, labels, value in found:
        if value is not None:
            # Two samples with the same labels would make a reader refuse the whole file.
            samples[name].setdefault(labels, value)
    lines: List[str] = []
    for family in families:
        if samples[family.name]:
            lines += _family_lines(prefix + family.name, family, samples[family.name])
    return "\n".join([*lines, "# EOF"]) + "\n"


def _family_lines(name: str, family: Family, samples: Mapping[Labels, float]) -> Iterator[str]:
    yield f"# HELP {name} {family.help}"
    yield f"# TYPE {name} {family.kind}"
    if family.unit:
        yield f"# UNIT {name} {family.unit}"
    suffix = "_total" if family.kind == "counter" else ""
    for labels, value in samples.items():
        shown = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
        yield f"{name}{suffix}{f'{{{shown}}}' if shown else ''} {_number(value)}"


def _escaped(text: str) -> str:
    return printable(text, LABEL_LIMIT).replace("\\", "\\\\").replace('"', '\\"')


def _number(value: float) -> str:
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if value == int(value) else repr(float(value))


def _host_samples(host: Mapping[str, Any]) -> Iterator[Tuple[str, Labels, Value]]:
    hypervisor = str(host.get("hypervisor") or "")
    own: Labels = (("hypervisor", hypervisor),)
    rng = _mapping(host.get("rng"))
    kernel = _mapping(rng.get("kernel"))
    facts = {"kind": host.get("kind"), "version": host.get("version"), "kernel": kernel.get("release")}
    if any(facts.values()):
        yield "hypervisor_info", own + tuple((key, str(value or "")) for key, value in facts.items()), 1
    # With a kind the hypervisor did answer, and the error is about planning for it.
    lost = bool(host.get("error")) and not host.get("kind")
    yield "hypervisor_observed", own, float(not lost)
    if isinstance(host.get("kinds"), (list, tuple)):
        yield "hypervisor_kinds", own, len(host["kinds"])
    yield "last_collection_timestamp_seconds", own, _unix_time(host.get("collected"))
    yield "host_crng_ready", own, _switch(rng.get("crng_ready"))
    yield "host_entropy_available_bits", own, _measure(rng.get("entropy_avail"))
    if rng:
        yield "host_hwrng_current_info", own + (("current", str(rng.get("current") or "none")),), 1
    yield from _broker_samples(own, _mapping(rng.get("broker")))
    budget = _mapping(host.get("budget"))
    yield "host_budget_bytes_per_second", own, _measure(budget.get("bytes_per_second"))
    yield "host_promised_bytes_per_second", own, _measure(budget.get("promised"))
    guests = [_mapping(guest) for guest in _list(host.get("guests"))]
    if not lost:
        yield from _counts(own, guests)
    for (identifier, severity), count in sorted(_findings(rng, guests).items()):
        yield "findings", own + (("id", identifier), ("severity", severity)), count
    known = set()
    for guest in guests[:MOST_GUESTS]:
        labels = own + (("guest", str(guest.get("name") or "")), ("uuid", str(guest.get("uuid") or "")))
        shown = tuple(printable(text, LABEL_LIMIT) for dummy, text in labels)
        if shown not in known:
            known.add(shown)
            yield from _guest_samples(labels, guest)
    if not lost:
        yield "guests_unlisted", own, len(guests) - len(known)


def _broker_samples(own: Labels, broker: Mapping[str, Any]) -> Iterator[Tuple[str, Labels, Value]]:
    """What a host says of its broker; what it serves is told by the broker's own metrics."""
    if not broker:
        return
    running = broker.get("status") == "running"
    yield "host_broker_running", own, float(running)
    if running:
        yield "host_broker_guests", own, _measure(broker.get("guests_total"))
        yield "host_broker_guests_waiting_long", own, _measure(broker.get("waiting_long"))
        yield "host_broker_source_info", own + (("source", str(broker.get("serving") or "none")),), 1
        yield "host_broker_refused_connections", own, _measure(broker.get("refused"))


def _counts(own: Labels, guests: List[Mapping[str, Any]]) -> Iterator[Tuple[str, Labels, Value]]:
    """Zeros too: what a rule is to compare has to be there."""
    states = Counter(str(guest.get("state")) if guest.get("state") in STATES else "unknown" for guest in guests)
    for state in STATES:
        yield "guests", own + (("state", state),), states[state]
    verdicts = Counter(guest["verdict"] for guest in guests if guest.get("verdict") in VERDICTS)
    for verdict in VERDICTS if verdicts else ():
        yield "guests_verdict", own + (("verdict", verdict),), verdicts[verdict]
    yield "guests_on_broker", own, sum(map(_on_broker, guests))
    waiting = [_needs_restart(guest) for guest in guests]
    if any(value is not None for value in waiting):
        yield "guests_needing_restart", own, sum(value or 0 for value in waiting)


def _findings(rng: Mapping[str, Any], guests: List[Mapping[str, Any]]) -> Mapping[Tuple[str, str], int]:
    found = [finding for audited in (rng, *guests) for finding in _list(audited.get("findings"))]
    return Counter((str(_mapping(one).get("id")), str(_mapping(one).get("severity"))) for one in found)


def _guest_samples(labels: Labels, guest: Mapping[str, Any]) -> Iterator[Tuple[str, Labels, Value]]:
    devices = _mapping(guest.get("after") or guest.get("before"))
    yield "guest_running", labels, _switch(guest.get("running"))
    for layer in ("config", "live"):
        if devices.get(layer) is not None:
            yield "guest_attached", labels + (("layer", layer),), float(bool(devices[layer]))
    in_effect = devices.get("live") if devices.get("live") is not None else devices.get("config")
    yield "guest_max_bytes_per_second", labels, _quota(_list(in_effect))
    if guest.get("verdict") in VERDICTS:
        yield "guest_verified", labels, float(guest["verdict"] == "verified")
    yield "guest_needs_restart", labels, _needs_restart(guest)
    view = _mapping(guest.get("view"))
    yield "guest_measured_bytes_per_second", labels, _measure(_mapping(view.get("measured")).get("bytes_per_second"))
    yield "guest_entropy_available_bits", labels, _measure(view.get("entropy_avail"))


def _needs_restart(guest: Mapping[str, Any]) -> Value:
    """By what the run did, or else by what a verification saw: it may not have known of a run."""
    if guest.get("verdict") == "waiting":
        return 1.0
    outcome = _mapping(guest.get("outcome"))
    layers = [outcome.get(layer) for layer in ("config", "live")]
    return float("needs_restart" in layers) if any(layers) else None


def _on_broker(guest: Mapping[str, Any]) -> bool:
    seen = _mapping(guest.get("after") or guest.get("before"))
    devices = (_mapping(device) for layer in ("config", "live") for device in _list(seen.get(layer)))
    return any(str(device.get("source")).startswith(_BROKER_SOCKETS) for device in devices)


def _quota(devices: Sequence[Any]) -> Value:
    """The sum of all quotas, in bytes per second; None when a device does not tell, or there is none."""
    total: Value = None
    for device in devices:
        size, period = _mapping(device).get("max_bytes"), _measure(_mapping(device).get("period"))
        limit = float("inf") if size == "unlimited" else _measure(size)
        if limit is None or not period:
            return None
        total = (total or 0) + limit * 1000 / period
    return total


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else ()


def _measure(value: Any) -> Value:
    """A number that can be one of bits, bytes or milliseconds."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < _TOO_MUCH:
        return None
    return value


def _switch(value: Any) -> Value:
    return float(value) if isinstance(value, bool) else None


def _unix_time(value: Any) -> Value:
    try:
        return calendar.timegm(time.strptime(value, "%Y-%m-%dT%H:%M:%SZ"))
    except (TypeError, ValueError):
        return None
