# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU's configuration files: reading what QEMU reads, and changing nothing that is not ours."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.codec.readconfig import (
    add,
    find_rngs,
    parse,
    remove,
    render,
)
from ansible_collections.fleet.rng.plugins.module_utils.device import RngDevice
from ansible_collections.fleet.rng.plugins.module_utils.errors import GuestError
from ansible_collections.fleet.rng.plugins.module_utils.observation import FoundDevice
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.strategies import devices
from hypothesis import given

THEIRS = """# a q35 machine
[machine]
  type = "q35"

[name]
  guest = "web1"
[device "rp1"]
  driver = "pcie-root-port"
[object "rng0"]
  qom-type = "rng-random"
  filename = "/dev/random"

[device "vrng0"]
  driver = "virtio-rng-pci"
# the quota
  rng = "rng0"
  max-bytes = "0x400"
  period = "1000"
\tbus = "rp1"
[device]
 driver = "virtio-rng-pci"
"""
FILES = [
    "",
    "\n",
    "# only a comment",
    THEIRS,
    THEIRS.rstrip("\n"),
    THEIRS + "\n\n# the end\n",
    THEIRS.replace("# the quota", "# \udcff\u2028\x0b\r"),
]


def one(file: str, alias: str) -> FoundDevice:
    return next(found for found in find_rngs(parse(file)) if found.alias == alias)


def test_what_a_file_says() -> None:
    file = parse(THEIRS)
    assert (file.value("machine", "type"), file.value("name", "guest"), file.value("x", "y")) == ("q35", "web1", "")
    assert (file.ports, file.buses, file.has_own) == (("rp1",), ("rp1",), False)
    first, second = find_rngs(file)
    assert first == FoundDevice(RngDevice.from_wire({"source": "/dev/random"}), "vrng0")
    assert second == FoundDevice(RngDevice.from_wire({"source": "builtin", "max_bytes": "unlimited"}), "")


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("source", ["/dev/urandom", "builtin", "egd+unix:/run/egd.sock", "egd+tcp://[::1]:708"])
def test_adding_and_removing_leaves_every_byte(file: str, source: str) -> None:
    first, second = RngDevice.from_wire({"source": source}), RngDevice.from_wire({"max_bytes": 7})
    added = add(file, first, "ua-fleet-rng", bus="rp9")
    assert added.startswith(file)
    assert parse(added).has_own
    assert one(added, "ua-fleet-rng").device == first
    assert remove(added, one(added, "ua-fleet-rng")) == file
    both = add(added, second, "ua-fleet-rng-2")
    assert [found.device for found in find_rngs(parse(both))][-2:] == [first, second]
    assert remove(both, one(both, "ua-fleet-rng-2")) == added
    replaced = remove(both, one(both, "ua-fleet-rng"))
    assert one(replaced, "ua-fleet-rng-2").device == second
    assert remove(replaced, one(replaced, "ua-fleet-rng-2")) == file


@given(devices)
def test_every_device_survives(device: RngDevice) -> None:
    if device.source.transport == "udp":
        return  # refused before it gets here
    (found,) = find_rngs(parse(render(device, "ua-fleet-rng")))
    on = tuple((name, value) for name, value in device.driver if value)
    assert found.device == RngDevice(device.source, device.rate, device.model, on)


def test_what_others_appended_meanwhile_stays() -> None:
    added = add("# no end", RngDevice.from_wire({}), "ua-fleet-rng") + '[device]\n  driver = "e1000"\n'
    assert remove(added, one(added, "ua-fleet-rng")) == '# no end\n[device]\n  driver = "e1000"\n'


def test_devices_of_others_go_with_what_only_they_use() -> None:
    gone = remove(THEIRS, one(THEIRS, "vrng0"))
    assert "rng0" not in gone
    assert [found.alias for found in find_rngs(parse(gone))] == [""]
    assert gone.startswith("# a q35 machine\n[machine]\n")
    shared = THEIRS + '[device "vrng1"]\n  driver = "virtio-rng-pci"\n  rng = "rng0"\n'
    assert '[object "rng0"]' in remove(shared, one(shared, "vrng0"))


def test_a_device_without_an_id_goes_by_its_place() -> None:
    nameless = find_rngs(parse(THEIRS))[1]
    gone = remove(THEIRS, nameless)
    assert gone == THEIRS[: THEIRS.index("[device]\n")]
    with pytest.raises(GuestError, match="changed meanwhile"):
        remove(gone, nameless)
    with pytest.raises(GuestError, match="changed meanwhile"):
        remove("", FoundDevice(None, "vrng0"))


@pytest.mark.parametrize(
    ("device", "found"),
    [
        ('driver = "virtio-rng-pci"\n rng = "none"', "backend none, which is not defined there"),
        ('driver = "virtio-rng-pci"\n max-bytes = "0"', "0 starves the guest"),
        ('driver = "virtio-rng-pci"\n max-bytes = "1K"', "max_bytes: '1K' is not valid"),
        ('driver = "virtio-rng-pci-x"', "model: 'virtio-x' is not valid"),
        ('driver = "virtio-rng-pci"\n rng = "e"\n[object "e"]\n qom-type = "rng-egd"', "does not connect to a socket"),
    ],
)
def test_what_has_no_words(device: str, found: str) -> None:
    (unknown,) = find_rngs(parse(f"[device]\n {device}\n"))
    assert unknown.device is None
    assert found in unknown.unknown


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"driver": "virtio-rng-ccw"}, {"model": "virtio"}),
        ({"driver": "virtio-rng-pci-transitional"}, {"model": "virtio-transitional"}),
        ({"driver": "virtio-rng-pci", "max-bytes": "64"}, {"max_bytes": 64, "period": 65536}),
        ({"driver": "virtio-rng-pci", "iommu_platform": "on", "ats": "off"}, {"driver": {"iommu": True}}),
    ],
)
def test_other_spellings(options: dict[str, str], expected: dict[str, Any]) -> None:
    text = "[device]\n" + "".join(f'{name} = "{value}"\n' for name, value in options.items())
    (found,) = find_rngs(parse(text))
    assert found.device == RngDevice.from_wire({"source": "builtin", "max_bytes": "unlimited", **expected})


def test_backends_on_the_command_line() -> None:
    backend = {"qom-type": "rng-egd", "id": "r", "chardev": "c"}
    socket = {"backend": "socket", "id": "c", "path": "/run/egd.sock"}
    (found,) = find_rngs(parse('[device]\ndriver = "virtio-rng-pci"\nrng = "r"\n'), [backend], [socket])
    assert str(found.device).startswith("egd+unix:/run/egd.sock")


@pytest.mark.parametrize(
    "text",
    [
        'driver = "before any section"\n',
        "[machine]\n  type = q35\n",
        "[machine]\n   \n",
        '[machine]\n  type="q35"\n',
        "[machine]\n" + f'  x = "{"y" * 2000}"\n',
        "root:x:0:0:root:/root:/bin/bash\n",
    ],
)
def test_what_qemu_would_not_start_with(text: str) -> None:
    with pytest.raises(GuestError, match=r"line \d") as raised:
        parse(text)
    assert not any(line.strip() and line.strip() in str(raised.value) for line in text.splitlines()), (
        "it may be any file"
    )
