# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter around plugin_utils/qemu_conf: its arguments, its documentation, and text that must not be templated."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.fleet.rng.plugins.filter import qemu_conf as plugin


def test_it_is_called_qemu_conf() -> None:
    assert plugin.FilterModule().filters() == {"qemu_conf": plugin.qemu_conf}


def test_the_file_is_never_templated() -> None:
    edited = plugin.qemu_conf("# {{ 6 * 7 }}\n", ["/dev/hwrng"])
    assert edited.startswith("# {{ 6 * 7 }}\n")
    assert Templar(loader=DataLoader(), variables={}).template(edited) == edited


@pytest.mark.parametrize("devices", [['/dev/x" ]'], ["hwrng"], ["/dev/../etc"], ["/dev/input/event0"], [5]])
def test_devices_are_paths_below_dev(devices: list[str]) -> None:
    with pytest.raises(AnsibleFilterError, match="below /dev"):
        plugin.qemu_conf("", devices)


def test_wrong_files_are_left_alone() -> None:
    with pytest.raises(AnsibleFilterError, match="left alone"):
        plugin.qemu_conf("cgroup_device_acl = [ 1 ]", ["/dev/hwrng"])
    with pytest.raises(AnsibleFilterError, match="text of a qemu"):
        plugin.qemu_conf(None, ["/dev/hwrng"])  # type: ignore[arg-type]


def test_the_documentation_has_every_argument() -> None:
    documented = yaml.safe_load(Path(plugin.__file__).with_suffix(".yml").read_text(encoding="utf-8"))["DOCUMENTATION"]
    assert list(documented["options"])[1:] == list(inspect.signature(plugin.qemu_conf).parameters)[1:]
