# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt's XML: what we send (cases/libvirt/rng), what libvirt prints (printed.json), and where a device fits.

In topology.json a controller is a PCI controller of the guest, and a device is its ``[bus, slot]``.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.codec import libvirt as codec
from ansible_collections.fleet.rng.plugins.module_utils.device import DRIVER_OPTIONS, MODELS, RngDevice
from ansible_collections.fleet.rng.plugins.module_utils.errors import GuestError
from ansible_collections.fleet.rng.plugins.module_utils.observation import FoundDevice
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils import strategies
from hypothesis import given

CASES = Path(__file__).parents[3] / "cases" / "libvirt"
OWN = "ua-fleet-rng"


def load(name: str) -> Any:
    return json.loads((CASES / name).read_text(encoding="utf-8"))


GOLDEN = load("rng.json")


def canonical(xml: str) -> str:
    return ET.canonicalize(xml, strip_text=True)


@pytest.mark.parametrize("name", GOLDEN)
def test_render(name: str) -> None:
    device = RngDevice.from_wire(GOLDEN[name], codec.MAX_BYTES)
    expected = (CASES / "rng" / name).read_text(encoding="utf-8")
    assert canonical(codec.render_rng(device, OWN)) == canonical(expected)


@pytest.mark.parametrize("name", GOLDEN)
def test_parse(name: str) -> None:
    found = codec.parse_rng(ET.fromstring((CASES / "rng" / name).read_text(encoding="utf-8")))
    assert found == FoundDevice(RngDevice.from_wire(GOLDEN[name], codec.MAX_BYTES), OWN)


def test_every_property_and_every_choice_is_in_a_golden_file() -> None:
    devices = [RngDevice.from_wire(wire) for wire in GOLDEN.values()]
    assert sorted(path.name for path in (CASES / "rng").iterdir()) == sorted(GOLDEN)
    assert {device.model for device in devices} == set(MODELS)
    assert {device.source.kind for device in devices} == {"random", "builtin", "egd"}
    assert {device.source.transport for device in devices} == {"", "unix", "tcp", "udp"}
    assert {name for device in devices for name, dummy in device.driver} == set(DRIVER_OPTIONS)
    assert {on for device in devices for dummy, on in device.driver} == {True, False}
    assert {device.rate.max_bytes is None for device in devices} == {True, False}


def test_without_an_alias_libvirt_gives_one() -> None:
    assert "alias" not in codec.render_rng(RngDevice.from_wire({}))


@given(strategies.devices)
def test_what_is_rendered_is_parsed_again(device: RngDevice) -> None:
    assert codec.parse_rng(ET.fromstring(codec.render_rng(device, OWN))) == FoundDevice(device, OWN)


@pytest.mark.parametrize("case", load("printed.json"), ids=lambda case: case["name"])
def test_what_libvirt_prints(case: dict[str, Any]) -> None:
    found = codec.parse_rng(ET.fromstring(case["xml"]))
    assert found.alias == case.get("alias", "")
    if "device" in case:
        assert found.device == RngDevice.from_wire(case["device"])
    else:
        assert found.device is None
        assert found.unknown.startswith(case["unknown"])


def test_the_handle_is_the_whole_element() -> None:
    xml = '<rng model="virtio"><backend model="quantum"/><address type="pci" bus="0x05"/></rng>'
    assert canonical(codec.parse_rng(ET.fromstring(xml)).handle) == canonical(xml)


def domain(devices: str = "", extra: str = "", machine: str = "pc-q35-7.2", arch: str = "x86_64") -> str:
    return (
        f"<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>"
        f"<name>web1</name><os><type arch='{arch}' machine='{machine}'>hvm</type></os>"
        f"<devices><emulator>/usr/bin/qemu</emulator>{devices}</devices>{extra}</domain>"
    )


def test_a_domain() -> None:
    rng = "<rng model='virtio'><backend model='builtin'/></rng>"
    parsed = codec.parse_domain(domain(f"<disk/>{rng}<interface/>{rng}"))
    assert (parsed.arch, parsed.machine) == ("x86_64", "pc-q35-7.2")
    assert [str(found) for found in parsed.rngs] == ["builtin, unlimited"] * 2
    assert parsed.identity == ("/usr/bin/qemu", "x86_64", "pc-q35-7.2", "kvm")
    assert not parsed.rng_on_command_line


def test_an_rng_in_the_metadata_is_none_of_the_guests() -> None:
    theirs = "<metadata><x:devices xmlns:x='urn:x'><rng><backend model='builtin'/></rng></x:devices></metadata>"
    assert codec.parse_domain(domain(extra=theirs)).rngs == ()


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["-device", "virtio-rng-pci,rng=rng0"], True),
        (["-object", "rng-random,id=objrng0,filename=/dev/urandom"], True),
        (["-object", "rng-egd,id=r,chardev=c"], True),
        (["-object", '{"qom-type":"rng-builtin","id":"r"}'], True),
        (["-device", "virtio-balloon-pci"], False),
        ([], False),
    ],
)
def test_an_rng_on_the_command_line(arguments: list[str], found: bool) -> None:
    values = "".join(f"<qemu:arg value='{argument}'/>" for argument in arguments)
    xml = domain(extra=f"<qemu:commandline>{values}</qemu:commandline>")
    assert codec.parse_domain(xml).rng_on_command_line == found


@pytest.mark.parametrize(
    "metadata",
    [
        "<!-- <!DOCTYPE domain [<!ENTITY x 'y'>]> -->",
        "<metadata><x xmlns='urn:x'><![CDATA[<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/shadow'>]>]]></x></metadata>",
        "<description>&lt;!DOCTYPE</description>",
    ],
)
def test_text_that_looks_like_a_doctype_does_no_harm(metadata: str) -> None:
    assert codec.parse_domain(domain(extra=metadata)).machine == "pc-q35-7.2"


@pytest.mark.parametrize(
    "xml",
    [
        "",
        "no XML",
        "<domain",
        "<domain></domains>",
        "<network/>",
        "<!DOCTYPE domain [<!ENTITY a 'b'>]><domain>&a;</domain>",
        "<?xml version='1.0'?><!DOCTYPE domain SYSTEM 'file:///etc/shadow'><domain/>",
        "<!-- --><!DOCTYPE domain><domain/>",
        "<domain><name>&undefined;</name></domain>",
        "<domain>\x00</domain>",
        "<domain>\ud800</domain>",
        "<domain><!DOCTYPE x></domain>",
    ],
    ids=ascii,
)
def test_what_is_no_domain_is_refused(xml: str) -> None:
    with pytest.raises(GuestError):
        codec.parse_domain(xml)


def test_a_domain_that_says_nothing() -> None:
    parsed = codec.parse_domain("<domain/>")
    assert (parsed.arch, parsed.machine, parsed.rngs) == ("", "", ())


@pytest.mark.parametrize("case", load("topology.json"), ids=lambda case: case["name"])
def test_where_a_device_fits(case: dict[str, Any]) -> None:
    root = ET.Element("devices")
    for given_controller in case["controllers"]:
        attributes = {name: str(given_controller[name]) for name in ("index", "model")}
        controller = ET.SubElement(root, "controller", type="pci", **attributes)
        if "hotplug" in given_controller:
            ET.SubElement(controller, "target", hotplug=given_controller["hotplug"])
    ET.SubElement(root, "controller", type="usb", index="0", model="qemu-xhci")
    for bus, slot in case["devices"]:
        device = ET.SubElement(root, "disk")
        ET.SubElement(device, "address", type="pci", domain="0x0000", bus=f"0x{bus:02x}", slot=f"0x{slot:02x}")
    devices = "".join(ET.tostring(element, encoding="unicode") for element in root)
    xml = domain(devices, machine=case["machine"], arch=case["arch"])
    assert codec.parse_domain(xml, case["model"]).blocked == case["blocked"]


def test_the_address_of_a_host_device_on_the_host_takes_no_slot_in_the_guest() -> None:
    ports = "<controller type='pci' index='1' model='pcie-root-port'/>"
    source = "<hostdev><source><address type='pci' bus='0x01' slot='0x00'/></source></hostdev>"
    assert codec.parse_domain(domain(ports + source)).blocked == {}


def enums(**values: list[str]) -> str:
    lists = "".join(
        f"<enum name='{name}'>{''.join(f'<value>{value}</value>' for value in found)}</enum>"
        for name, found in values.items()
    )
    return f"<domainCapabilities><devices><rng supported='yes'>{lists}</rng></devices></domainCapabilities>"


def test_domain_capabilities() -> None:
    xml = enums(model=["virtio", "virtio-transitional"], backendModel=["random", "egd", "builtin"])
    assert codec.parse_rng_capabilities(xml) == (("virtio", "virtio-transitional"), ("random", "egd", "builtin"))


def test_a_qemu_without_virtio_rng() -> None:
    xml = "<domainCapabilities><devices><rng supported='no'/></devices></domainCapabilities>"
    assert codec.parse_rng_capabilities(xml) == ((), ())


@pytest.mark.parametrize("xml", ["<domainCapabilities><devices/></domainCapabilities>", "<domainCapabilities/>"])
def test_a_libvirt_from_before_it_listed_rngs_does_not_say_that_there_are_none(xml: str) -> None:
    with pytest.raises(GuestError, match="does not list RNGs"):
        codec.parse_rng_capabilities(xml)


@pytest.mark.parametrize(
    ("models", "user"),
    [
        ([("apparmor", "libvirt-uuid"), ("dac", "+64055:+109")], (64055, 109)),
        ([("dac", "0:0")], (0, 0)),
        ([("dac", "qemu:qemu")], None),
        ([("dac", "")], None),
        ([("selinux", "system_u:system_r:svirt_t:s0")], None),
        ([("none", "")], None),
        ([], None),
    ],
)
def test_the_user_that_qemu_runs_as(models: list[tuple[str, str]], user: tuple[int, int] | None) -> None:
    labels = "".join(
        f"<secmodel><model>{model}</model><doi>0</doi><baselabel type='kvm'>{label}</baselabel></secmodel>"
        for model, label in models
    )
    assert codec.parse_qemu_user(f"<capabilities><host>{labels}</host></capabilities>") == user


def test_a_document_as_long_as_libvirt_can_hand_out_takes_no_device() -> None:
    def blocked(length: int) -> list[str]:
        start = "<domain><title>"
        end = "</title><devices><controller type='pci' index='0' model='pci-root'/></devices></domain>"
        return sorted(codec.parse_domain(start + "x" * (length - len(start) - len(end)) + end).blocked)

    assert blocked(codec.MAX_DOCUMENT - 8192) == []
    assert blocked(codec.MAX_DOCUMENT - 1024) == ["config", "live"]
