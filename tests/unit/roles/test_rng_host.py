# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role rng_host: its defaults are documented, and its templates hold nothing that was not checked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.fleet.rng.plugins.plugin_utils.daemon import POLICIES
from ansible_collections.fleet.rng.plugins.plugin_utils.host import RULE_FILE, permissions

try:
    from ansible.template import trust_as_template as trusted
except ImportError:  # before ansible-core 2.19 every string was one

    def trusted(value: Any) -> Any:
        return value


ROLE = Path(__file__).resolve().parents[3] / "roles" / "rng_host"
WISHES = permissions(
    {"devices": [{"path": "/dev/hwrng", "user": "root", "group": "kvm"}, {"path": "/dev/ttyACM0", "mode": "0444"}]}
)


def read(path: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROLE / path).read_text(encoding="utf-8"))
    return document


def rendered(template: str) -> str:
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True)  # noqa: S701 - as Ansible does
    found = environment.from_string((ROLE / "templates" / template).read_text(encoding="utf-8"))
    return found.render(ansible_managed="Ansible managed", __rng_host_wishes=WISHES)


def test_defaults_are_those_of_the_documentation() -> None:
    options = read("meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    assert read("defaults/main.yml") == {name: option["default"] for name, option in options.items()}
    assert options["rng_host_daemon"]["choices"] == list(POLICIES)


def test_the_rule_has_a_line_for_each_device() -> None:
    lines = [line for line in rendered("permissions.rules.j2").splitlines() if not line.startswith("#")]
    assert lines == [
        'ENV{DEVNAME}=="/dev/hwrng", ACTION!="remove", OWNER="root", GROUP="kvm", MODE="0640"',
        'ENV{DEVNAME}=="/dev/ttyACM0", ACTION!="remove", MODE="0444"',
    ]


def test_the_boot_script_does_the_same() -> None:
    text = rendered("permissions.start.j2")
    assert text.startswith("#!/bin/sh\n")
    assert "  chown root:kvm /dev/hwrng\n  chmod 0640 /dev/hwrng\n" in text
    assert len(re.findall("chown", text)) == 1
    assert "if [ -c /dev/ttyACM0 ]; then\n  chmod 0444 /dev/ttyACM0\nfi\n" in text


def test_sources_that_are_devices_are_looked_at() -> None:
    """As the role's variable has them, templated by Ansible itself: its rules of backslashes differ from Jinja's."""
    tested = ["/dev/hwrng", "/dev/ttyUSB0", "tcp:[::1]:8000", "/dev/a/b", "/dev/hwrng\n", "builtin"]
    values = {**read("vars/main.yml"), "__rng_host_wishes": WISHES, "rng_host_test_sources": tested}
    values["__rng_host_paths"] = trusted(values["__rng_host_paths"])
    found = Templar(DataLoader(), variables=values).template(values["__rng_host_paths"])
    assert found == ["/dev/hwrng", "/dev/ttyACM0", "/dev/ttyUSB0"]


@pytest.mark.parametrize("name", ["__rng_host_rule"])
def test_files_have_one_name(name: str) -> None:
    assert read("vars/main.yml")[name] == RULE_FILE
