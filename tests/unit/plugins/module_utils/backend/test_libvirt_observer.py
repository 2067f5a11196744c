# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is seen of guests, over a libvirt without a daemon and a connection that only reads."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.backend.libvirt_observer import DEFAULT_URI, Observer
from ansible_collections.fleet.rng.plugins.module_utils.errors import GuestError
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.fake_libvirt import libvirtError


@pytest.fixture
def observer(hypervisor: Any) -> Observer:
    assert hypervisor.all == {}
    return Observer(DEFAULT_URI, readonly=True)


def test_guests_come_sorted_and_only_those_asked_for(hypervisor: Any, observer: Observer) -> None:
    for name in ("c", "a", "b"):
        hypervisor.add(name, "")
    by_uuid = next(domain.id for domain in hypervisor.all.values() if domain.name == "c")
    assert [guest.name for guest in observer.observe_all()] == ["a", "b", "c"]
    assert [guest.name for guest in observer.observe_all({by_uuid: "virtio", "a": "virtio", "z": "virtio"})] == [
        "a",
        "c",
    ]
    assert observer.observe_all({}) == []


def test_what_fits_depends_on_the_model_that_is_wanted(hypervisor: Any, observer: Observer) -> None:
    domain = hypervisor.add("web1", "", "")
    for name in ("web1", domain.id):
        (guest,) = observer.observe_all({name: "virtio-transitional"})
        assert guest.blocked_on("live").startswith("no free PCI slot")
    assert observer.observe_all({"web1": "virtio"})[0].blocked == ()
    assert observer.observe(guest).blocked == ()
    assert observer.observe(guest, "virtio-transitional").blocked == guest.blocked


def test_notes_stay_when_a_guest_is_looked_at_again(hypervisor: Any, observer: Observer) -> None:
    hypervisor.add("web1", "", None, managed_save=True, snapshots=True)
    hypervisor.add("web2", None, "")
    persistent, transient = observer.observe_all()
    assert len(persistent.notes) == 2
    assert transient.notes == ("transient: a change lasts until it is shut off",)
    assert observer.observe(persistent).notes == persistent.notes


def test_an_rng_of_the_command_line_is_noted(
    hypervisor: Any, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    domain = hypervisor.add("web1", "")
    hidden = "<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'><q:arg value='virtio-rng-pci'/>"
    document = domain.document("config").replace("</domain>", f"{hidden}</q:commandline></domain>")
    monkeypatch.setattr(domain, "document", lambda layer: document)
    assert observer.observe_all()[0].notes == (
        "has an RNG in qemu:commandline, which libvirt does not see and nobody can change while it runs",
    )


def test_a_guest_that_has_gone(hypervisor: Any, observer: Observer) -> None:
    domain = hypervisor.add("web1", "")
    (guest,) = observer.observe_all()
    del hypervisor.all[domain.id]
    with pytest.raises(GuestError, match=r"^the guest is no longer there$"):
        observer.observe(guest)


def test_a_guest_that_cannot_be_read_is_there_with_its_error(hypervisor: Any, observer: Observer) -> None:
    hypervisor.add("web1", "")
    hypervisor.add("web2", "")

    def too_long(domain: Any, *dummy: str) -> None:
        if domain.name == "web1":
            raise libvirtError(39, "message too long")

    hypervisor.hook = too_long
    assert [guest.error for guest in observer.observe_all()] == ["cannot be read: libvirt: message too long", ""]
