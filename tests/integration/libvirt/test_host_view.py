# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's view of running guests: what their QEMU has open, and what it says of itself. No system runs in them."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.libvirt.hypervisor import PAYLOAD, PYTHON, Hypervisor

EGD = (Path(__file__).parent / "inside" / "egd.py").read_text()
PREPARE = """
mkdir -p /srv/view
mknod -m 0666 /srv/view/own c 1 9
mknod -m 0666 /srv/view/swapped c 1 9
mknod -m 0666 /srv/view/gone c 1 8
ln -s /dev/urandom /dev/view-link
"""
AFTERWARDS = """
rm /srv/view/swapped /srv/view/gone
mknod -m 0666 /srv/view/swapped c 1 8
"""
# QEMU connects in the background where it would connect again; 02C4 is port 708.
CONNECTED = """
until grep -q ' 03 .*/run/egd.sock' /proc/net/unix && grep -q ':02C4 [0-9A-F]*:[0-9A-F]* 01' /proc/net/tcp; do
    sleep 0.1
done
"""
CLEAN_UP = "rm -rf /srv/view /dev/view-link /run/egd.sock"

RANDOM = "<backend model='random'>{}</backend>"
UNIX = "<backend model='egd' type='unix'><source mode='connect' path='{}'>{}</source></backend>"
TCP = "<backend model='egd' type='tcp'><source mode='connect' host='127.0.0.1' service='{}'>{}</source>{}</backend>"
UDP = (
    "<backend model='egd' type='udp'><source mode='connect' host='127.0.0.1' service='709'/>"
    "<source mode='bind' host='127.0.0.1' service='710'/></backend>"
)
RECONNECT = "<reconnect enabled='yes' timeout='1'/>"
RAW = "<protocol type='raw'/>"

# By guest: its RNG, whether its source is open, and a word of the reason.
GUESTS = {
    "urandom": (RANDOM.format("/dev/urandom"), True, None),
    "random": (RANDOM.format("/dev/random"), True, None),
    "link": (RANDOM.format("/dev/view-link"), True, None),
    "own_node": (RANDOM.format("/srv/view/own"), True, None),
    "swapped": (RANDOM.format("/srv/view/swapped"), False, "device 1:9 was /srv/view/swapped when QEMU opened it"),
    "gone": (RANDOM.format("/srv/view/gone"), True, "no longer there"),
    "builtin": ("<backend model='builtin'/>", None, "nothing to open"),
    "egd_unix": (UNIX.format("/run/egd.sock", RECONNECT), True, None),
    "egd_unix_alone": (UNIX.format("/run/nobody.sock", RECONNECT), None, "only QEMU's monitor can tell"),
    "egd_tcp": (TCP.format(708, RECONNECT, RAW), True, None),
    "egd_tcp_alone": (TCP.format(9, RECONNECT, RAW), False, "not connected"),
    "egd_udp": (UDP, None, "datagrams"),
}
LIMITED = "<rate bytes='4096' period='500'/>"
BACKENDS = {"builtin": "rng-builtin", "egd_unix": "rng-egd", "egd_tcp": "rng-egd"}


def rng(backend: str, rate: str = "") -> str:
    return f"<rng model='virtio'>{rate}{backend}</rng>"


def look(hv: Hypervisor, *prefix: str, **args: Any) -> dict[str, dict[str, Any]]:
    """The host's view of each guest, by a direct run of the module; ``prefix`` is the command that runs it."""
    job = json.dumps({"module": "libvirt_rng_info", "args": {"host_view": True, **args}})
    command = [*prefix, "env", f"PYTHONPATH={PAYLOAD}", PYTHON, f"{PAYLOAD}/run_module.py"]
    result = json.loads(hv.host.check(*command, stdin=job))
    assert not result.get("failed"), result
    return {guest["name"]: guest["host_view"] for guest in result["guests"]}


@pytest.fixture(scope="module")
def served(main: Hypervisor) -> Iterator[Hypervisor]:
    """The hypervisor with all those guests, and an EGD server."""
    main.host.check("sh", "-ec", PREPARE)
    with main.serving(EGD, "/run/egd.sock", "708", "709"):
        for name, (backend, _open, _why) in GUESTS.items():
            main.define(name, firmware_only=True, memory=32, running=True, rng=rng(backend, LIMITED))
        main.host.check("sh", "-ec", AFTERWARDS)
        main.host.check("sh", "-c", CONNECTED)
        yield main
        main.forget()
    main.host.check("sh", "-c", CLEAN_UP)


@pytest.fixture(scope="module")
def seen(served: Hypervisor) -> dict[str, dict[str, Any]]:
    """All of them in one run."""
    return look(served)


@pytest.mark.parametrize("name", GUESTS)
def test_what_is_open(name: str, seen: dict[str, dict[str, Any]], served: Hypervisor) -> None:
    _backend, opened, why = GUESTS[name]
    assert (seen[name]["status"], seen[name]["pid"]) == ("seen", served.qemu_pid(name))
    (entry,) = seen[name]["open"]
    assert entry["open"] is opened
    assert (why or "") in (entry["why"] or "")
    assert (entry["why"] is None) is (why is None)
    assert (seen[name]["qemu"], seen[name]["qemu_why"]) == (None, None)


@pytest.mark.parametrize(
    ("name", "path"), [("urandom", "/dev/urandom"), ("link", "/dev/urandom"), ("own_node", "/srv/view/own")]
)
def test_it_agrees_with_the_links_of_the_process(name: str, path: str, served: Hypervisor) -> None:
    assert path in served.opened_by(name)


def test_what_qemu_says(served: Hypervisor) -> None:
    told = look(served, monitor=True, guests=[*BACKENDS, "urandom", "egd_unix_alone", "egd_udp"])
    for name in (*BACKENDS, "urandom"):
        (entry,) = told[name]["qemu"]
        assert (entry["max_bytes"], entry["period"]) == (4096, 500)
        assert entry["backend"] == BACKENDS.get(name, "rng-random")
        assert entry["source"] == told[name]["open"][0]["source"]
    (alone,) = told["egd_unix_alone"]["open"]
    assert (alone["open"], alone["why"]) == (False, "QEMU is not connected to it")
    assert told["egd_udp"]["qemu"][0]["source"] is None
    assert told["random"] is None  # it was not among the guests asked for


def test_only_the_monitor_taints_a_guest(served: Hypervisor) -> None:
    log = "/var/log/libvirt/qemu/{}.log"
    look(served, monitor=True, guests=["urandom"])
    assert "custom-monitor" in served.host.check("cat", log.format("urandom"))
    assert "custom-monitor" not in served.host.check("cat", log.format("random"))


def test_without_root_the_rest_is_still_told(served: Hypervisor) -> None:
    served.host.check("chmod", "0777", "/run/libvirt/libvirt-sock")
    try:
        told = look(served, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", monitor=True)
    finally:
        served.host.check("chmod", "0700", "/run/libvirt/libvirt-sock")
    view = told["urandom"]
    assert (view["status"], view["pid"]) == ("not allowed", served.qemu_pid("urandom"))
    assert view["why"] == f"only root may see what process {view['pid']} has open"
    assert view["open"] == [{"source": "/dev/urandom", "open": None, "why": view["why"]}]
    assert view["qemu"][0]["max_bytes"] == 4096


def test_in_a_mount_namespace_of_its_own(hv: Hypervisor) -> None:
    """As libvirt starts QEMU unless it is told otherwise."""
    with hv.qemu_conf('namespaces = ["mount"]'):
        hv.define("apart", firmware_only=True, memory=32, running=True, rng=rng(RANDOM.format("/dev/urandom")) * 2)
        spaces = {hv.host.check("readlink", f"/proc/{pid}/ns/mnt") for pid in ("self", str(hv.qemu_pid("apart")))}
        assert len(spaces) == 2
        view = look(hv, guests=["apart"])["apart"]
    assert [entry["open"] for entry in view["open"]] == [True, True]


def test_a_device_for_the_next_start_is_not_open_yet(hv: Hypervisor) -> None:
    guest = hv.define("later", firmware_only=True, memory=32, running=True)
    hv.host.write("/run/later.xml", rng(RANDOM.format("/dev/urandom")))
    hv.host.virsh("attach-device", guest.uuid, "/run/later.xml", "--config")
    view = look(hv, monitor=True, guests=["later"])["later"]
    assert (view["status"], view["open"], view["qemu"]) == ("seen", [], [])
    hv.module([{"guest": "later", "max_bytes": 2048}])
    view = look(hv, monitor=True, guests=["later"])["later"]
    assert [entry["open"] for entry in view["open"]] == [True]
    assert [(entry["id"], entry["max_bytes"]) for entry in view["qemu"]] == [("ua-fleet-rng", 2048)]


def test_one_that_is_off(hv: Hypervisor) -> None:
    hv.define("off", firmware_only=True, rng=rng(RANDOM.format("/dev/urandom")))
    view = look(hv, monitor=True, guests=["off"])["off"]
    assert (view["status"], view["pid"], view["open"], view["qemu"]) == ("not running", None, [], None)


def test_a_qemu_that_hangs_has_its_descriptors_and_holds_up_nobody(hv: Hypervisor) -> None:
    for name in ("stuck", "sound"):
        hv.define(name, firmware_only=True, memory=32, running=True, rng=rng(RANDOM.format("/dev/urandom")))
    hv.signal_qemu("stuck", signal.SIGSTOP)
    try:
        told = look(hv, monitor=True, guests=["stuck", "sound"])
    finally:
        hv.signal_qemu("stuck", signal.SIGCONT)
    assert [view["open"][0]["open"] for view in (told["stuck"], told["sound"])] == [True, True]
    assert told["stuck"]["qemu"] is None
    assert re.search("no answer within|QEMU did not answer", told["stuck"]["qemu_why"])
    assert told["sound"]["qemu"]


def test_another_process_that_claims_to_be_the_guest(hv: Hypervisor) -> None:
    guest = hv.define("twin", firmware_only=True, memory=32, running=True, rng=rng(RANDOM.format("/dev/urandom")))
    fake = f"exec qemu-system-x86_64 -S -M none -display none -monitor none -serial none -uuid {guest.uuid}"
    with subprocess.Popen(hv.host.command("sh", "-c", f"echo $$; {fake}"), stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        pid = other.stdout.readline().strip()
        try:
            hv.host.check("sh", "-c", f"until readlink /proc/{pid}/exe | grep -q qemu; do sleep 0.1; done")
            view = look(hv, guests=["twin"])["twin"]
        finally:
            hv.host.check("kill", "-9", pid)
    assert (view["status"], view["pid"]) == ("error", None)
    assert "more than one QEMU process" in view["why"]
