# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing is left of the broker, and the guests are as they were."""

from __future__ import annotations

import pytest

testinfra_hosts = ["ansible://hv9"]


@pytest.mark.parametrize("name", ["prized", "plain"])
def test_the_guests_have_no_rng(guest, name):
    assert guest(name).rngs() == guest(name).rngs(inactive=True) == []
    assert guest(name).settles_on("none")


@pytest.mark.parametrize(
    "path", ["/usr/local/sbin/virtrngd", "/usr/local/sbin/virtrngctl", "/etc/virtrngd", "/run/virtrngd"]
)
def test_nothing_of_the_broker_is_left(host, path):
    assert not host.file(path).exists


def test_its_user_is_gone(host):
    assert not host.user("virtrngd").exists
