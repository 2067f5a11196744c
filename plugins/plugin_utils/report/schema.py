# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host document and a report look like, as JSON Schema 2020-12.

``docs/host.schema.json`` and ``docs/report.schema.json`` are these values, written by ``tests/tools/schemas.py``. More
keys than described are allowed: a later version may say more.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.converge import STATUSES
from ansible_collections.fleet.rng.plugins.module_utils.device import UNLIMITED
from ansible_collections.fleet.rng.plugins.module_utils.kernel.broker import RUNNING, STALE, UNREADABLE
from ansible_collections.fleet.rng.plugins.module_utils.kernel.findings import SEVERITIES
from ansible_collections.fleet.rng.plugins.module_utils.metrics import VERDICTS

Schema = dict[str, Any]

HOST = "fleet.rng/host/1"
REPORT = "fleet.rng/report/1"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
STATES = ("present", "absent", "unmanaged", "refused")
RESULTS = ("pass", "fail", "unknown", "not applicable")

TEXT: Schema = {"type": "string"}
SWITCH: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
AMOUNT: Schema = {"type": "number", "minimum": 0}


def _said(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


def _or_null(schema: Schema, description: str = "") -> Schema:
    if "type" in schema:
        made = {**schema, "type": [schema["type"], "null"]}
        if "enum" in schema:
            made["enum"] = [*schema["enum"], None]
    else:
        made = {"anyOf": [schema, {"type": "null"}]}
    return _said(made, description) if description else made


def _one_of(*words: str) -> Schema:
    return {"type": "string", "enum": list(words)}


def _list(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def _map(schema: Schema) -> Schema:
    return {"type": "object", "additionalProperties": schema}


def _object(description: str = "", *, optional: tuple[str, ...] = (), **properties: Schema) -> Schema:
    made: Schema = {"type": "object", "properties": properties}
    made["required"] = [name for name in properties if name not in optional]
    return _said(made, description) if description else made


def _tallied(schema: Schema) -> Schema:
    """With the counts of the guests that it is about."""
    tally = dict.fromkeys(("guests", "running", "config", "live", "verified"), COUNT)
    return {
        **schema,
        "properties": {**schema["properties"], **tally},
        "required": [*schema["required"], *tally],
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


TIME: Schema = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"}
_LAYER = _or_null(
    _list(_ref("device")), "null where the guest has no such layer: config of a transient one, live when off"
)
_DEVICE = _object(
    "One virtio RNG.",
    optional=("alias",),
    source=_said(TEXT, "a character device of the host, builtin, or an EGD socket"),
    max_bytes={"anyOf": [{"type": "integer", "minimum": 1}, {"const": UNLIMITED}], "description": "bytes per period"},
    period={"type": "integer", "minimum": 1, "description": "milliseconds"},
    model=TEXT,
    driver=_map(SWITCH),
    alias=_or_null(TEXT),
)
_UNKNOWN_DEVICE = _object(
    "A virtio RNG that this collection has no words for.",
    optional=("alias",),
    source={"type": "null"},
    unknown=TEXT,
    alias=_or_null(TEXT),
)
_CLIENT: Schema = {  # "class" is no name for an argument
    "guest": TEXT,
    "class": TEXT,
    "pid": _or_null(COUNT),
    "bytes": COUNT,
    "requests": COUNT,
    "waits": COUNT,
    "waiting": _or_null(AMOUNT, "seconds that its oldest request waits"),
}
_DEFS: Schema = {
    "device": {"anyOf": [_DEVICE, _UNKNOWN_DEVICE]},
    "layers": _object(config=_LAYER, live=_LAYER),
    "finding": _object(
        "One judged fact; docs/findings.md has all of them.",
        id=TEXT,
        severity=_one_of(*SEVERITIES),
        subject=TEXT,
        message=TEXT,
        remedy=TEXT,
        evidence={"type": "object"},
    ),
    "compliance": _object(
        "One rule of somebody else, and what this collection thinks of it on this kernel.",
        id=TEXT,
        title=TEXT,
        result=_one_of(*RESULTS),
        why=TEXT,
        judgement=TEXT,
        note=TEXT,
    ),
    "outcome": _object(
        "What the run did to the guest; in check mode, what it would do.",
        config=_one_of(*STATUSES),
        live=_one_of(*STATUSES),
        changed=SWITCH,
        reason=TEXT,
        error=_or_null(TEXT),
    ),
    "measured": _object(
        "What the guest drew from its RNG.",
        optional=("status", "why"),
        status=TEXT,
        why=_or_null(TEXT),
        bytes_per_second=_or_null(AMOUNT),
        bytes=COUNT,
        seconds=AMOUNT,
        health=_map(TEXT),
    ),
    "view": _object(
        "What the guest says of itself. It is not trusted; texts are printable and bounded.",
        via=_one_of("agent", "ssh"),
        status=TEXT,
        why=_or_null(TEXT),
        os=_or_null(TEXT),
        kernel=_or_null(TEXT),
        current=_or_null(TEXT, "the hardware RNG that its kernel draws from"),
        available=_list(TEXT),
        driver=_or_null(SWITCH, "whether it has the virtio RNG driver; null is not verifiable"),
        entropy_avail=_or_null({"type": "integer"}),
        measured=_or_null(_ref("measured")),
    ),
    "broker": _object(
        "The entropy broker of the hypervisor, as rng_info returns it, and the guests that it serves; numbers are null "
        "where its status cannot be read.",
        status=_one_of(RUNNING, STALE, UNREADABLE),
        why=_or_null(TEXT),
        age=_or_null({"type": "integer"}, "seconds since it wrote this, when it was looked at"),
        serving=_or_null(TEXT, "the source that serves; null when there is none"),
        waiting_long=_or_null(COUNT, "guests that wait longer than 10 seconds"),
        version=_or_null(TEXT),
        started=_or_null(AMOUNT),
        rate=_or_null(COUNT, "bytes per second of all guests together; null is unlimited"),
        clients=_or_null(COUNT),
        refused=_or_null(COUNT),
        sources=_list(_object(source=TEXT, state=TEXT, why=_or_null(TEXT), bytes=COUNT, failures=COUNT)),
        classes=_list(_ref("class")),
        guests=_said(_list(_ref("client")), "the longest waiting first, then those that got most; not all of them"),
        guests_total=_or_null(COUNT),
    ),
    "class": _object(
        "A class of the broker. Counters are since the broker was started.",
        name=TEXT,
        parent=_or_null(TEXT),
        rate=_said(COUNT, "what is guaranteed to it, bytes per second"),
        ceil=_or_null(COUNT, "what it may have by borrowing, bytes per second; null is unlimited"),
        priority=COUNT,
        clients=COUNT,
        waiting=_said(COUNT, "of the clients, those that wait"),
        bytes=COUNT,
        requests=COUNT,
        waits=COUNT,
        borrowed=COUNT,
        sockets=_list(TEXT),
    ),
    "client": {
        "description": "A guest as the broker sees it.",
        "type": "object",
        "properties": _CLIENT,
        "required": list(_CLIENT),
    },
    "rng": _object(
        "The kernel RNG of the hypervisor, as rng_info returns it.",
        optional=("available", "current", "kernel", "entropy_avail", "crng_ready", "broker"),
        available=_or_null(_list(TEXT)),
        current=_or_null(TEXT),
        kernel=_object(release=_or_null(TEXT), arch=_or_null(TEXT)),
        entropy_avail=_or_null({"type": "integer"}),
        crng_ready=_or_null(SWITCH),
        broker=_or_null(_ref("broker"), "null: there is none"),
        findings=_list(_ref("finding")),
    ),
    "guest": _object(
        optional=("broker",),
        name=_said(TEXT, "as its hypervisor has it, untouched: escape it wherever it is shown"),
        uuid=TEXT,
        inventory=_or_null(TEXT, "the inventory host that it is"),
        groups=_list(TEXT),
        running=SWITCH,
        persistent=SWITCH,
        state=_or_null(
            _one_of(*STATES), "what its policy asks for; null where the plan left it out, as in sync or unmanaged"
        ),
        wanted=_or_null(_ref("device")),
        before=_ref("layers"),
        after=_or_null(_ref("layers"), "null: not observed again"),
        outcome=_ref("outcome"),
        verdict=_or_null(_one_of(*VERDICTS), "null: not verified"),
        reason=_said(TEXT, "why the verdict is what it is; without one, why the outcome is"),
        checks=_map(_object(result=_one_of(*RESULTS), message=TEXT)),
        findings=_list(_ref("finding")),
        view=_or_null(_ref("view"), "null: not asked"),
        broker=_or_null(_ref("client"), "what the broker served it; null where the broker does not say"),
    ),
}

_SHARE = _object(measured=AMOUNT, bytes_per_second=COUNT, promised=COUNT, guests=COUNT)
_HOST_BODY = _object(
    schema={"const": HOST},
    collected=_said(TIME, "when the run looked, in UTC"),
    check_mode=_said(SWITCH, "whether outcomes are what would be done: in check mode, never where a run only looked"),
    hypervisor=_said(TEXT, "its inventory name"),
    groups=_list(TEXT),
    error=_or_null(TEXT, "why it could not be observed or planned"),
    rng=_or_null(_ref("rng")),
    kind=_or_null(TEXT),
    version=_or_null(TEXT),
    budget=_or_null(
        _object(
            optional=("measured",),
            bytes_per_second=COUNT,
            promised=COUNT,
            guests=COUNT,
            measured=_or_null(
                _object(share=COUNT, sources=_map(_SHARE)),
                "what the sources gave when they were tested, and how many percent of that are the budget; null or not "
                "there where somebody chose the budget",
            ),
        )
    ),
    warnings=_list(TEXT),
    compliance=_list(_ref("compliance")),
    guests=_list(_ref("guest")),
)
_SUMMARY = _object(
    "Counts of the whole report.",
    check_mode=_said(SWITCH, "whether any document is of check mode"),
    hypervisors=_object(
        total=COUNT,
        observed=COUNT,
        not_observed=_list(_object(hypervisor=TEXT, error=TEXT)),
        not_planned=_said(_list(_object(hypervisor=TEXT, error=TEXT)), "observed, and no plan could be made for it"),
    ),
    guests=_tallied(_object()),
    states=_said(_map(COUNT), "guests by what their policy asks for; unknown where that is not known"),
    verdicts=_said(_map(COUNT), "guests by verdict; none where nobody verified"),
    outcomes=_object(changed=COUNT, needs_restart=COUNT, pending_removal=COUNT, refused=COUNT, failed=COUNT),
    findings=_list(_object(id=TEXT, severity=_one_of(*SEVERITIES), message=TEXT, hypervisors=COUNT, guests=COUNT)),
    groups=_said(_list(_tallied(_object(name=TEXT))), "by inventory group of the guests"),
    kinds=_said(_list(_tallied(_object(name=TEXT, hypervisors=COUNT))), "by kind of hypervisor"),
    budget=_object(hypervisors=COUNT, bytes_per_second=COUNT, promised=COUNT),
    warnings=_said(_list(TEXT), "what was left out of the report, and what is odd about it"),
)

HOST_SCHEMA: Schema = {
    "$schema": DIALECT,
    "$id": "urn:fleet.rng:host:1",
    "title": "fleet.rng: one hypervisor and its guests",
    **_HOST_BODY,
    "$defs": _DEFS,
}
REPORT_SCHEMA: Schema = {
    "$schema": DIALECT,
    "$id": "urn:fleet.rng:report:1",
    "title": "fleet.rng: report of a fleet",
    **_object(
        schema={"const": REPORT},
        generated=_said(TIME, "when the report was made, in UTC"),
        title=TEXT,
        summary=_ref("summary"),
        hosts=_said(_list(_ref("host")), "sorted by name, each hypervisor once"),
    ),
    "$defs": {**_DEFS, "host": _HOST_BODY, "summary": _SUMMARY},
}
