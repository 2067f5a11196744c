# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin shell over plugin_utils/report: collects the variables of the run, and writes the files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils.arguments import validate
from ansible_collections.fleet.rng.plugins.plugin_utils.compliance import compliance
from ansible_collections.fleet.rng.plugins.plugin_utils.notices import counted
from ansible_collections.fleet.rng.plugins.plugin_utils.report import files
from ansible_collections.fleet.rng.plugins.plugin_utils.report.collect import Inventory, Registered, collect
from ansible_collections.fleet.rng.plugins.plugin_utils.report.merge import TIME, merge

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    "dest": {"type": "path", "required": True},
    "title": {"type": "str", "default": "Random number generators of the fleet"},
    "formats": {"type": "list", "elements": "str", "choices": list(files.FORMATS), "default": list(files.FORMATS)},
    "results": {"type": "list", "elements": "path", "default": []},
    "hosts": {"type": "list", "elements": "str"},
    "observation": {"type": "str", "default": "virtio_rng_observation"},
    "plan": {"type": "str", "default": "virtio_rng_plan"},
    "result": {"type": "str", "default": "virtio_rng_result"},
    "proof": {"type": "str", "default": "virtio_rng_proof"},
    "verification": {"type": "str", "default": "virtio_rng_verification"},
    "inside": {"type": "str", "default": "virtio_rng_inside"},
    "mode": {"type": "raw", "default": "0644"},
    "directory_mode": {"type": "raw", "default": "0755"},
}
NO_GROUPS = ("all", "ungrouped")
SHOWN = 20  # warnings of the task; the report has all of them


class ActionModule(ActionBase):
    """Write the report of a run, merged with the documents of others; runs once for all hypervisors."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        task_vars = task_vars or {}
        options, mistakes = validate("rng_report", ARGUMENT_SPEC, self._task.args)
        modes, wrong = _modes(options)
        if mistakes or wrong:
            raise AnsibleActionFail("; ".join(filter(None, [mistakes, *wrong])))
        dest = Path(options["dest"]).absolute()
        now = datetime.now(UTC).strftime(TIME)
        own = self._documents(options, task_vars, now)
        report = merge(own, _others(dest, options["results"]), title=options["title"], generated=now)
        warnings = report["summary"]["warnings"]
        if not report["hosts"]:
            places = ", ".join(printable(place, 200) for place in [str(dest), *options["results"]])
            reasons = "".join(f"; {warning}" for warning in warnings[:SHOWN])
            raise AnsibleActionFail(
                f"nothing to report: no hypervisor in this run, and no host document in {places}{reasons}"
            )
        try:
            changed = _write(dest, report, options["formats"], modes, really=not self._task.check_mode)
        except OSError as error:
            raise AnsibleActionFail(f"{printable(str(error.filename or dest), 300)}: {error.strerror}") from error
        summary = report["summary"]
        result.update(
            changed=changed,
            line=_line(summary),
            paths={name: str(dest / files.NAMES[name]) for name in files.FORMATS if name in options["formats"]},
            summary={key: summary[key] for key in ("guests", "verdicts", "outcomes", "check_mode")},
            hypervisors=summary["hypervisors"]["total"],
            not_observed=[lost["hypervisor"] for lost in summary["hypervisors"]["not_observed"]],
        )
        if warnings:
            more = len(warnings) - SHOWN
            result["warnings"] = [*warnings[:SHOWN], *([f"... and {more} more, in the report"] if more > 0 else [])]
        return result

    def _documents(self, options: Mapping[str, Any], task_vars: Mapping[str, Any], now: str) -> list[dict[str, Any]]:
        """The documents of this run."""
        names = task_vars["ansible_play_hosts_all"] if options["hosts"] is None else options["hosts"]
        unknown = [name for name in names if name not in task_vars["hostvars"]]
        if unknown:
            shown = ", ".join(printable(name, 80) for name in unknown)
            raise AnsibleActionFail(f"hosts: not in the inventory: {shown}")
        hostvars = task_vars["hostvars"]
        groups = _groups(task_vars["groups"])
        inventory = Inventory(groups, _Inside(hostvars, options["inside"]))
        # The task may run although the run is in check mode, and the variable is about the run.
        check_mode = bool(self._task.check_mode or task_vars.get("ansible_check_mode"))
        documents = []
        for name in names:
            variables = hostvars.raw_get(name)
            plan, verification = variables.get(options["plan"]), variables.get(options["verification"])
            registered = Registered(
                name,
                groups.get(name, ()),
                observation=variables.get(options["observation"]),
                plan=plan.get("plan") if isinstance(plan, Mapping) else None,
                result=variables.get(options["result"]),
                proof=variables.get(options["proof"]),
                verification=verification.get("verification") if isinstance(verification, Mapping) else None,
            )
            document = collect(registered, inventory, compliance, collected=now, check_mode=check_mode)
            # Ansible's own kinds of text and mappings end here.
            documents.append(json.loads(json.dumps(document)))
        return documents


def _line(summary: Mapping[str, Any]) -> str:
    """The report in one line."""
    hypervisors, guests = summary["hypervisors"], summary["guests"]
    lost = len(hypervisors["not_observed"])
    parts = [
        counted(hypervisors["total"], "hypervisor") + (f" ({lost} not observed)" if lost else ""),
        counted(guests["guests"], "guest"),
        f"{guests['config']} with an RNG in their config",
        f"{guests['live']} of {guests['running']} that run with one",
    ]
    if summary["verdicts"]["none"] < guests["guests"]:
        parts.append(f"{guests['verified']} verified")
    return f"Report: {', '.join(parts)}"


class _Inside(Mapping[str, Any]):
    """What guests that are inventory hosts registered: looked up where it is needed, since that takes its time."""

    def __init__(self, hostvars: Any, variable: str) -> None:
        self._hostvars = hostvars
        self._variable = variable

    def __getitem__(self, name: str) -> Any:
        if name not in self._hostvars:
            raise KeyError(name)
        return self._hostvars.raw_get(name).get(self._variable)

    def __iter__(self) -> Iterator[str]:
        return iter(self._hostvars)

    def __len__(self) -> int:
        return len(self._hostvars)


def _groups(groups: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """The inventory groups of each host."""
    of_host: dict[str, list[str]] = {}
    for group in sorted(groups):
        if group not in NO_GROUPS:
            for host in groups[group]:
                of_host.setdefault(host, []).append(group)
    return of_host


def _others(dest: Path, results: list[str]) -> Iterator[files.Found]:
    """The documents of other runs: in the directory of the report, and in those that were named."""
    directories = dict.fromkeys(Path(place).absolute() for place in results)
    if dest not in directories:
        yield from files.find(dest, loose=False)
    for directory in directories:
        yield from files.find(directory)


def _modes(options: Mapping[str, Any]) -> tuple[dict[str, int], list[str]]:
    """The permissions as numbers: text is octal, a number is what it is, as in Ansible's own modules."""
    modes, mistakes = {}, []
    for name in ("mode", "directory_mode"):
        given = options.get(name)
        if isinstance(given, str) and re.fullmatch("0?[0-7]{3}", given):
            given = int(given, 8)
        if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given <= 0o777:
            mistakes.append(f"{name}: {printable(repr(given), 60)} is not valid; allowed: octal digits such as '0644'")
        else:
            modes[name] = given
    return modes, mistakes


def _write(
    dest: Path, report: Mapping[str, Any], formats: list[str], modes: Mapping[str, int], *, really: bool
) -> bool:
    """Write all files; whether any of them says something new."""
    changed = False
    for name, content in files.texts(report, formats):
        path = dest / name
        changed |= not files.same(files.content_of(path), content)
        if really:
            changed |= files.make_directory(path.parent, modes["directory_mode"])
            files.write(path, content, modes["mode"])
    return changed
