# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migration groups with a guest that really moves between two hypervisors, one of them without a hardware RNG."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lab import GuestSpec, HostSpec, HwRng, Lab, LabSpec
from lab.process import PATIENCE

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
RNG = (
    "<rng model='virtio'><rate bytes='{}' period='1000'/><backend model='random'>/dev/urandom</backend>"
    "<alias name='ua-fleet-rng'/></rng>"
)
SPEC = LabSpec(
    (
        HostSpec(
            "mv1",
            hwrng=HwRng(current="tpm-rng-0", available=("tpm-rng-0",)),
            guests=(GuestSpec("mover", devices=RNG.format(1024)),),
        ),
        HostSpec("mv2", hwrng=HwRng(current="none", available=(), device="real")),
    )
)


@pytest.fixture(scope="module")
def lab(boot_lab: Callable[[LabSpec], Lab]) -> Lab:
    return boot_lab(SPEC)


def plan(lab: Lab, tmp_path: Path, **variables: Any) -> dict[str, Any]:
    answer = tmp_path / "answer.json"
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_NOCOLOR": "1",
    }
    extra = json.dumps({"answer": str(answer), **variables})
    command = [str(PLAYBOOK), "-i", str(lab.inventory), "moving.yml", "--extra-vars", extra]
    done = subprocess.run(
        command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    planned: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return planned


def move(lab: Lab, source: str, destination: str, *options: str) -> None:
    there = lab.host(destination).address
    key = "/root/migration-key"
    lab.host(source).write(key, lab.key.read_text(encoding="utf-8"))
    lab.host(source).check("chmod", "600", key)
    uri = f"qemu+ssh://root@{there}/system?keyfile={key}&no_verify=1&no_tty=1"
    lab.host(source).virsh("migrate", "--live", *options, "mover", uri, "--migrateuri", f"tcp://{there}")


def quota(lab: Lab, host: str, *options: str) -> str:
    (line,) = [line for line in lab.host(host).virsh("dumpxml", *options, "mover").splitlines() if "<rate " in line]
    return line.split("bytes='")[1].split("'")[0]


def test_a_source_that_the_other_hypervisor_lacks_is_refused_before_anything_moves(lab: Lab, tmp_path: Path) -> None:
    planned = plan(lab, tmp_path, virtio_rng_source="/dev/hwrng")
    (refused,) = planned["hosts"]["mv1"]["refused"]
    assert refused["reason"].startswith(
        "guest mover may move to mv2 (virtio_rng_migration_groups: hypervisors), where source /dev/hwrng is not safe: "
        "the kernel of this host has no hardware RNG selected"
    )
    planned = plan(lab, tmp_path)
    assert (planned["hosts"]["mv1"]["in_sync"], planned["warnings"]) == (1, [])


def test_a_definition_left_behind_is_told_of_and_comes_back_as_the_documentation_says(lab: Lab, tmp_path: Path) -> None:
    definition = lab.host("mv1").virsh("dumpxml", "--inactive", "mover")
    assert "bytes='1024'" in definition
    lab.host("mv2").define(definition.replace("bytes='1024'", "bytes='512'"))

    planned = plan(lab, tmp_path)
    (warning,) = planned["warnings"]
    assert warning.startswith("mv2 has other definitions of guests that run elsewhere, with /dev/urandom, 512 B")
    assert planned["hosts"]["mv1"]["refused"] == []

    move(lab, "mv1", "mv2")
    assert (quota(lab, "mv2"), quota(lab, "mv2", "--inactive")) == ("1024", "512")
    planned = plan(lab, tmp_path)
    assert [device["guest"] for device in planned["hosts"]["mv2"]["devices"]] == ["mover"]

    move(lab, "mv2", "mv1")
    assert (quota(lab, "mv1"), quota(lab, "mv1", "--inactive")) == ("1024", "1024")

    move(lab, "mv1", "mv2", "--persistent", "--undefinesource")
    assert (quota(lab, "mv2"), quota(lab, "mv2", "--inactive")) == ("1024", "1024")
    planned = plan(lab, tmp_path)
    assert (planned["hosts"]["mv2"]["in_sync"], planned["warnings"]) == (1, [])
