# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table at the end of a run, line by line."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.plugin_utils.recap import recap
from ansible_collections.fleet.rng.plugins.plugin_utils.table import LINES


def entry(name: str, config: str = "added", live: str = "not_applicable", reason: str = "why") -> dict[str, Any]:
    return {"guest": name, "config": config, "live": live, "reason": reason}


def host(*guests: dict[str, Any], **changes: Any) -> dict[str, Any]:
    plan = {"guests": list(guests), "devices": [], "refused": [], "total": len(guests)}
    return {**plan, "in_sync": 0, "unmanaged": 0, "budget": None, "error": None, **changes}


def plan(**hosts: dict[str, Any]) -> dict[str, Any]:
    return {"hosts": hosts, "unknown_guests": [], "warnings": []}


def test_a_run_with_everything() -> None:
    planned = plan(
        hv1=host(
            entry("web1"),
            entry("web2", live="added"),
            entry("web3", live="added"),
            entry("web4", live="added"),
            entry("db1", "unchanged", reason="guest db1: virtio_rng_max_bytes: '1k' is not valid"),
            devices=[{"guest": "web1"}, {"guest": "web2"}, {"guest": "web3"}, {"guest": "web4"}],
            refused=[{"guest": "db1", "reason": "guest db1: virtio_rng_max_bytes: '1k' is not valid"}],
            total=10,
            in_sync=5,
            unmanaged=1,
        ),
        hv2=host(total=4, in_sync=4),
        hv3=host(error="not observed: cannot connect"),
    )
    planned["unknown_guests"] = [{"inventory": "web9", "reason": "no hypervisor has a guest of this name"}]
    planned["warnings"] = ["the inventory has no group guests"]
    outcomes = [
        {**entry("web1"), "changed": True, "error": None},
        {**entry("web2", "added", "needs_restart", "no slot"), "changed": True, "error": None},
        {**entry("web3", "unchanged", "unchanged"), "changed": False, "error": "source /dev/null: no"},
        {**entry("web4", "added", "unchanged"), "changed": True, "error": "timeout"},
    ]
    results = {"hv1": {"failed": True, "msg": "2 of 4", "guests": outcomes}, "hv2": {"skipped": True}}
    assert recap(planned, results) == [
        "hypervisor  guests  changed  in sync  needs restart  refused  failed  unmanaged",
        "hv1             10        3        5              1        2       1          1",
        "hv2              4        0        4              0        0       0          0",
        "hv3              -        -        -              -        -       -          -",
        "all             14        3        9              1        2       1          1",
        "",
        "hv1        db1   refused        guest db1: virtio_rng_max_bytes: '1k' is not valid",
        "hv1        web2  needs restart  no slot",
        "hv1        web3  refused        source /dev/null: no",
        "hv1        web4  failed         timeout",
        "hv3              not planned    not observed: cannot connect",
        "inventory  web9  unknown        no hypervisor has a guest of this name",
        "",
        "Warning: the inventory has no group guests",
    ]


def test_one_host_in_sync_is_two_lines() -> None:
    assert recap(plan(hv1=host(total=3, in_sync=3)), {}) == [
        "hypervisor  guests  changed  in sync  needs restart  refused",
        "hv1              3        0        3              0        0",
    ]


def test_where_nothing_was_to_be_applied_it_says_what_differs() -> None:
    differing = entry("web1", reason="/dev/urandom, 2048 B / 1000 ms -> /dev/urandom, 4096 B / 1000 ms")
    waiting = entry("db1", "unchanged", "needs_restart", "no free PCIe port")
    planned = plan(hv1=host(differing, waiting, devices=[{"guest": "web1"}], total=5, in_sync=3))
    assert recap(planned) == [
        "hypervisor  guests  differ  in sync  needs restart  refused",
        "hv1              5       1        3              1        0",
        "",
        "hv1  web1  differs        /dev/urandom, 2048 B / 1000 ms -> /dev/urandom, 4096 B / 1000 ms",
        "hv1  db1   needs restart  no free PCIe port",
    ]


def test_nothing_was_planned() -> None:
    assert recap(plan(), {}) == ["hypervisor  guests  changed  in sync  needs restart  refused"]


@pytest.mark.parametrize(
    ("result", "line"),
    [
        ({"unreachable": True, "msg": "No route to host"}, "hv1    unreachable  No route to host"),
        ({"failed": True, "msg": "python3-libvirt is missing"}, "hv1    failed  python3-libvirt is missing"),
        ({"failed": True}, "hv1    failed  no reason given"),
        ({"skipped": True}, "hv1    not applied  guests that differ from the plan: 1"),
        (None, "hv1    not applied  guests that differ from the plan: 1"),
        ("undefined", "hv1    not applied  guests that differ from the plan: 1"),
    ],
)
def test_a_plan_that_was_not_applied(result: object, line: str) -> None:
    planned = plan(hv1=host(entry("web1"), devices=[{"guest": "web1"}]))
    assert " ".join(recap(planned, {"hv1": result})[-1].split()) == " ".join(line.split())


def test_hosts_that_never_came_to_a_plan() -> None:
    lines = recap(plan(hv1=host()), {"hv2": {"unreachable": True, "msg": "timed out"}}, hosts=["hv1", "hv3"])
    assert [line.split()[0] for line in lines[1:5]] == ["hv1", "hv2", "hv3", "all"]
    assert lines[6:] == [
        "hv2  unreachable  timed out",
        "hv3  not planned  it failed or was unreachable before",
    ]


def test_a_guest_that_has_not_let_go() -> None:
    lines = recap(plan(hv1=host(entry("web1", "unchanged", "pending_removal", "the guest does not answer"))))
    assert lines[-1] == "hv1  web1  pending removal  the guest does not answer"


def test_long_reasons_are_broken_below_themselves() -> None:
    lines = recap(plan(hv1=host(entry("web1", live="needs_restart", reason="word " * 50))))
    assert max(map(len, lines)) <= 100
    assert lines[3].startswith("hv1  web1  needs restart  word ")
    assert lines[4].startswith(" " * 26 + "word ")
    assert " ".join(lines).count("word") == 50


def test_a_long_name_leaves_room_for_the_reason() -> None:
    lines = recap(plan(**{"h" * 60: host(entry("g" * 200, live="needs_restart", reason="word " * 20))}))
    assert max(map(len, lines)) <= 100
    assert lines[-1].startswith("    word")


@pytest.mark.parametrize("name", ["{{7*7}}", "\x1b[2J", "\u202eweb", "a\nb", "\u2028"])
def test_names_and_reasons_cannot_write_on_the_terminal(name: str) -> None:
    planned = plan(hv1=host(entry(name, live="needs_restart", reason=f"no slot for {name}")))
    planned["warnings"] = [f"mind {name}"]
    assert all(line.isprintable() for line in recap(planned))


def test_wide_characters_keep_the_columns() -> None:
    restart = {"live": "needs_restart", "reason": "X"}
    lines = recap(plan(hv1=host(entry("日本", **restart), entry("e\u0301", **restart), entry("abcd", **restart))))
    assert lines[3:] == [
        "hv1  日本  needs restart  X",
        "hv1  e\u0301     needs restart  X",
        "hv1  abcd  needs restart  X",
    ]


def test_very_many_reasons_are_cut_short() -> None:
    refused = [{"guest": f"g{number}", "reason": "no"} for number in range(LINES + 7)]
    lines = recap(plan(hv1=host(refused=refused, total=len(refused))))
    assert lines[-1] == "... and 7 more"
    assert len(lines) == LINES + 4
