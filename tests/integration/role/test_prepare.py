# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both ends in one run: what is lost on the way stops nobody else, and nothing that went wrong is left unsaid."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from integration.role.conftest import Fleet

GUESTS = ("one", "two", "three", "four")
AWAY = {"ansible_host": "127.0.0.1", "ansible_port": 1}
UNREACHED = "Not prepared, since they could not be reached"
LOST = "Lost while they were being prepared"
PREPARE = ("-e", "rng_prepare_guests=true")
# A machine that answers until it is asked for this: then its connection breaks, and stays broken.
CONNECTION = """
from pathlib import Path

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection.local import Connection as Local

DOCUMENTATION = '''
name: breaking
short_description: A connection that breaks
description: Runs commands here until one of them has certain words.
author: nobody
options:
  pipelining: {description: Whether to., type: bool, default: false, vars: [{name: ansible_pipelining}]}
  words: {description: The words., vars: [{name: breaking_words}]}
'''


class Connection(Local):
    transport = "breaking"

    def exec_command(self, cmd, *arguments, **options):
        broken = Path(self._play_context.remote_addr + ".broken")
        if self.get_option("words") in cmd:
            broken.touch()
        if broken.exists():
            raise AnsibleConnectionFailure("the machine went away")
        return super().exec_command(cmd, *arguments, **options)
"""


def end(output: str) -> str:
    return " ".join(output.split("PLAY [Say what went wrong]")[1].split())


def named(output: str, title: str) -> list[str]:
    """The machines that a line at the end names, in any order."""
    (found,) = [line for line in output.splitlines() if line.startswith(f"{title}: ")] or [output]
    return sorted(found.partition(": ")[2].split(", "))


def breaking(fleet: Fleet, words: str) -> dict[str, Any]:
    """Variables of a machine that breaks; what is run before that is run here, so it must only look."""
    plugins = fleet.directory / "connections"
    plugins.mkdir()
    (plugins / "breaking.py").write_text(CONNECTION)
    fleet.environment["ANSIBLE_CONNECTION_PLUGINS"] = str(plugins)
    return {"ansible_connection": "breaking", "ansible_python_interpreter": sys.executable, "breaking_words": words}


@pytest.mark.parametrize("hypervisors", ["hv1,hv2", "hv1:hv2", "hypervisors:!nobody", ["hv1", "hv2"]])
def test_failures_are_said_by_whatever_pattern_the_hypervisors_are_named(
    fleet: Fleet, hypervisors: str | list[str]
) -> None:
    bad = {"guests": {"hosts": {**dict.fromkeys(GUESTS, AWAY), "three": {**AWAY, "virtio_rng_source": "/dev/null"}}}}
    options = ("-e", json.dumps({"rng_hypervisors": hypervisors}))
    output = fleet.play("fleet.rng.enable_rng", *options, *PREPARE, code=2, inventory=bad)
    assert "1 of 2 guests failed: three" in end(output)
    assert named(output, UNREACHED) == sorted(GUESTS)


def test_what_excludes_a_guest_keeps_no_hypervisor_silent(fleet: Fleet) -> None:
    bad = {"guests": {"hosts": {"three": {"virtio_rng_source": "/dev/null"}, "one": AWAY}}}
    options = ("-e", json.dumps({"rng_guests": "guests:&one:!hypervisors"}), "-e", "virtio_rng_source=/dev/null")
    output = fleet.play("fleet.rng.enable_rng", *options, *PREPARE, code=2, inventory=bad)
    assert "guests failed: " in end(output)
    assert named(output, UNREACHED) == ["one"]


def test_guests_that_all_go_away_in_the_middle_end_no_run(fleet: Fleet) -> None:
    going = breaking(fleet, "command -v")  # the role's second step
    lost = {"guests": {"hosts": {**dict.fromkeys(GUESTS, going), "two": AWAY}}}
    output = fleet.play("fleet.rng.enable_rng", *PREPARE, "-e", "rng_verify=true", code=2, inventory=lost)
    assert "PLAY [Judge and report]" in output
    assert named(output, LOST) == ["four", "one", "three"]
    assert named(output, UNREACHED) == ["two"]
    assert "guests failed" not in end(output)
    assert fleet.all_rates() == {name: ["1024"] for name in GUESTS}


def test_hypervisors_that_all_go_away_in_the_middle_are_named(fleet: Fleet) -> None:
    going = breaking(fleet, "rng_source_info")
    lost = {"hypervisors": {"hosts": dict.fromkeys(("hv1", "hv2"), going)}}
    options = ("-e", json.dumps({"rng_prepare_hosts": True, "rng_host_test_sources": ["/dev/urandom"]}))
    output = fleet.play("fleet.rng.enable_rng", *options, code=2, inventory=lost)
    assert named(output, LOST) == ["hv1", "hv2"], output
