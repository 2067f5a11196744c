# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances of a real cluster, really started: their parameters and the command lines of their QEMUs."""

from __future__ import annotations

from collections.abc import Callable

from integration.ganeti.conftest import Site
from integration.libvirt.hypervisor import Hypervisor
from lab import Lab

OWN = (
    "-object rng-random,id=ua-fleet-rng-source,filename=/dev/urandom "
    "-device virtio-rng-pci,rng=ua-fleet-rng-source,id=ua-fleet-rng,max-bytes=1024,period=1000"
)
Add = Callable[..., str]


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace(",", "\\,")


def rng_words(words: list[str]) -> list[str]:
    """The values of all options that have to do with RNGs."""
    return [word for word in words if "rng" in word]


def statuses(outcome: object, name: str, site: Site) -> tuple[str, str]:
    found: tuple[str, str] = outcome.statuses(site.cluster.name(name))  # type: ignore[attr-defined]
    return found


def test_an_instance_that_is_off(site: Site, instance: Add) -> None:
    instance("off")
    assert statuses(site.converge([{"guest": "off"}]), "off", site) == ("added", "not_applicable")
    site.cluster.gnt("instance", "start", site.cluster.name("off"))
    seen = site.observe()["off"]
    assert seen["running"]
    assert seen["live"] == seen["config"]
    assert [device["source"] for device in seen["live"]] == ["/dev/urandom"]
    (backend, device) = rng_words(site.cluster.command_line("off"))
    assert backend.startswith("rng-random,id=ua-fleet-rng-source.default.")
    assert device.endswith(",id=ua-fleet-rng,max-bytes=1024,period=1000")
    assert statuses(site.converge([{"guest": "off"}]), "off", site) == ("unchanged", "unchanged")
    (outcome,) = site.hypervisor.play({"fleet.rng.ganeti_rng_info": {"host_view": True, "monitor": True}})
    (view,) = [guest["host_view"] for guest in outcome.result["guests"] if guest["running"]]
    assert (view["status"], [one["open"] for one in view["open"]]) == ("seen", [True])
    (qemu,) = view["qemu"]
    assert (qemu["id"], qemu["source"], qemu["max_bytes"], qemu["period"]) == (
        "ua-fleet-rng",
        "/dev/urandom",
        1024,
        1000,
    )


def test_a_running_instance_takes_a_hard_reboot(site: Site, instance: Add) -> None:
    name = instance("runner", "kvm_extra=-S")
    site.cluster.gnt("instance", "start", name)
    outcome = site.converge([{"guest": "runner", "source": "builtin", "max_bytes": "unlimited"}])
    assert statuses(outcome, "runner", site) == ("added", "needs_restart")
    assert "gnt-instance reboot --type=hard" in outcome.guest(name)["reason"]
    assert rng_words(site.cluster.command_line("runner")) == []
    site.cluster.gnt("instance", "reboot", "--type=soft", name)
    assert rng_words(site.cluster.command_line("runner")) == [], "a soft reboot replays the command line"
    assert site.observe()["runner"]["live"] == []
    site.cluster.gnt("instance", "reboot", "--type=hard", "--shutdown-timeout=0", name)
    assert rng_words(site.cluster.command_line("runner")) == [
        "rng-builtin,id=ua-fleet-rng-source",
        "virtio-rng-pci,rng=ua-fleet-rng-source,id=ua-fleet-rng",
    ]
    seen = site.observe()["runner"]
    assert seen["live"] == seen["config"] != []
    outcome = site.converge([{"guest": "runner", "state": "absent"}])
    assert statuses(outcome, "runner", site) == ("removed", "needs_restart")
    assert site.cluster.own("runner") == {"kvm_extra": "-S"}


def test_the_module_reboots_where_it_may(site: Site, instance: Add) -> None:
    name = instance("again", f"kvm_extra={escaped(OWN)}")
    site.cluster.gnt("instance", "start", name)
    device = {"guest": "again", "source": "/dev/random", "restart": True}
    (held,) = site.hypervisor.play(site.task([device]))
    assert statuses(held, "again", site) == ("replaced", "needs_restart")
    assert "which only restart_force allows" in held.guest(name)["reason"]
    done, again = site.hypervisor.play(*[site.task([device], restart_force=True, restart_timeout=1)] * 2)
    assert statuses(done, "again", site) == ("unchanged", "replaced")
    assert "rng-random,id=ua-fleet-rng-source,filename=/dev/random" in site.cluster.command_line("again")
    assert not again.changed


def test_check_mode_submits_no_job(site: Site, instance: Add) -> None:
    instance("still", f"kvm_extra={escaped(OWN)}")
    before = site.jobs()
    task = site.task([{"guest": "still", "source": "/dev/random"}])
    absent = site.task([{"guest": "still", "state": "absent"}])
    for outcome in site.hypervisor.play({**task, "check_mode": True}, {**absent, "check_mode": True}):
        assert outcome.changed
    assert site.jobs() == before
    assert site.cluster.own("still") == {"kvm_extra": OWN}


def test_words_of_others_stay_byte_for_byte(site: Site, instance: Add) -> None:
    """They pass Ganeti's option parser on both ways; nothing starts with these."""
    texts = {
        "commas": "-drive file=/a,,b,if=none -S",
        "backslashes": "-append a\\,b\\\\ -S",
        "quotes": "-append \"it's\" -S 'x",
        "spaces": "  -S   -foo ",
        "words": "$(touch /tmp/x) `id` ; & | > < * ? ~ # % !",
    }
    for name, text in texts.items():
        instance(name, f"kvm_extra={escaped(text)}")
        assert site.cluster.own(name) == {"kvm_extra": text}
    outcome = site.converge([{"guest": name} for name in texts])
    for name, text in texts.items():
        assert statuses(outcome, name, site) == ("added", "not_applicable")
        assert site.cluster.own(name) == {"kvm_extra": f"{text} {OWN}"}
    site.converge([{"guest": name, "source": "/dev/random", "max_bytes": 64} for name in texts])
    site.converge([{"guest": name, "state": "absent"} for name in texts])
    assert {name: site.cluster.own(name)["kvm_extra"] for name in texts} == texts


def test_what_the_cluster_gives_comes_along(site: Site, instance: Add, cluster_extra: Callable[[str], None]) -> None:
    theirs = "-object rng-random,id=rng0,filename=/dev/random -device virtio-rng-pci,rng=rng0"
    cluster_extra(escaped(f"-S {theirs}"))
    name = instance("heir")
    site.cluster.gnt("instance", "start", name)
    seen = site.observe()["heir"]
    assert [device["source"] for device in seen["config"] + seen["live"]] == ["/dev/random", "/dev/random"]
    assert seen["notes"][0].startswith("its kvm_extra comes from the cluster")
    outcome = site.converge([{"guest": "heir"}])
    assert statuses(outcome, "heir", site) == ("replaced", "needs_restart")
    assert site.cluster.own("heir")["kvm_extra"].startswith("-S -object rng-random,id=ua-fleet-rng-source.default.")
    site.cluster.gnt("instance", "reboot", "--type=hard", "--shutdown-timeout=0", name)
    assert len(rng_words(site.cluster.command_line("heir"))) == 2
    site.converge([{"guest": "heir", "state": "absent"}], exclusive=False)
    assert site.cluster.own("heir") == {}, "it inherits again"


def test_a_source_that_would_kill_it_is_refused(site: Site, instance: Add) -> None:
    instance("safe")
    (outcome,) = site.hypervisor.play(site.task([{"guest": "safe", "source": "/dev/null"}]))
    assert outcome.failed
    assert "is no source of randomness" in outcome.msg
    assert site.cluster.own("safe") == {}


def test_somebody_else_changes_instances_at_the_same_time(site: Site, instance: Add) -> None:
    """Ganeti has no change that depends on what was read; so what is tested is that the outcome is what it says."""
    names = [f"busy{number}" for number in range(4)]
    for name in names:
        instance(name, "kvm_extra=-S")
    for name in names:
        site.cluster.gnt("instance", "modify", "--submit", "-H", "kvm_extra=-S -foo", site.cluster.name(name))
    (outcome,) = site.hypervisor.play(site.task([{"guest": name} for name in names]))
    for name in names:
        text = site.cluster.own(name)["kvm_extra"]
        guest = outcome.guest(site.cluster.name(name))
        assert (OWN in text) == (guest["error"] is None), (guest, text)
    site.converge([{"guest": name} for name in names])


def test_a_node_that_is_not_the_master(lab: Lab) -> None:
    other = Hypervisor(lab, lab.host("gnt2"))
    (outcome,) = other.play({"fleet.rng.ganeti_rng_info": {}})
    assert outcome.failed
    assert outcome.msg == "there is no Ganeti cluster here"
