# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The device files that the role writes for guests to come, given to the programs that are to read them."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.codec.libvirt import parse_rng
from ansible_collections.fleet.rng.plugins.module_utils.device import RngDevice
from lab import Host

DIRECTORY = "/etc/rng devices"
AWKWARD = "/dev/a & b's <c> {{ d }} %e\\f"  # nobody would, but everybody may
DEVICES: dict[str, dict[str, Any]] = {
    "default": {},
    "random": {"source": "/dev/random", "max_bytes": 64, "period": 1},
    "largest": {"max_bytes": 2**32 - 1, "period": 2**32 - 1},
    "builtin": {"source": "builtin", "max_bytes": "unlimited"},
    "awkward": {"source": AWKWARD},
    "egd_unix": {"source": "egd+unix:/run/egd & co's/<socket>"},
    "egd_tcp": {"source": "egd+tcp://localhost:708"},
    "egd_tcp6": {"source": "egd+tcp://[::1]:708", "max_bytes": "unlimited"},
    "egd_udp": {"source": "egd+udp://127.0.0.1:709"},
    "transitional": {"model": "virtio-transitional"},
    "non_transitional": {"model": "virtio-non-transitional"},
    "options_on": {"driver": {"iommu": True, "ats": True, "packed": True, "page_per_vq": True}},
    "options_off": {"driver": {"iommu": False, "packed": False}},
}
QOM_DRIVERS = {
    "virtio": "virtio-rng-pci",
    "virtio-transitional": "virtio-rng-pci-transitional",
    "virtio-non-transitional": "virtio-rng-pci-non-transitional",
}
QOM_OPTIONS = {"iommu": "iommu_platform", "ats": "ats", "packed": "packed", "page_per_vq": "page-per-vq"}
QOM_BACKENDS = {"random": "rng-random", "builtin": "rng-builtin", "egd": "rng-egd"}


def device(name: str) -> RngDevice:
    return RngDevice.from_wire(DEVICES[name])


@pytest.fixture(scope="module")
def host(lab, tmp_path_factory) -> Host:
    """A hypervisor with the files of all devices, written by the role's own tasks and templates."""
    from integration.role.conftest import Fleet

    policies = [{"name": name, "device": device(name).to_wire()} for name in DEVICES]
    tasks = {"name": "fleet.rng.virtio_rng", "tasks_from": "configs"}
    play = {
        "hosts": "hv1",
        "gather_facts": False,
        "vars_files": ["plan.json"],
        "tasks": [{"name": name, "ansible.builtin.include_role": tasks} for name in ("Write", "Write again")],
    }
    fleet = Fleet(lab, tmp_path_factory.mktemp("configs"))
    hypervisor: Host = lab.host("hv1")
    hypervisor.check("rm", "-rf", DIRECTORY, AWKWARD)
    plan = {"virtio_rng_plan": {"plan": {"hosts": {"hv1": {"policies": policies}}}}}
    # What comes from a module is never templated; neither may this be.
    text = json.dumps(plan).replace("{{ d }}", "{{ '{{ d }}' }}")
    (fleet.directory / "plan.json").write_text(text)
    shown = fleet.play([play], "-e", json.dumps({"virtio_rng_config_dir": DIRECTORY}))
    assert "changed=3" in shown  # the directory and the files of both kinds, once
    hypervisor.check("mknod", "-m", "0666", AWKWARD, "c", "1", "9")
    return hypervisor


@pytest.mark.parametrize("name", DEVICES)
def test_libvirt_attaches_the_device(host, lab, name):
    guest = lab.guest("one")
    host.define(lab.domain_xml(guest))
    host.virsh("attach-device", "--domain", guest.uuid, "--file", f"{DIRECTORY}/{name}.xml", "--config")
    domain = ET.fromstring(host.virsh("dumpxml", "--inactive", "--domain", guest.uuid))
    assert [parse_rng(element).device for element in domain.iterfind("devices/rng")] == [device(name)]


@pytest.mark.parametrize("name", DEVICES)
def test_libvirt_schema_allows_it(host, lab, name):
    domain = ET.fromstring(lab.domain_xml(lab.guest("two")))
    devices = domain.find("devices")
    assert devices is not None
    devices.append(ET.fromstring(host.check("cat", f"{DIRECTORY}/{name}.xml")))
    host.write("/root/domain.xml", ET.tostring(domain, encoding="unicode"))
    host.virsh("define", "--validate", "--file", "/root/domain.xml")


@pytest.mark.parametrize("name", DEVICES)
def test_qemu_starts_with_it(host, name):
    wanted = device(name)
    path = "/machine/peripheral/fleetvrng0"
    expected: dict[str, Any] = {"type": QOM_DRIVERS[wanted.model]}
    if wanted.rate.max_bytes is not None:
        expected |= {"max-bytes": wanted.rate.max_bytes, "period": wanted.rate.period}
    expected |= {QOM_OPTIONS[option]: on for option, on in wanted.driver}
    found = qmp(host, name, [("qom-get", {"path": path, "property": item}) for item in expected])
    assert dict(zip(expected, found, strict=True)) == expected
    (kind,) = qmp(host, name, [("qom-get", {"path": "/objects/fleetrng0", "property": "type"})])
    assert kind == QOM_BACKENDS[wanted.source.kind]


def qmp(host: Host, name: str, commands: list[tuple[str, dict[str, str]]]) -> list[Any]:
    """Start QEMU with the file, ask it, and let it end; a bad file ends it before it answers."""
    asked = [("qmp_capabilities", {}), *commands, ("quit", {})]
    lines = "".join(json.dumps({"execute": word, "arguments": given}) + "\n" for word, given in asked)
    options = ["-machine", "q35,accel=tcg", "-nodefaults", "-display", "none", "-S", "-qmp", "stdio"]
    output = host.check("qemu-system-x86_64", *options, "-readconfig", f"{DIRECTORY}/{name}.cfg", stdin=lines)
    answers = [json.loads(line) for line in output.splitlines()]
    assert not [answer for answer in answers if "error" in answer]
    return [answer["return"] for answer in answers if "return" in answer][1:-1]


def test_policies_of_the_inventory_become_files(fleet):
    groups = {
        "guests": {
            "children": {
                "web": {"hosts": {"one": {}, "three": {}}, "vars": {"virtio_rng_max_bytes": 4096}},
                "mixed": {"hosts": {"two": {"virtio_rng_max_bytes": 128}, "four": {}}},
            }
        }
    }
    for host in fleet.lab.hosts.values():
        host.check("rm", "-rf", "/etc/rng")
    fleet.play("fleet.rng.enable_rng", "-e", "virtio_rng_config_dir=/etc/rng", "--check", inventory=groups)
    assert fleet.lab.host("hv2").run("ls", "/etc/rng").returncode != 0  # check mode writes nothing
    fleet.play("fleet.rng.enable_rng", "-e", "virtio_rng_config_dir=/etc/rng", inventory=groups)
    for host in fleet.lab.hosts.values():
        # mixed has no device that all its guests share
        assert host.check("ls", "/etc/rng").split() == ["default.cfg", "default.xml", "web.cfg", "web.xml"]
        assert "bytes='4096'" in host.check("cat", "/etc/rng/web.xml")
    again = fleet.play("fleet.rng.enable_rng", "-e", "virtio_rng_config_dir=/etc/rng", inventory=groups)
    assert again.count("changed=0") == 2
