# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role rng_broker: its defaults are documented, and its unit allows what the configuration asks for, no more."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from ansible_collections.fleet.rng.plugins.module_utils.broker.config import SAFE_SOURCES, parse

ROLE = Path(__file__).resolve().parents[3] / "roles" / "rng_broker"
QUIET: dict[str, Any] = {
    "ansible_managed": "Ansible managed",
    "rng_broker_clients": 4096,
    "rng_broker_user": "virtrngd",
    "__rng_broker_own_group": "virtrngd",
    "__rng_broker_groups": ["kvm"],
    "__rng_broker_metrics_dir": "",
    "__rng_broker_devices": [],
    "__rng_broker_own_devices": [],
    "__rng_broker_tcp": False,
}


def read(path: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROLE / path).read_text(encoding="utf-8"))
    return document


VARIABLES = read("vars/main.yml")


def rendered(template: str, **changes: Any) -> str:
    environment = jinja2.Environment(  # noqa: S701 - as Ansible does
        trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    found = environment.from_string((ROLE / "templates" / template).read_text(encoding="utf-8"))
    return found.render({**VARIABLES, **QUIET, **changes})


def unit(**changes: Any) -> dict[str, list[str]]:
    """The directives of the unit, each with its values."""
    found = defaultdict(list)
    for line in rendered("virtrngd.service.j2", **changes).splitlines():
        if "=" in line and not line.startswith("#"):
            name, dummy, value = line.partition("=")
            found[name].append(value)
    return found


def test_defaults_are_those_of_the_documentation() -> None:
    options = read("meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    assert read("defaults/main.yml") == {name: option["default"] for name, option in options.items()}


@pytest.mark.parametrize("key", ["when_failing", "conditioning", "accept_entropy", "clients"])
def test_defaults_are_those_of_the_daemon(key: str) -> None:
    assert read("defaults/main.yml")[f"rng_broker_{key}"] == getattr(parse('{"classes": [{"name": "a"}]}'), key)


def test_the_daemon_takes_what_the_documentation_allows() -> None:
    options = read("meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    tests = options["rng_broker_sources"]["options"]["tests"]["choices"]
    for when_failing in options["rng_broker_when_failing"]["choices"]:
        sources = [{"source": f"/dev/source{number}", "tests": word} for number, word in enumerate(tests)]
        parse(json.dumps({"classes": [{"name": "a"}], "sources": sources, "when_failing": when_failing}))


def test_the_rules_of_apparmor_fit_the_daemons_sockets() -> None:
    rules = VARIABLES["__rng_broker_apparmor_rules"]
    config = parse('{"classes": [{"name": "a"}]}')
    directory = str(VARIABLES["__rng_broker_run"])
    assert config.listeners[0].address == f"{directory}/a.sock"
    assert rules == f"{directory}/{{,guests/}}*.sock rw,\naudit deny {config.control} rw,\n"


def test_without_devices_it_gets_none() -> None:
    found = unit()
    assert found["PrivateDevices"] == ["yes"]
    assert "DeviceAllow" not in found


def test_with_devices_it_gets_those() -> None:
    found = unit(__rng_broker_devices=["/dev/hwrng", "/dev/ttyACM0"])
    assert found["PrivateDevices"] == ["no"]
    assert found["DevicePolicy"] == ["closed"]
    assert found["DeviceAllow"] == ["/dev/hwrng r", "/dev/ttyACM0 r", "/dev/char/10:183 r"]


@pytest.mark.parametrize(("tcp", "families"), [(False, "AF_UNIX"), (True, "AF_UNIX AF_INET AF_INET6")])
def test_it_has_a_network_where_it_serves_one(tcp: bool, families: str) -> None:
    found = unit(__rng_broker_tcp=tcp)
    assert found["RestrictAddressFamilies"] == [families]
    assert found["PrivateNetwork"] == ([] if tcp else ["yes"])
    assert found["IPAddressDeny"] == ["any"]
    assert found["IPAddressAllow"] == (["localhost"] if tcp else [])


@pytest.mark.parametrize("clients", [1, 4096, 100000])
def test_systemd_keeps_a_descriptor_for_each_client_and_more(clients: int) -> None:
    found = unit(rng_broker_clients=clients)
    assert int(found["FileDescriptorStoreMax"][0]) > clients
    assert int(found["LimitNOFILE"][0]) > int(found["FileDescriptorStoreMax"][0])


def test_it_writes_where_its_metrics_go() -> None:
    assert "ReadWritePaths" not in unit()
    assert unit(__rng_broker_metrics_dir="/var/lib/x/y")["ReadWritePaths"] == ["/var/lib/x/y"]


def test_the_rule_of_udev_comes_before_that_of_the_other_role() -> None:
    text = rendered("virtrngd.rules.j2", __rng_broker_own_devices=["/dev/hwrng"])
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines == ['ENV{DEVNAME}=="/dev/hwrng", ACTION!="remove", GROUP="virtrngd", MODE="0640"']
    other = yaml.safe_load((ROLE.parent / "rng_host" / "vars" / "main.yml").read_text(encoding="utf-8"))
    assert VARIABLES["__rng_broker_rule"] < other["__rng_host_rule"]


def test_sources_that_everybody_may_read_are_no_devices_of_its_own() -> None:
    assert set(SAFE_SOURCES) == {"getrandom", "/dev/random", "/dev/urandom"}
    assert all(f"'{source}'" in VARIABLES["__rng_broker_devices"] for source in ("/dev/random", "/dev/urandom"))
