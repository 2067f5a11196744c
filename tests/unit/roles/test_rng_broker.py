# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role rng_broker: its defaults are documented, and its unit allows what the configuration asks for, no more."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.fleet.rng.plugins.module_utils.broker.config import SAFE_SOURCES, parse
from ansible_collections.fleet.rng.plugins.module_utils.broker.status import STATES
from ansible_collections.fleet.rng.plugins.plugin_utils.broker_groups import FIELDS
from ansible_collections.fleet.rng.plugins.plugin_utils.policy import BROKER_FIELDS, BROKER_PREFIX

try:  # ansible-core 2.18 templates any text
    from ansible.template import trust_as_template as trusted
except ImportError:

    def trusted(value: Any) -> Any:
        return value


ROLE = Path(__file__).resolve().parents[3] / "roles" / "rng_broker"
QUIET: dict[str, Any] = {
    "ansible_managed": "Ansible managed",
    "rng_broker_clients": 4096,
    "rng_broker_user": "virtrngd",
    "__rng_broker_own_group": "virtrngd",
    "__rng_broker_groups": ["kvm"],
    "__rng_broker_metrics_dir": "",
    "__rng_broker_devices": [],
    "__rng_broker_rule_devices": [],
    "__rng_broker_tcp": False,
}


def read(path: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROLE / path).read_text(encoding="utf-8"))
    return document


VARIABLES = read("vars/main.yml")
DEFAULTS = read("defaults/main.yml")


def deeply_trusted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: deeply_trusted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [deeply_trusted(item) for item in value]
    return trusted(value) if isinstance(value, str) else value


def value_of(name: str, **changes: Any) -> Any:
    """A variable of the role, as Ansible makes it."""
    values = {**deeply_trusted(DEFAULTS), **deeply_trusted(VARIABLES), **changes}
    return Templar(DataLoader(), variables=values).template(trusted(f"{{{{ {name} }}}}"))


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
    assert {name: option["default"] for name, option in options.items()} == DEFAULTS


@pytest.mark.parametrize(
    "key", ["when_failing", "conditioning", "accept_entropy", "clients", "clients_per_socket", "clients_per_process"]
)
def test_defaults_are_those_of_the_daemon(key: str) -> None:
    assert DEFAULTS[f"rng_broker_{key}"] == getattr(parse('{"classes": [{"name": "a"}]}'), key)


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
    assert unit(__rng_broker_metrics_dir="/var/lib/x/y")["ReadWritePaths"] == ["-/var/lib/x/y"], (
        "or it would not start without"
    )


def test_the_rule_of_udev_comes_before_that_of_the_other_role() -> None:
    text = rendered("virtrngd.rules.j2", __rng_broker_rule_devices=["/dev/hwrng"])
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines == ['ENV{DEVNAME}=="/dev/hwrng", ACTION!="remove", GROUP="virtrngd", MODE="0640"']
    other = yaml.safe_load((ROLE.parent / "rng_host" / "vars" / "main.yml").read_text(encoding="utf-8"))
    assert VARIABLES["__rng_broker_rule"] < other["__rng_host_rule"]


def test_sources_that_everybody_may_read_are_no_devices_of_its_own() -> None:
    assert set(SAFE_SOURCES) == {"getrandom", "/dev/random", "/dev/urandom"}
    assert all(f"'{source}'" in VARIABLES["__rng_broker_devices"] for source in ("/dev/random", "/dev/urandom"))


def test_the_plan_knows_the_variables_that_there_are_and_no_others() -> None:
    assert {BROKER_PREFIX + name for name in BROKER_FIELDS} == {*DEFAULTS, *(BROKER_PREFIX + name for name in FIELDS)}
    assert len(set(BROKER_FIELDS)) == len(BROKER_FIELDS)


def test_defaults_are_within_their_bounds() -> None:
    assert value_of("__rng_broker_mistakes") == []


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("user", "root"),
        ("user", "a b"),
        ("user", ""),
        ("socket_group", "kvm\n"),
        ("python", "python3"),
        ("python", "/usr/bin/python3 -I"),
        ("metrics_file", "/var/metrics"),
        ("metrics_file", "/var/lib/$(reboot)/metrics"),
        ("sources", [{"source": "/dev/../etc/shadow"}, {"source": "getrandom"}]),
        ("clients", 0),
        ("clients", 100001),
        ("clients_per_socket", 0),
        ("clients_per_socket", 100001),
        ("clients_per_process", 0),
        ("clients_per_process", 100001),
        ("timeout", 601),
    ],
)
def test_what_is_out_of_its_bounds_is_named_alone(name: str, wrong: Any) -> None:
    (mistake,) = value_of("__rng_broker_mistakes", **{f"rng_broker_{name}": wrong})
    assert mistake.startswith(f"rng_broker_{name}: ")
    assert "; allowed: " in mistake
    assert str(wrong[0]["source"] if name == "sources" else wrong) in mistake


def test_all_that_is_out_of_its_bounds_is_named() -> None:
    found = value_of("__rng_broker_mistakes", rng_broker_user="root", rng_broker_timeout=0)
    assert [mistake.partition(":")[0] for mistake in found] == ["rng_broker_user", "rng_broker_timeout"]


def test_a_configuration_that_was_not_loaded_differs() -> None:
    text = '{"classes": [{"name": "a"}]}\n'
    digest = hashlib.sha256(text.encode()).hexdigest()
    for status, differs in (
        ({"configuration": digest}, False),
        ({"configuration": "0"}, True),
        ({"version": "1"}, True),
    ):
        assert value_of("__rng_broker_differs", __rng_broker_made={"text": text}, __rng_broker_status=status) is differs


def test_the_configuration_is_written_as_it_was_made() -> None:
    """The daemon tells the digest of the file, which has to be that of the text."""
    tasks = yaml.safe_load((ROLE / "tasks/present.yml").read_text(encoding="utf-8"))
    (content,) = (task["ansible.builtin.copy"]["content"] for task in tasks if task["name"] == "Configure it")
    text = json.dumps({"classes": [{"name": "a", "parent": None}], "conditioning": True}, indent=2) + "\n"
    assert Templar(DataLoader(), variables={"__rng_broker_made": {"text": text}}).template(trusted(content)) == text


@pytest.mark.parametrize(
    ("states", "waits"),
    [
        (["serving", "standby"], False),
        (["failed", "serving"], False),
        (["starting"], False),
        (["failed", "missing", "stalled"], True),
        (["missing", "standby"], True),  # with wait the second one never serves
    ],
)
def test_a_broker_that_no_source_serves_is_told(states: list[str], waits: bool) -> None:
    assert set(states) <= set(STATES)
    status = {"sources": [{"source": "/dev/hwrng", "state": state} for state in states]}
    said = ["no source serves, so guests wait: see virtrngctl status"] if waits else []
    assert value_of("__rng_broker_source_notes", __rng_broker_status=status) == said
    assert value_of("__rng_broker_source_notes", __rng_broker_status={}) == []


@pytest.mark.parametrize(("wanted", "found", "told"), [("kvm", "kvm", 0), ("kvm", "virtrngd", 1), ("", "virtrngd", 0)])
def test_a_host_without_the_usual_group_is_told(wanted: str, found: str, told: int) -> None:
    notes = value_of("__rng_broker_group_notes", rng_broker_socket_group=wanted, __rng_broker_sockets_group=found)
    assert len(notes) == told


def ruled(
    own: list[str],
    gone: Sequence[str] = (),
    before: Sequence[str] = (),
    links: Sequence[str] = (),
    mechanism: str = "udev",
) -> Any:
    """The devices that udev's rule is for."""
    return value_of(
        "__rng_broker_rule_devices",
        __rng_broker_devices=[*own, *gone],
        __rng_broker_own_devices=own,
        __rng_broker_seen_devices={"results": [{"item": one, "stat": {"exists": one in own}} for one in (*own, *gone)]},
        __rng_broker_rule_before={"stdout": rendered("virtrngd.rules.j2", __rng_broker_rule_devices=before)},
        __rng_broker_links_seen={"stdout_lines": list(links)},
        __rng_broker_host={"mechanism": mechanism},
    )


def test_a_device_keeps_its_rule_while_it_is_away() -> None:
    assert ruled(["/dev/hwrng"]) == ["/dev/hwrng"]
    assert ruled([], ["/dev/hwrng"]) == [], "whose it will be is not known"
    assert ruled([], ["/dev/hwrng"], ["/dev/hwrng"]) == ["/dev/hwrng"]
    assert ruled(["/dev/a"], ["/dev/b"], ["/dev/b", "/dev/c"]) == ["/dev/a", "/dev/b"]
    assert ruled([], [], ["/dev/hwrng"]) == []


def test_no_rule_is_for_a_link_or_without_udev() -> None:
    assert ruled(["/dev/a", "/dev/serial/by-id/x"], links=["/dev/serial/by-id/x"]) == ["/dev/a"]
    assert ruled(["/dev/a"], ["/dev/b"], ["/dev/a", "/dev/b"], mechanism="none") == []


def test_a_directory_of_metrics_is_refused_before_anything_is_installed() -> None:
    tasks = [task["name"] for task in yaml.safe_load((ROLE / "tasks/present.yml").read_text(encoding="utf-8"))]
    place = tasks.index("Make the directory of its metrics")
    assert tasks.index("Make the daemon's user") < place < tasks.index("Install the program")


@pytest.mark.parametrize(("total", "listed", "said"), [(1, 1, "1 guests"), (350, 200, "350 guests"), (0, 0, None)])
def test_all_guests_count_where_not_all_are_listed(total: int, listed: int, said: str | None) -> None:
    tasks = yaml.safe_load((ROLE / "tasks/absent.yml").read_text(encoding="utf-8"))
    (refusal,) = (task for task in tasks if task["name"] == "Refuse while guests are connected")
    status = {"guests_total": total, "guests": [{"guest": f"g{number:03}"} for number in range(listed)]}
    values = {**deeply_trusted(refusal["vars"]), "__rng_broker_status": status, "rng_broker_disconnect": False}
    templar = Templar(DataLoader(), variables=values)
    refused = all(templar.template(trusted(f"{{{{ {condition} }}}}")) for condition in refusal["when"])
    assert refused is (said is not None)
    if said:
        message = " ".join(templar.template(trusted(refusal["ansible.builtin.fail"]["msg"])).split())
        assert message.startswith(f"{said} are connected to the broker: g000")
        assert ("g009, ..." in message) is (listed > 10)
