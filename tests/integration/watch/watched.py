# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with a watch: what is on it, what it wrote, and what the modules say of the same guests."""

from __future__ import annotations

import json
from typing import Any

from integration.role.conftest import Fleet
from lab import Host
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_prometheus

DIRECTORY = "/var/lib/prometheus/node-exporter"
METRICS = f"{DIRECTORY}/fleet-rng.prom"
HOME = "/usr/local/lib/fleet-rng"
PROGRAM = f"{HOME}/fleet-rng-watch"
CRON = "/etc/cron.d/fleet-rng-watch"
DAEMON = "/usr/sbin/cron"  # a stand-in that nobody starts: the entry's command is run by the tests
ALL = (HOME, CRON, METRICS)
PLAYBOOK = "fleet.rng.watch_rng"


def there(host: Host, *paths: str) -> list[str]:
    return [path for path in paths if host.run("test", "-e", path).returncode == 0]


def cron_entry(host: Host) -> tuple[list[str], str, str]:
    """The times, the user and the command of the entry."""
    (entry,) = [line for line in host.check("cat", CRON).splitlines() if line[:1] in "*0123456789"]
    *times, user, command = entry.split(" ", 6)
    return times, user, command


def run_as_cron(host: Host) -> dict[tuple[str, ...], float]:
    """What the file says after the entry's own command ran as its user; both parsers have to agree."""
    dummy, user, command = cron_entry(host)
    host.check("setpriv", "--reuid", user, "--clear-groups", "sh", "-c", command)
    return samples(host.check("cat", METRICS))


def samples(text: str) -> dict[tuple[str, ...], float]:
    """By name and the values of all labels but the hypervisor's and the guest's name."""
    found = [
        {
            (one.name, *(value for name, value in one.labels.items() if name not in ("hypervisor", "guest"))): one.value
            for family in parse(text)
            for one in family.samples
        }
        for parse in (parse_prometheus, parse_openmetrics)
    ]
    assert found[0] == found[1]
    return {(key[0].removeprefix("fleet_rng_"), *key[1:]): value for key, value in found[0].items()}


def observe(fleet: Fleet, host: str, kind: str, **options: Any) -> dict[str, Any]:
    """What the module for this kind says of a host."""
    target = fleet.directory / "observed.json"
    save = {"content": "{{ observed | to_json }}", "dest": str(target)}
    tasks = [
        {f"fleet.rng.{kind}_rng_info": options, "register": "observed", "become": True},
        {"ansible.builtin.copy": save, "delegate_to": "localhost", "vars": {"ansible_connection": "local"}},
    ]
    fleet.play([{"hosts": host, "gather_facts": False, "tasks": tasks}])
    document: dict[str, Any] = json.loads(target.read_text())
    return document


def of_guests(observed: dict[str, Any]) -> dict[tuple[str, ...], float]:
    """The samples that these guests are to have, whatever runs them: which of them run, and what is attached."""
    running = {("guest_running", guest["uuid"]): float(guest["running"]) for guest in observed["guests"]}
    attached = {
        ("guest_attached", guest["uuid"], layer): float(bool(guest[layer]))
        for guest in observed["guests"]
        for layer in ("config", "live")
        if guest[layer] is not None
    }
    return {**running, **attached}


def only(written: dict[tuple[str, ...], float], *names: str) -> dict[tuple[str, ...], float]:
    """The samples with these names."""
    return {key: value for key, value in written.items() if key[0] in names}
