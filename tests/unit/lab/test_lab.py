# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's pure parts: specs, domain XML, addresses, and process identity."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml
from lab import GuestSpec, HostSpec, HwRng, LabError, LabSpec
from lab.domain import GuestNet, domain_xml
from lab.fleet import Lab
from lab.host import INSIDE
from lab.inventory import write_inventory
from lab.network import Network, mac
from lab.process import Process
from lab.spec import AGENTS

RNG = "<rng model='virtio'><backend model='builtin'/></rng>"


def test_spec_round_trip() -> None:
    given = {
        "hosts": {
            "hv1": {
                "groups": ["rack1"],
                "hwrng": {"current": "tpm-rng-0", "available": ["tpm-rng-0", "none"], "mode": "0644"},
                "guests": {"web1": {"machine": "pc", "ssh": True, "groups": ["web"]}, "-x; $(reboot)": None},
            },
            "qemu1": {"kind": "qemu", "guests": {"app1": {"readconfig": "# theirs"}}},
            "plain": {"kind": "none"},
        }
    }
    spec = LabSpec.parse(given)
    assert spec.hosts[0] == HostSpec(
        "hv1",
        groups=("rack1",),
        hwrng=HwRng(current="tpm-rng-0", available=("tpm-rng-0", "none"), mode="0644"),
        guests=(GuestSpec("web1", machine="pc", ssh=True, groups=("web",)), GuestSpec("-x; $(reboot)")),
    )
    assert spec.needs_ssh_guests
    assert LabSpec.parse(json.loads(json.dumps(spec.to_data()))) == spec


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("[]", "a mapping is needed"),
        ("{}", "exactly one key"),
        ("{hosts: {}}", "at least one"),
        ("{hosts: {hv1: {}}, more: 1}", "exactly one key"),
        ("{hosts: {HV_1: {}}}", "lower case"),
        ("{hosts: {hv1: {gests: {}}}}", "unknown key 'gests'"),
        ("{hosts: {hv1: {guests: {web1: {spare_ports: many}}}}}", "not of type int"),
        ("{hosts: {hv1: {guests: {web1: {spare_ports: true}}}}}", "not of type int"),
        ("{hosts: {hv1: {guests: {off: {}}}}}", "put it in quotes"),
        ("{hosts: {hv1: {kind: xen}}}", "kind is one of libvirt, qemu, proxmox, ganeti, none"),
        ("{hosts: {hv1: {kind: none, guests: {web1: {}}}}}", "nothing starts guests"),
        ("{hosts: {hv1: {guests: {web1: {readconfig: '#'}}}}}", "readconfig is for hosts of kind qemu"),
        ("{hosts: {hv1: {kind: qemu, guests: {web1: {rng: <rng/>}}}}}", "rng is for hosts of kind libvirt"),
        ("{hosts: {hv1: {kind: qemu, guests: {../web1: {}}}}}", "names of files"),
        ("{hosts: {hv1: {guests: {web1: {config: 'memory: 1'}}}}}", "config is for hosts of kind proxmox"),
        ("{hosts: {hv1: {kind: proxmox, guests: {web1: {parameters: [a=b]}}}}}", "is for hosts of kind ganeti"),
        ("{hosts: {hv1: {kind: ganeti, guests: {web1: {ssh: true}}}}}", "neither ssh nor an agent"),
        ("{hosts: {hv1: {kind: proxmox, guests: {web1: {agent: hung}}}}}", "neither ssh nor an agent"),
        ("{hosts: {hv1: {hwrng: {device: tpm}}}}", "urandom, real or none"),
        ("{hosts: {hv1: {hwrng: {mode: '600'}}}}", "octal"),
        ("{hosts: {hv1: {guests: {web1: {agent: dead}}}}}", "agent is one of alive, "),
        ("{hosts: {hv1: {guests: {web1: {driver: 'no'}}}}}", "not of type bool"),
    ],
)
def test_spec_mistakes_are_named(spec: str, why: str) -> None:
    with pytest.raises(LabError, match=why):
        LabSpec.parse(yaml.safe_load(spec))


def ports(guest: GuestSpec, net: GuestNet | None = None) -> int:
    domain = ET.fromstring(domain_xml("hv1", guest, net))
    return len(domain.findall("devices/controller[@model='pcie-root-port']"))


def test_root_ports_are_what_the_devices_take_plus_the_spare_ones() -> None:
    net = GuestNet("10.57.6.0/22", "52:54:0a:39:06:00", "AAAA")
    assert ports(GuestSpec("a", spare_ports=0)) == 1  # the agent's virtio-serial
    assert ports(GuestSpec("a", spare_ports=3, rng=RNG)) == 5
    assert ports(GuestSpec("a", spare_ports=0, ssh=True), net) == 2
    assert ports(GuestSpec("a", machine="pc", spare_ports=3)) == 0


def test_domain_holds_what_the_spec_adds() -> None:
    guest = GuestSpec("a", rng=RNG, devices="<graphics type='vnc' passwd='secret'/>", domain="<title>T</title>")
    domain = ET.fromstring(domain_xml("hv1", guest))
    assert domain.find("devices/rng/backend[@model='builtin']") is not None
    assert domain.find("devices/graphics[@passwd='secret']") is not None
    assert domain.findtext("title") == "T"
    assert domain.findtext("devices/emulator") == "/usr/bin/qemu-system-x86_64"
    with pytest.raises(LabError, match="guest a"):
        domain_xml("hv1", GuestSpec("a", rng="<rng>"))


def test_guest_learns_address_and_key_from_its_command_line() -> None:
    net = GuestNet("10.57.6.0/22", "52:54:0a:39:06:00", "AAAAkey")
    domain = ET.fromstring(domain_xml("hv1", GuestSpec("a", ssh=True, cmdline="fips=1"), net))
    words = (domain.findtext("os/cmdline") or "").split()
    assert {"lab.address=10.57.6.0/22", "lab.key=AAAAkey", "no_timer_check", "fips=1"} <= set(words)
    assert (domain.findtext("os/initrd") or "").endswith("/ssh.initrd")
    assert domain.find("devices/interface/source[@bridge='br0']") is not None


def test_guest_learns_from_its_command_line_how_to_behave() -> None:
    def behaviour(guest: GuestSpec) -> list[str]:
        words = (ET.fromstring(domain_xml("hv1", guest)).findtext("os/cmdline") or "").split()
        return [word for word in words if word.startswith("lab.")]

    assert behaviour(GuestSpec("a")) == []
    name = "<script>alert(1)</script> 'a b'"
    assert behaviour(GuestSpec("a", agent="hung", driver=False, os_name=name)) == [
        "lab.agent=hung",
        "lab.driver=no",
        f"lab.os_name={base64.b64encode(name.encode()).decode()}",
    ]


def test_every_agent_is_known_in_the_guest() -> None:
    scripts = [INSIDE / "guest-init.sh", INSIDE / "fake-agent.sh"]
    text = "\n".join(path.read_text() for path in scripts)
    for agent in AGENTS:
        assert re.search(rf"^\s*{agent}(\)|\(\)|/\*\))", text, re.MULTILINE), agent


@pytest.mark.parametrize(
    ("kind", "command", "answer"),
    [
        ("windows", '{"execute":"guest-sync", "arguments":{"id":4711}}', {"return": 4711}),
        ("garbage", '{"execute":"guest-sync", "arguments":{"id":4711}}', {"return": 4711}),
        ("windows", '{"execute":"guest-ping"}', {"return": {}}),
        (
            "freebsd",
            '{"execute":"guest-file-open","arguments":{"path":"/\\"","mode":"r"}}',
            {"error": {"class": "CommandNotFound", "desc": "The command guest-file-open has not been found"}},
        ),
        ("garbage", '{"execute":"guest-exec-status","arguments":{"pid":1}}', {"return": None}),
        ("megabytes", '{"execute":"guest-exec","arguments":{"path":"/bin/true"}}', {"return": {"pid": 4242}}),
    ],
)
def test_fake_agent_answers_in_one_line_of_json(kind: str, command: str, answer: object, tmp_path: Path) -> None:
    assert json.loads(ask_fake_agent(kind, command, tmp_path)) == answer


@pytest.mark.parametrize("kind", ["windows", "freebsd"])
def test_fake_agent_says_what_it_is(kind: str, tmp_path: Path) -> None:
    listed = json.loads(ask_fake_agent(kind, '{"execute":"guest-info"}', tmp_path))["return"]["supported_commands"]
    answers = {
        item["name"]: json.loads(ask_fake_agent(kind, json.dumps({"execute": item["name"]}), tmp_path))["return"]
        for item in listed
    }
    assert kind in answers["guest-get-osinfo"]["id"]
    if kind == "windows":
        ids = [(item["id"]["vendor-id"], item["id"]["device-id"]) for item in answers["guest-get-devices"]]
        assert (0x1AF4, 0x1044) in ids


def test_fake_agent_floods_with_valid_json_and_can_babble(tmp_path: Path) -> None:
    flood = json.loads(ask_fake_agent("megabytes", '{"execute":"guest-file-read"}', tmp_path))["return"]
    assert len(flood["buf-b64"]) == 3 * 1024 * 1024
    assert not flood["eof"]
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(ask_fake_agent("garbage", '{"execute":"nonsense"}', tmp_path))


def ask_fake_agent(kind: str, command: str, folder: Path) -> str:
    """One answer of the fake agent, with a file for its port."""
    port = folder / "port"
    port.unlink(missing_ok=True)
    port.write_text(command + "\n")
    # What it writes comes after the question: reading and writing share one offset.
    with subprocess.Popen(["sh", INSIDE / "fake-agent.sh", kind, port], stdin=subprocess.DEVNULL) as agent:
        try:
            end = time.monotonic() + 60
            while True:
                lines = port.read_text().split("\n")
                if len(lines) > 2:
                    return lines[1]
                assert time.monotonic() < end, "no answer"
                time.sleep(0.01)
        finally:
            agent.kill()


def test_firmware_only_has_no_kernel() -> None:
    domain = ET.fromstring(domain_xml("hv1", GuestSpec("a", firmware_only=True)))
    assert domain.find("os/kernel") is None
    assert not GuestSpec("a", firmware_only=True).has_agent


def test_labs_do_not_share_addresses() -> None:
    first, second = Network(1), Network(2)
    assert first.host_address(0).network != second.host_address(0).network
    assert first.host_address(509) in first.host_address(0).network
    assert first.guest_address(0) not in [first.host_address(number) for number in range(510)]
    assert mac("02:00", first.host_address(0)) == "02:00:0a:39:04:02"
    for too_many in (lambda: first.host_address(510), lambda: first.guest_address(510)):
        with pytest.raises(LabError, match="addresses"):
            too_many()


def test_inventory_names_groups_and_connections(tmp_path: Path) -> None:
    spec = LabSpec.parse(
        {
            "hosts": {
                "hv1": {"guests": {"web1": {"ssh": True, "groups": ["web"]}}},
                "box": {"kind": "none"},
                "q1": {"kind": "qemu"},
            }
        }
    )
    lab = Lab(spec, tmp_path)
    lab._populate(Network(3))
    write_inventory(lab.inventory, lab.hosts.values(), lab.guests, lab.key)
    groups = yaml.safe_load(lab.inventory.read_text())["all"]["children"]
    assert groups["hypervisors"]["hosts"]["hv1"]["ansible_host"] == "10.57.12.2"
    assert groups["machines"]["hosts"]["box"]["ansible_host"] == "10.57.12.3"
    assert groups["hypervisors"]["hosts"]["q1"]["ansible_host"] == "10.57.12.4"
    assert groups["guests"]["hosts"]["web1"]["ansible_host"] == "10.57.14.0"
    assert groups["web"]["hosts"] == {"web1": {}}


def test_a_process_is_known_by_more_than_its_pid(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as sleep:
        record = tmp_path / "stat"
        record.write_text(Path(f"/proc/{sleep.pid}/stat").read_text())
        process = Process.read(record)
        assert process is not None
        assert process.alive()
        Process(process.pid, process.started - 1).kill()  # an earlier process that had the same pid
        assert process.alive()
        process.kill()
        assert not process.alive()
        process.kill()  # twice does no harm
    assert Process.read(tmp_path / "missing") is None


def test_down_leaves_other_directories_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x")
    with pytest.raises(LabError, match="left alone"):
        Lab(LabSpec(), tmp_path).down()
    assert (tmp_path / "precious").exists()
