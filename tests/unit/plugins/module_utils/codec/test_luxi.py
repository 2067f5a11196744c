# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ganeti's master answers: what is taken, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.codec import luxi
from ansible_collections.fleet.rng.plugins.module_utils.errors import GuestError, HypervisorError
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.strategies import anything
from hypothesis import given

CLUSTER = {
    "software_version": "3.0.2",
    "master": "node1",
    "architecture": ["64bits", "x86_64"],
    "hvparams": {"kvm": {"kvm_extra": "-S", "acpi": True}},
    "os_hvp": {"noop+default": {"kvm": {"kvm_extra": "-foo"}}, "other": None},
}
UUID = "434ede27-77f0-4095-a0e5-4b5bf7165133"
ROW = [
    [0, "vm1"],
    [0, UUID],
    [0, True],
    [0, "node1"],
    [0, "kvm"],
    [0, "noop+default"],
    [0, {}],
    [0, {"kvm_extra": "-S"}],
]


def test_a_cluster() -> None:
    found = luxi.parse_cluster(CLUSTER)
    assert (found.version, found.shell, found.master, found.arch) == ("3.0.2", False, "node1", "x86_64")
    assert found.inherited("kvm_extra", "noop+default") == ("-foo", "the OS noop+default")
    assert found.inherited("kvm_extra", "noop") == ("-S", "the cluster"), "an OS is looked up with its variant"
    assert not found.has_parameter
    assert luxi.parse_cluster({**CLUSTER, "hvparams": {"kvm": {"virtio_rng": "off"}}}).has_parameter


@pytest.mark.parametrize(
    ("version", "shell"), [("2.16.1", False), ("3.0.2", False), ("3.1.0~rc1", True), ("3.10.0", True), ("4.0.0", True)]
)
def test_since_when_it_splits_as_a_shell_does(version: str, shell: bool) -> None:
    assert luxi.parse_cluster({**CLUSTER, "software_version": version}).shell is shell


def test_an_instance() -> None:
    (found,) = luxi.parse_instances({"data": [ROW]})
    assert (found.name, found.uuid, found.running, found.node, found.extra) == ("vm1", UUID, True, "node1", "-S")
    unknown = [*ROW[:2], [2, None], *ROW[3:]]
    assert luxi.parse_instances({"data": [unknown]})[0].running is None
    assert luxi.parse_instances({"data": [[*ROW[:7], [0, {"kvm_extra": None}]]]})[0].extra == ""


@pytest.mark.parametrize("name", ["-H", "../vm1", "", "vm1\n", "vm 1", None, "a" * 256])
def test_names_that_ganeti_has_not(name: object) -> None:
    with pytest.raises(HypervisorError, match="Ganeti lists an instance"):
        luxi.parse_instances({"data": [[[0, name], *ROW[1:]]]})


@pytest.mark.parametrize("uuid", ["", None, "x", UUID.upper()])
def test_uuids_that_ganeti_has_not(uuid: object) -> None:
    with pytest.raises(HypervisorError, match="Ganeti lists an instance vm1"):
        luxi.parse_instances({"data": [[ROW[0], [0, uuid], *ROW[2:]]]})


@given(answer=anything)
def test_what_is_no_answer(answer: Any) -> None:
    for parse in (luxi.parse_cluster, luxi.parse_instances):
        with pytest.raises(HypervisorError):
            parse(answer)
    for parse_rows in ({"data": answer}, {"data": [answer]}, {"data": [[answer]]}):
        try:
            found = luxi.parse_instances(parse_rows)
        except HypervisorError:
            continue
        assert found == []
    with pytest.raises((HypervisorError, GuestError)):
        luxi.parse_job(answer)


@pytest.mark.parametrize("status", ["queued", "waiting", "running", "canceling"])
def test_a_job_under_way(status: str) -> None:
    assert luxi.parse_job([[status, []]]) is False


def test_a_job_that_ended() -> None:
    assert luxi.parse_job([["success", [[["hv/kvm_extra", "-S"]]]]]) is True
    reason = [["OpPrereqError", ["Unknown parameter\x1b 'x'", "wrong_input"]]]
    with pytest.raises(GuestError, match=r"ended as error: OpPrereqError, Unknown parameter\\x1b 'x', wrong_input"):
        luxi.parse_job([["error", reason]])
    with pytest.raises(GuestError, match="ended as canceled: Job canceled by request"):
        luxi.parse_job([["canceled", ["Job canceled by request"]]])
    with pytest.raises(GuestError, match="no longer knows the job"):
        luxi.parse_job([[None, None]])


def test_the_number_of_a_job() -> None:
    assert luxi.parse_job_id("\nPlease don't forget\nJobID: 4711\n") == 4711
    assert luxi.parse_job_id("140: again.example.test\n\n") == 140
    with pytest.raises(GuestError, match=r"told no job: nothing\\x0a"):
        luxi.parse_job_id("nothing\nJobID: x")


def test_jobs_that_move_instances() -> None:
    rows = [[[0, ["INSTANCE_SET_PARAMS(vm1)"]]], [[0, ["INSTANCE_STARTUP(vm2)", "INSTANCE_MIGRATE(vm2)"]]]]
    assert luxi.parse_unfinished({"data": rows}) == "INSTANCE_STARTUP(vm2), INSTANCE_MIGRATE(vm2)"
    assert luxi.parse_unfinished({"data": rows[:1]}) == luxi.parse_unfinished({"data": []}) == ""
    assert luxi.parse_unfinished({"data": [None, [[2, None]]]}) == ""
    with pytest.raises(HypervisorError, match="list of jobs cannot be understood"):
        luxi.parse_unfinished([])
