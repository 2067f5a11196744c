# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brokers in real runs of ansible-playbook: an inventory with group_vars becomes classes, sockets and rates."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret
from lab.process import PATIENCE

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
Run = Callable[..., dict[str, Any]]


def play(tmp_path: Path, *arguments: str, inventory: Path = HERE / "broker") -> dict[str, Any]:
    answer = tmp_path / "answer.json"
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_NOCOLOR": "1",
    }
    command = [str(PLAYBOOK), "-i", str(inventory), "brokers.yml", f"--extra-vars=answer={answer}", *arguments]
    done = subprocess.run(
        command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return play(tmp_path_factory.mktemp("broker"))


@pytest.fixture
def other(tmp_path: Path) -> Run:
    """Run with files of the inventory changed."""

    def run(files: dict[str, str], *arguments: str) -> dict[str, Any]:
        inventory = tmp_path / "inventory"
        shutil.copytree(HERE / "broker", inventory)
        for name, text in files.items():
            (inventory / name).write_text(text, encoding="utf-8")
        return play(tmp_path, *arguments, inventory=inventory)

    return run


def rows(answer: dict[str, Any], host: str) -> dict[str, tuple[Any, ...]]:
    return {
        row["name"]: (row["parent"], row["rate"], row["ceil"], row["guests"])
        for row in answer["brokers"][host]["classes"]
    }


def refused(answer: dict[str, Any], host: str) -> dict[str, str]:
    return {item["guest"]: item["reason"] for item in answer["plan"]["hosts"][host]["refused"]}


def test_groups_become_classes_with_the_variables_of_each_hypervisor(answer: dict[str, Any]) -> None:
    same = {
        "berlin": ("guests", 64, "unlimited", 0),
        "default": (None, 64, "unlimited", 0),
        "empty": (None, 100, "unlimited", 0),
        "guests": (None, 4264, "unlimited", 0),
        "prod": ("guests", 4200, "unlimited", 0),
        "prod.own": ("prod", 64, "unlimited", 1),
    }
    first = {"gold": ("prod", 3072, 8192, 3), "silver": ("prod", 1024, "unlimited", 1)}
    assert rows(answer, "bk1") == {**same, **first}
    second = {"gold": ("prod", 3000, 8192, 3), "silver": ("prod", 1000, "unlimited", 1)}
    assert rows(answer, "bk2") == {**same, **second, "appliances": (None, 512, "unlimited", 0)}


def test_the_text_is_the_configuration(answer: dict[str, Any]) -> None:
    broker = answer["brokers"]["bk2"]
    assert json.loads(broker["text"]) == broker["config"]
    assert (broker["config"]["rate"], broker["config"]["socket_group"]) == (100000, "kvm")
    assert "sources" not in broker["config"]
    (silver,) = [one for one in broker["config"]["classes"] if one["name"] == "silver"]
    assert silver == {
        "name": "silver",
        "parent": "prod",
        "rate": 1000,
        "burst": 4096,
        "sockets": ["/run/virtrngd/silver.sock"],
    }


def test_guests_get_the_sockets_of_their_classes(answer: dict[str, Any]) -> None:
    guests = {guest["guest"]: guest for host in ("bk1", "bk2") for guest in answer["plan"]["hosts"][host]["guests"]}
    assert {name: guest["wanted"]["source"] for name, guest in guests.items() if guest["wanted"]} == {
        "gold1": "egd+unix:/run/virtrngd/gold.sock",
        "silver1": "egd+unix:/run/virtrngd/silver.sock",
        "legacy1": "egd+unix:/run/virtrngd/prod.own.sock",
        "named1": "egd+unix:/run/virtrngd/gold.sock",
        "plain1": "/dev/urandom",
        "stray-1": "egd+unix:/run/virtrngd/appliances.sock",
        "other": "/dev/urandom",
    }
    assert guests["gold1"]["from"]["source"] == "guest gold1: virtio_rng_source, class gold of its group"
    assert guests["stray-1"]["from"]["source"] == (
        "virtio_rng_overrides[0] of bk2 (match stray-*), class appliances as it is named"
    )


def test_guests_without_a_class_of_their_own_are_refused_and_nobody_else(answer: dict[str, Any]) -> None:
    found = refused(answer, "bk1")
    assert sorted(found) == ["lost1", "silver2"]
    assert found["silver2"].startswith("guest silver2: virtio_rng_source: broker: it is in 2 groups that are classes")
    assert found["lost1"].endswith("did you mean broker:gold?")


def test_a_kind_that_has_no_egd_says_so(answer: dict[str, Any]) -> None:
    assert refused(answer, "bk-proxmox") == {
        "gold-px": "source egd+unix:/run/virtrngd/gold.sock: this hypervisor offers random"
    }
    assert answer["plan"]["warnings"] == []


def test_what_cannot_be_kept_names_the_group_and_its_classes(other: Run) -> None:
    found = other(
        {"group_vars/prod.yml": "rng_broker_rate: 4096\n", "group_vars/silver.yml": "rng_broker_rate: 2048\n"}
    )
    assert found["brokers"]["bk1"]["failed"] is True
    assert found["brokers"]["bk1"]["msg"] == (
        "group prod: rng_broker_rate 4096, but its classes gold 3072 + silver 2048 + prod.own 1 = 5121; "
        "prod.own is for guests directly in prod"
    )
    guests = {guest["guest"]: guest for guest in found["plan"]["hosts"]["bk1"]["guests"]}
    assert guests["gold1"]["wanted"]["source"] == "egd+unix:/run/virtrngd/gold.sock"


def test_a_template_that_fails_on_one_hypervisor_harms_no_other(other: Run) -> None:
    found = other({"group_vars/hypervisors.yml": "---\n"})["brokers"]
    assert found["bk1"]["msg"].startswith("group gold: rng_broker_rate: its template failed: ")
    assert found["bk2"].get("failed") is not True


def test_a_misspelt_variable_is_a_warning(other: Run) -> None:
    found = other({"group_vars/berlin.yml": "rng_broker_prioirty: 3\n"})
    assert found["plan"]["warnings"] == [
        "rng_broker_prioirty is no variable of this collection (silver2); did you mean rng_broker_priority?"
    ]
    assert list(refused(found, "bk1")) == ["lost1"], "silver2 is in one class now"


def test_a_file_that_nobody_can_decrypt_harms_its_guests_and_the_brokers_that_would_need_it(other: Run) -> None:
    text = VaultLib().encrypt("rng_broker_priority: 3", VaultSecret(b"password")).decode()
    found = other({"group_vars/berlin.yml": text})
    reasons = refused(found, "bk1")
    assert reasons["silver2"].startswith("guest silver2: virtio_rng_state: its variables cannot be read: ")
    assert reasons["silver1"].startswith(
        "guest silver1: virtio_rng_source: broker: group berlin: its variables cannot be read: "
    )
    guests = {guest["guest"]: guest for guest in found["plan"]["hosts"]["bk1"]["guests"]}
    assert (guests["named1"]["state"], guests["plain1"]["state"]) == ("present", "present")
    assert found["brokers"]["bk1"]["msg"].startswith("group berlin: its variables cannot be read: ")


def test_sources_are_those_of_the_daemon(tmp_path: Path) -> None:
    extra = '--extra-vars={"broker_sources": ["/dev/hwrng", {"source": "getrandom", "tests": "none"}]}'
    config = play(tmp_path, extra, "--limit=bk1")["brokers"]["bk1"]["config"]
    assert config["sources"] == [{"source": "/dev/hwrng"}, {"source": "getrandom", "tests": "none"}]


def test_a_limit_changes_no_class(tmp_path: Path, answer: dict[str, Any]) -> None:
    assert play(tmp_path, "--limit=bk2", "--check")["brokers"]["bk2"]["text"] == answer["brokers"]["bk2"]["text"]
