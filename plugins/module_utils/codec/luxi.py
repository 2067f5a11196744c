# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ganeti's master says of the cluster, its instances and its jobs: strict reading of its JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..errors import GuestError, HypervisorError
from ..text import printable

KVM = "kvm"
EXTRA = "kvm_extra"
PARAMETER = "virtio_rng"  # of some builds only

FIELDS = ("name", "uuid", "oper_state", "pnode", "hypervisor", "os", "custom_hvparams", "hvparams")
_NORMAL = 0  # the status of a field; with any other it has no value
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ON_THE_MOVE = ("MIGRATE", "FAILOVER", "INSTANCE_MOVE", "EVACUATE", "BACKUP_EXPORT", "REPLACE_DISKS")
_SUCCESS, _FAILURES = "success", ("error", "canceled")
_UNDER_WAY = ("queued", "waiting", "canceling", "running")


@dataclass(frozen=True)
class Cluster:
    """What all instances have in common; ``parameters`` and ``of_os`` are those of KVM, by name."""

    version: str
    shell: bool
    master: str
    arch: str
    parameters: Mapping[str, Any]
    of_os: Mapping[str, Mapping[str, Any]]

    @property
    def has_parameter(self) -> bool:
        """Whether instances have RNGs by a parameter of their own."""
        return PARAMETER in self.parameters

    def inherited(self, name: str, os: str) -> Tuple[str, str]:
        """What an instance of this OS has without a value of its own, and who gives it."""
        if name in self.of_os.get(os, {}):
            return _text(self.of_os[os][name]), f"the OS {printable(os, 60)}"
        return _text(self.parameters.get(name)), "the cluster"


@dataclass(frozen=True)
class Instance:
    """One instance. ``running`` None is unknown: its node does not answer.

    ``own`` are the parameters that it has values of its own for, ``all`` those that it gets.
    """

    name: str
    uuid: str
    running: Optional[bool]
    node: str
    hypervisor: str
    os: str
    own: Mapping[str, Any]
    all: Mapping[str, Any]

    @property
    def extra(self) -> str:
        return _text(self.all.get(EXTRA))

    @property
    def parameter(self) -> str:
        return _text(self.all.get(PARAMETER))


def parse_cluster(answer: Any) -> Cluster:
    """From ``QueryClusterInfo``."""
    told = _mapping(answer)
    version, master = told.get("software_version"), told.get("master")
    numbers = re.match(r"([0-9]{1,4})\.([0-9]{1,4})", str(version))
    if numbers is None or not isinstance(master, str):
        raise HypervisorError("Ganeti's description of the cluster cannot be understood")
    arch = told.get("architecture")
    return Cluster(
        version=printable(str(version), 40),
        shell=(int(numbers.group(1)), int(numbers.group(2))) >= (3, 1),
        master=master,
        arch=printable(str(arch[-1]), 40) if isinstance(arch, list) and arch else "",
        parameters=_mapping(_mapping(told.get("hvparams")).get(KVM)),
        of_os={str(os): _mapping(_mapping(by).get(KVM)) for os, by in _mapping(told.get("os_hvp")).items()},
    )


def parse_instances(answer: Any) -> List[Instance]:
    """From ``Query`` for FIELDS.

    :raises HypervisorError: when it is not what Ganeti would say.
    """
    rows = _mapping(answer).get("data")
    if not isinstance(rows, list):
        raise HypervisorError("Ganeti's list of instances cannot be understood")
    return [_parse_instance(row) for row in rows]


def _parse_instance(row: Any) -> Instance:
    values: Dict[str, Any] = {}
    try:
        for field, (status, value) in zip(FIELDS, row):
            values[field] = value if status == _NORMAL else None
    except (TypeError, ValueError) as error:
        raise HypervisorError("Ganeti's list of instances cannot be understood") from error
    name, uuid = values.get("name"), values.get("uuid")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or not isinstance(uuid, str) or not _UUID.fullmatch(uuid):
        raise HypervisorError(
            f"Ganeti lists an instance {printable(str(name), 60)} with UUID {printable(str(uuid), 60)}"
        )
    running = values.get("oper_state")
    return Instance(
        name=name,
        uuid=uuid,
        running=running if isinstance(running, bool) else None,
        node=str(values.get("pnode") or ""),
        hypervisor=str(values.get("hypervisor") or ""),
        os=str(values.get("os") or ""),
        own=_mapping(values.get("custom_hvparams")),
        all=_mapping(values.get("hvparams")),
    )


def parse_job(answer: Any) -> bool:
    """Whether a job has done its work, from ``QueryJobs`` for status and opresult.

    :raises GuestError: when it failed, with Ganeti's reason.
    """
    try:
        ((status, results),) = answer
    except (TypeError, ValueError) as error:
        raise HypervisorError("Ganeti's description of a job cannot be understood") from error
    if status is None:
        raise GuestError("Ganeti no longer knows the job that was to change it")
    if not isinstance(status, str) or status not in (_SUCCESS, *_FAILURES, *_UNDER_WAY):
        raise HypervisorError("Ganeti's description of a job cannot be understood")
    if status in _FAILURES:
        raise GuestError(f"Ganeti's job ended as {status}: {printable(_reason(results), 300)}")
    return bool(status == _SUCCESS)


def parse_unfinished(answer: Any) -> str:
    """A job that has not ended and moves or saves instances, as Ganeti sums it up; empty when there is none."""
    rows = _mapping(answer).get("data")
    if not isinstance(rows, list):
        raise HypervisorError("Ganeti's list of jobs cannot be understood")
    summaries = [_reason(value) for row in rows for value in (row if isinstance(row, list) else [])]
    return next((printable(text, 100) for text in summaries if any(word in text for word in _ON_THE_MOVE)), "")


def parse_job_id(output: str) -> int:
    """The number that ``gnt-* --submit`` prints; commands for several instances put it before the name of each.

    :raises GuestError: when there is none, so that nobody knows whether there is a job.
    """
    found = re.search(r"^(?:JobID: ([0-9]{1,12})|([0-9]{1,12}): .*)$", output, re.MULTILINE)
    if found is None:
        raise GuestError(f"Ganeti told no job: {printable(output, 200)}")
    return int(found.group(1) or found.group(2))


def _reason(results: Any) -> str:
    """The texts within ``[["OpPrereqError", ["why", "wrong_input"]]]``, whichever way they are nested."""
    if isinstance(results, str):
        return results
    if isinstance(results, list):
        return ", ".join(filter(None, map(_reason, results[:10])))
    return ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
