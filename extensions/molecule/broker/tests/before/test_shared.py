# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both guests draw from the broker, each in the class of its group, at the rate of that."""

from __future__ import annotations

import json

import pytest

testinfra_hosts = ["ansible://hv9"]


def status(host):
    return json.loads(host.check_output("virtrngctl status --json"))


def test_the_groups_are_its_classes(host):
    found = {one["name"]: (one["rate"], one["ceil"]) for one in status(host)["classes"]}
    # The group above them says where they draw from, so it is one, too, with what those in it have together.
    assert found == {"default": (64, None), "shared": (4096, None), "gold": (3072, None), "silver": (1024, 4096)}


@pytest.mark.parametrize(("name", "group"), [("prized", "gold"), ("plain", "silver")])
def test_what_a_guest_draws_is_served_in_its_class(host, guest, name, group):
    assert [rng["backend"] for rng in guest(name).rngs(inactive=True)] == ["egd"]
    assert guest(name).settles_on("virtio_rng.0")

    def served():
        (one,) = [one for one in status(host)["classes"] if one["name"] == group]
        return one["bytes"]

    before = served()
    guest(name).seconds_to_draw(2048)
    assert served() - before >= 2048
    (seen,) = [one for one in status(host)["guests"] if one["guest"] == name]
    assert seen["class"] == group
    assert seen["bytes"] >= 2048


def test_the_program_that_was_started_got_the_classes_without_a_new_start(host):
    found = status(host)
    log = host.file("/var/log/virtrngd.log").content_string
    assert '"event": "reloaded"' in log
    assert found["refused"] == found["protocol_errors"] == 0


@pytest.mark.parametrize("name", ["default", "gold", "silver"])
def test_libvirt_leaves_the_sockets_to_the_broker(host, name):
    found = host.file(f"/run/virtrngd/{name}.sock")
    assert (found.user, found.group, found.mode) == ("virtrngd", "kvm", 0o660)
