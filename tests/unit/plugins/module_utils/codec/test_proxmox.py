# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proxmox VE's spelling: property strings by the table cases/proxmox/rng.json, and the files around them."""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.codec import proxmox as codec
from ansible_collections.fleet.rng.plugins.module_utils.converge import is_own
from ansible_collections.fleet.rng.plugins.module_utils.device import MAX_BYTES, MAX_PERIOD, Rate, RngDevice, Source
from ansible_collections.fleet.rng.plugins.module_utils.errors import InvalidValueError
from hypothesis import given
from hypothesis import strategies as st

CASES = json.loads((Path(__file__).parents[3] / "cases" / "proxmox" / "rng.json").read_text(encoding="utf-8"))
STAND_IN = Path(__file__).parents[4] / "stand_ins" / "proxmox"

CONFIG = """\
#a description, with rng0: /dev/hwrng in it
#%3A and more
agent: 1
args: -cpu host
boot: order=scsi0;net0
machine: q35,viommu=intel
name: web1
rng0: /dev/urandom
scsi0: local:101/vm-101-disk-0.raw,size=8G
smbios1: uuid=1F0A8A86-3B5D-4C5C-9A0E-0D6A6F6A7C11,base64=1

[PENDING]
delete: onboot,!scsi1
rng0: source=/dev/random,period=1000,max_bytes=0

[special:cloudinit]
name: other

[before-upgrade]
name: old
rng0: /dev/hwrng
"""


def config(text: str) -> codec.GuestConfig:
    return codec.parse_config(text.encode())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["text"] or "empty")
def test_property_strings(case: dict[str, Any]) -> None:
    if case.get("invalid"):
        with pytest.raises(InvalidValueError, match=r"^rng0: .* is not valid; allowed: \[source=\]S"):
            codec.parse_rng(case["text"])
        return
    found = codec.parse_rng(case["text"])
    assert found.handle == case["text"]
    assert found.unknown == case.get("unknown", "")
    assert is_own(found) is case.get("ours", False)
    if "device" in case:
        assert found.device == RngDevice.from_wire(case["device"])


devices = st.builds(
    RngDevice,
    st.sampled_from(codec.PATHS).map(Source.parse),
    st.just(Rate()) | st.builds(Rate, st.integers(1, MAX_BYTES), st.integers(1, MAX_PERIOD)),
)


@given(devices)
def test_what_is_written_is_read_back_as_ours(device: RngDevice) -> None:
    found = codec.parse_rng(codec.render_rng(device))
    assert found.device == device
    assert is_own(found)


@pytest.fixture(scope="module")
def oracle() -> Any:
    """The stand-in's own reading of the grammar, written independently."""
    sys.path.insert(0, str(STAND_IN))
    try:
        return importlib.import_module("pve_config")
    finally:
        sys.path.remove(str(STAND_IN))


parts = st.sampled_from(
    ["", " ", "/dev/urandom", "/dev/null", "source=/dev/random", "max_bytes=0", "max_bytes=5", "max_bytes=x"]
    + ["period=7", "period=-7", "period=", "=7", "other=7", "source=", "=", "max_bytes=+1", "period=1=1"]
)


@given(st.lists(parts, max_size=4).map(",".join) | st.text("/dev,urandom=source_1", max_size=20))
def test_the_stand_in_refuses_what_the_codec_refuses(oracle: Any, text: str) -> None:
    try:
        codec.parse_rng(text)
        refused = False
    except InvalidValueError:
        refused = True
    assert bool(oracle.rng_problem(text)) is refused


def test_a_configuration_with_everything() -> None:
    found = config(CONFIG)
    assert found.digest == hashlib.sha1(CONFIG.encode(), usedforsecurity=False).hexdigest()
    assert (found.name, found.machine, found.arch) == ("web1", "q35", "x86_64")
    assert found.uuid == "1f0a8a86-3b5d-4c5c-9a0e-0d6a6f6a7c11"
    assert [str(device) for device in found.devices(current=True)] == ["/dev/urandom, 1024 B / 1000 ms"]
    assert [str(device) for device in found.devices()] == ["/dev/random, unlimited"]
    assert found.deleted == {"onboot", "scsi1"}
    assert found.oddities() == ("rolling back to one of its snapshots brings the devices of that time back",)
    assert (found.lock, found.template) == ("", False)


def test_a_removal_that_is_pending() -> None:
    found = config("rng0: /dev/urandom\n\n[pending]\ndelete: rng0\n")
    assert found.devices() == ()
    assert len(found.devices(current=True)) == 1


@pytest.mark.parametrize(
    ("text", "attribute", "value"),
    [
        ("lock: backup\n", "lock", "backup"),
        ("template: 1\n", "template", True),
        ("template: 0\n", "template", False),
        ("arch: aarch64\n", "machine", "virt"),
        ("", "machine", "pc"),
        ("machine: type=pc-i440fx-9.2+pve1,viommu=virtio\n", "machine", "pc-i440fx-9.2+pve1"),
        ("smbios1: base64=1,uuid=1f0a8a86\n", "uuid", ""),
        ("name web1\nName: x\nname:\n", "name", ""),
        ("name: one\nname: two\n", "name", "two"),
        ("delete: name\nname: one\n", "name", "one"),
        ("[snap]\nname: one\n", "snapshots", True),
        ("[special:fleecing]\nname: one\n", "snapshots", False),
    ],
)
def test_attributes(text: str, attribute: str, value: object) -> None:
    assert getattr(config(text), attribute) == value


def test_what_proxmox_ignores_is_ignored_and_noted() -> None:
    found = config("rng0: /dev/zero\nargs: -device virtio-rng-pci\n")
    assert found.devices() == found.devices(current=True) == ()
    assert found.oddities() == (
        "has an RNG in args, which Proxmox VE does not see",
        "Proxmox VE ignores its rng0, which is not valid: /dev/zero",
    )


@given(st.binary(max_size=200))
def test_no_file_is_too_strange(raw: bytes) -> None:
    assert codec.parse_config(raw).name is not None


def test_the_api_and_the_file_say_the_same() -> None:
    found = config(CONFIG)
    answer = [{"key": "digest", "value": found.digest}, {"key": "onboot", "value": 1, "delete": 1}]
    answer += [{"key": key, "value": value} for key, value in found.active.items() if key != "rng0"]
    answer += [{"key": "rng0", "value": "/dev/urandom", "pending": found.pending["rng0"]}]
    answer += [{"key": "scsi1", "delete": 2}, {"key": "parent", "value": "before-upgrade"}]
    told = codec.parse_pending(answer)
    assert (told.devices(), told.devices(current=True)) == (found.devices(), found.devices(current=True))
    assert (told.digest, told.deleted, told.oddities()) == (found.digest, found.deleted, found.oddities())


@pytest.mark.parametrize("answer", [None, {}, "x", [1], [{"value": 1}]])
def test_answers_that_are_none(answer: object) -> None:
    for parse in (codec.parse_pending, codec.parse_list, codec.parse_site):
        with pytest.raises(InvalidValueError, match=r"^the answer of the API: "):
            parse(answer)


def test_the_list_of_guests() -> None:
    listed = codec.parse_list(
        [
            {"vmid": 110, "name": "b", "status": "running", "pid": 4711, "lock": "backup"},
            {"vmid": "102", "status": "stopped", "template": 1},
        ]
    )
    assert listed == [
        codec.Listed(102, "VM 102", template=True),
        codec.Listed(110, "b", running=True, pid=4711, lock="backup"),
    ]
    with pytest.raises(InvalidValueError, match=r"^vmid: '\.\./1' is not valid"):
        codec.parse_list([{"vmid": "../1"}])


def test_the_site() -> None:
    node = {"type": "node", "name": "pve1", "local": 1}
    assert codec.parse_site([{"type": "node", "name": "pve2", "local": 0}, node]) == ("", "pve1")
    assert codec.parse_site([{"type": "cluster", "name": "main"}, node]) == ("main", "pve1")
