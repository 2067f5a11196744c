# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter guest hands over to plugin_utils/guest, and names what it was given wrongly."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.fleet.rng.plugins.filter import guest as plugin

RNG = {"virtio_devices": ["virtio2"], "cpu": [], "arguments": {}}
WISHES = {"driver": True, "initramfs": "auto", "current": "unmanaged", "arguments": {}}
TABLE = {"kernel_package": "linux", "modules_line": "", "arguments_by": "", "arguments_why": ""}


def test_it_is_called_guest() -> None:
    assert plugin.FilterModule().filters() == {"guest": plugin.guest}


def test_what_a_guest_says_is_never_templated() -> None:
    planned = plugin.guest(RNG, "driver module\ndenied /etc/modprobe.d/{{ 6 * 7 }}.conf", WISHES, TABLE)
    assert "{{ 6 * 7 }}" in planned["problems"][0]
    assert Templar(loader=DataLoader(), variables={}).template(planned) == planned


@pytest.mark.parametrize(
    ("rng", "wishes", "words"),
    [
        ("", WISHES, "rng_info"),
        (RNG, {}, "keys arguments, current, driver, initramfs"),
        (RNG, {**WISHES, "initramfs": "yes"}, "rng_guest_initramfs"),
    ],
)
def test_wrong_arguments_are_named(rng: Any, wishes: dict[str, Any], words: str) -> None:
    with pytest.raises(AnsibleFilterError, match=words):
        plugin.guest(rng, "", wishes, TABLE)
