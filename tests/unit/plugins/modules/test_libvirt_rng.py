# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module from its options to its result, against a libvirt without a daemon."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.modules import libvirt_rng

KIB = "<rng model='virtio'><rate bytes='1024' period='1000'/><backend model='random'>/dev/urandom</backend></rng>"
TWO_KIB = KIB.replace("1024", "2048")
FREE = "<rng model='virtio'><backend model='builtin'/></rng>"
OURS = KIB.replace("</rng>", "<alias name='ua-fleet-rng'/></rng>")
OLD = TWO_KIB.replace("</rng>", "<alias name='ua-fleet-rng'/></rng>")
HALF = OLD + KIB.replace("</rng>", "<alias name='ua-fleet-rng-2'/></rng>")
D = "/dev/urandom, 1024 B / 1000 ms"

ABSENT_OURS = {"state": "absent", "exclusive": False}
# config, live, options of the module, expected (changed, config, live)
TABLE: dict[str, tuple[str | None, str | None, dict[str, Any], tuple[bool, str, str]]] = {
    "off, none": ("", None, {}, (True, "added", "not_applicable")),
    "running, none": ("", "", {}, (True, "added", "added")),
    "transient, none": (None, "", {}, (True, "not_applicable", "added")),
    "as wanted": (KIB, KIB, {}, (False, "unchanged", "unchanged")),
    "ours, as wanted": (OURS, OURS, {}, (False, "unchanged", "unchanged")),
    "off, differs": (TWO_KIB, None, {}, (True, "replaced", "not_applicable")),
    "running, differs": (TWO_KIB, TWO_KIB, {}, (True, "replaced", "replaced")),
    "ours differs": (OLD, OLD, {}, (True, "replaced", "replaced")),
    "half replaced": (HALF, HALF, {}, (True, "replaced", "replaced")),
    "half replaced, live only": (OURS, HALF, {}, (True, "unchanged", "replaced")),
    "config is ahead": (KIB, "", {}, (True, "unchanged", "added")),
    "live is ahead": ("", KIB, {}, (True, "added", "unchanged")),
    "twins": (KIB + KIB, KIB + KIB, {}, (True, "replaced", "replaced")),
    "three": (TWO_KIB + FREE + KIB, TWO_KIB + FREE + KIB, {}, (True, "replaced", "replaced")),
    "theirs beside it": (FREE, FREE, {"exclusive": False}, (True, "added", "added")),
    "theirs, ours differs": (FREE + OLD, FREE + OLD, {"exclusive": False}, (True, "replaced", "replaced")),
    "not live": (TWO_KIB, TWO_KIB, {"live": False}, (True, "replaced", "needs_restart")),
    "not live, config done": (KIB, TWO_KIB, {"live": False}, (False, "unchanged", "needs_restart")),
    "absent": (KIB + FREE, KIB + FREE, {"state": "absent"}, (True, "removed", "removed")),
    "absent, off": (OURS, None, {"state": "absent"}, (True, "removed", "not_applicable")),
    "absent, none": ("", "", {"state": "absent"}, (False, "unchanged", "unchanged")),
    "absent, only ours": (FREE + OURS, FREE + OURS, ABSENT_OURS, (True, "removed", "removed")),
    "absent, theirs": (FREE, FREE, ABSENT_OURS, (False, "unchanged", "unchanged")),
}  # fmt: skip
ROWS = pytest.mark.parametrize("name", TABLE)


def options(name: str) -> dict[str, Any]:
    given = dict(TABLE[name][2])
    return {"devices": [{"guest": "web1", "state": given.pop("state", "present")}], **given}


@ROWS
def test_it_does_what_check_mode_predicted_and_a_second_run_does_nothing(
    name: str, hypervisor: Any, run_module: Any
) -> None:
    config, live, dummy, expected = TABLE[name]
    hypervisor.add("web1", config, live)
    hypervisor.writable = False
    predicted = run_module(libvirt_rng.main, check=True, diff=True, **options(name))
    hypervisor.writable = True
    result = run_module(libvirt_rng.main, diff=True, **options(name))
    guest = result["guests"][0]
    assert not result["failed"]
    assert (guest["changed"], guest["config"], guest["live"]) == expected
    assert result["changed"] == expected[0] == bool(result["diff"])
    assert predicted == result

    hypervisor.writable = False
    again = run_module(libvirt_rng.main, diff=True, **options(name))
    assert (again["changed"], again["diff"]) == (False, [])


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row[2].get("state") != "absent"])
def test_the_guest_is_never_without_what_it_is_to_have(name: str, hypervisor: Any, run_module: Any) -> None:
    config, live = TABLE[name][:2]
    domain = hypervisor.add("web1", config, live)
    had = {layer for layer, found in domain.layers.items() if found}

    def look(domain: Any, *dummy: str) -> None:
        assert all(domain.layers[layer] for layer in had)

    hypervisor.hook = look
    assert not run_module(libvirt_rng.main, **options(name))["failed"]
    look(domain, "", "")


def test_result_and_diff_word_by_word(hypervisor: Any, run_module: Any) -> None:
    hypervisor.add("web1", OLD, OLD, snapshots=True)
    hypervisor.add("web2", KIB, None)
    result = run_module(libvirt_rng.main, diff=True, devices=[{"guest": "web2"}, {"guest": "web1"}])
    assert result == {
        "failed": False,
        "changed": True,
        "guests": [
            {
                "guest": "web2",
                "changed": False,
                "config": "unchanged",
                "live": "not_applicable",
                "reason": f"already has {D}",
                "error": None,
            },
            {
                "guest": "web1",
                "changed": True,
                "config": "replaced",
                "live": "replaced",
                "reason": f"/dev/urandom, 2048 B / 1000 ms -> {D}; "
                "reverting to one of its snapshots brings the devices of that time back",
                "error": None,
            },
        ],
        "diff": [
            {
                "before_header": "web1",
                "after_header": "web1",
                "before": "config:\n  - /dev/urandom, 2048 B / 1000 ms\nlive:\n  - /dev/urandom, 2048 B / 1000 ms\n",
                "after": f"config:\n  - {D}\nlive:\n  - {D}\n",
            }
        ],
    }


def test_no_devices_open_no_connection(hypervisor: Any, run_module: Any) -> None:
    assert run_module(libvirt_rng.main, devices=[]) == {"failed": False, "changed": False, "guests": []}
    assert hypervisor.connections == []


@pytest.mark.parametrize("name", ["{{7*7}}", ";reboot", "5", "-x", " a b ", "'\"", "\u202eevil", "x" * 200])
def test_any_name_is_taken_literally(name: str, hypervisor: Any, run_module: Any) -> None:
    hypervisor.add(name, "")
    result = run_module(libvirt_rng.main, diff=True, devices=[{"guest": name}])
    assert [(guest["guest"], guest["config"]) for guest in result["guests"]] == [(name, "added")]
    assert "\u202e" not in result["diff"][0]["before_header"]


def test_a_uuid_names_a_guest_too(hypervisor: Any, run_module: Any) -> None:
    domain = hypervisor.add("web1", "")
    result = run_module(libvirt_rng.main, devices=[{"guest": domain.id}])
    assert [(guest["guest"], guest["config"]) for guest in result["guests"]] == [(domain.id, "added")]


def test_one_guest_under_two_names_is_refused(hypervisor: Any, run_module: Any) -> None:
    domain = hypervisor.add("web1", "")
    hypervisor.writable = False
    result = run_module(libvirt_rng.main, devices=[{"guest": "web1"}, {"guest": domain.id, "max_bytes": 5}])
    assert result["failed"]
    assert [guest["error"] for guest in result["guests"]] == ["is given twice in devices, by name and by UUID"] * 2
