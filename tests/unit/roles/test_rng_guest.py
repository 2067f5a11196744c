# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the role rng_guest: every family has the same keys, and every name a table."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.fleet.rng.plugins.plugin_utils.guest import INITRAMFS, MARK, TOOLS

ROLE = Path(__file__).resolve().parents[3] / "roles" / "rng_guest"
TABLES = sorted(path.stem for path in (ROLE / "vars").glob("*.yml") if path.stem != "main")


def load(name: str) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((ROLE / name).read_text(encoding="utf-8"))
    return data


MAIN = load("vars/main.yml")


def test_there_is_a_table_of_every_family() -> None:
    assert TABLES == ["Alpine", "Archlinux", "Debian", "FreeBSD", "RedHat", "Suse", "Ubuntu"]
    assert set(MAIN["__rng_guest_families"].values()) == set(TABLES)


@pytest.mark.parametrize("family", TABLES)
def test_tables_have_the_same_keys(family: str) -> None:
    data, debian = load(f"vars/{family}.yml"), load("vars/Debian.yml")
    assert list(data) == ["__rng_guest_table"]
    table = data["__rng_guest_table"]
    assert list(table) == list(debian["__rng_guest_table"])
    assert all(isinstance(value, str) for value in table.values())
    # The driver at boot comes from exactly one of the two places; refusing needs a reason.
    assert bool(table["modules_file"]) != bool(table["modules_line"])
    assert not table["modules_file"] or MARK in table["modules_file"]
    assert table["arguments_by"] in ("", "update-grub", "grubby")
    assert table["arguments_why"]


def test_every_tool_has_a_part() -> None:
    parts = MAIN["__rng_guest_initramfs"]
    assert list(parts) == list(TOOLS)
    look = (ROLE / "files/look.sh").read_text(encoding="utf-8")
    for part in parts.values():
        assert set(part) == {"path", "line", "build"}
        assert f"part={part['path']}" in look
        assert re.search(r"\bvirtio_rng\b", part["line"])


def test_what_the_specification_says_is_so() -> None:
    options = load("meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    defaults = load("defaults/main.yml")
    assert {name: option["default"] for name, option in options.items()} == defaults
    assert tuple(options["rng_guest_initramfs"]["choices"]) == INITRAMFS
    assert {name for name in options if "become" in name} == {"rng_guest_become"}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, []),
        ({"boot/loader.conf": 'virtio_random_load="YES"'}, ["persistent /boot/loader.conf"]),
        ({"boot/loader.conf": " virtio_random_load = yes # no"}, ["persistent /boot/loader.conf"]),
        ({"boot/loader.conf": 'virtio_random_load="NO" # yes'}, ["denied /boot/loader.conf"]),
        ({"boot/loader.conf": '#virtio_random_load="NO"'}, []),
        (
            {"boot/loader.conf": 'virtio_random_load="YES"', "boot/loader.conf.local": 'virtio_random_load="NO"'},
            ["denied /boot/loader.conf.local"],
        ),
        ({"boot/loader.conf.d/a.conf": "virtio_random_load=YES"}, ["persistent /boot/loader.conf.d/a.conf"]),
        ({"etc/rc.conf": 'kld_list="fusefs virtio_random"'}, ["persistent /etc/rc.conf"]),
        ({"etc/rc.conf": "kld_list=virtio_random"}, ["persistent /etc/rc.conf"]),
        ({"etc/rc.conf.d/kld": 'kld_list="/boot/kernel/virtio_random.ko"'}, ["persistent /etc/rc.conf.d/kld"]),
        ({"etc/rc.conf": 'kld_list="virtio_randomly a_virtio_random" # virtio_random'}, []),
    ],
)
def test_what_freebsd_loads_at_boot(files: dict[str, str], said: list[str], tmp_path: Path) -> None:
    look = (ROLE / "files/look_freebsd.sh").read_text(encoding="utf-8")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    moved = look.replace(" /boot/loader", f" {tmp_path}/boot/loader").replace(" /etc/", f" {tmp_path}/etc/")
    done = subprocess.run(["sh", "-c", moved], capture_output=True, text=True, check=True, timeout=600)
    assert [line.replace(str(tmp_path), "") for line in done.stdout.splitlines()] == said


def test_the_look_is_understood() -> None:
    """What it prints about this machine, whatever that is, are words that the plan knows."""
    done = subprocess.run(["sh", ROLE / "files/look.sh", "no"], capture_output=True, text=True, check=True, timeout=600)
    words = {line.partition(" ")[0] for line in done.stdout.splitlines()}
    assert "driver" in words
    assert words <= {"driver", "denied", "persistent", "unread", "arguments", "tool", "written"}
