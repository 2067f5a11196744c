# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hypervisor without a daemon, and modules that run in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible.module_utils import basic
from ansible_collections.fleet.rng.plugins.module_utils.transport import libvirt as transport
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.fake_libvirt import FakeLibvirt


@pytest.fixture
def hypervisor(monkeypatch: pytest.MonkeyPatch) -> FakeLibvirt:
    """A fake in the place of the libvirt binding, whether that is installed or not."""
    fake = FakeLibvirt()
    monkeypatch.setattr(transport, "libvirt", fake, raising=False)
    monkeypatch.setattr(transport, "libvirt_qemu", fake, raising=False)
    monkeypatch.setattr(transport, "HAS_LIBVIRT", True)
    return fake


class ModuleExit(Exception):  # noqa: N818  leaves a module like SystemExit, which is no error either
    """What a module returned."""


@pytest.fixture
def run_module(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Run a module's ``main`` with these options and give its result, ``failed`` included."""

    def leave(**result: Any) -> None:
        raise ModuleExit(json.loads(json.dumps(result)))

    monkeypatch.setattr(basic.AnsibleModule, "exit_json", lambda module, **result: leave(failed=False, **result))
    monkeypatch.setattr(
        basic.AnsibleModule, "fail_json", lambda module, msg, **result: leave(failed=True, msg=msg, **result)
    )
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)  # ansible-core 2.19 and later

    def run(main: Callable[[], None], *, check: bool = False, diff: bool = False, **options: Any) -> dict[str, Any]:
        arguments = {**options, "_ansible_check_mode": check, "_ansible_diff": diff}
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
        with pytest.raises(ModuleExit) as caught:
            main()
        result: dict[str, Any] = caught.value.args[0]
        return result

    return run
