# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ansible knows, as values; how it looks in a plan is in the tests of the action."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible_collections.fleet.rng.plugins.module_utils.errors import RngError
from ansible_collections.fleet.rng.plugins.plugin_utils import inventory_variables
from ansible_collections.fleet.rng.plugins.plugin_utils.broker_groups import InventoryGroup
from ansible_collections.fleet.rng.plugins.plugin_utils.inventory_variables import Brokers, Variables, unknown
from ansible_collections.fleet.rng.plugins.plugin_utils.plan import InventoryGuest
from ansible_collections.fleet.rng.plugins.plugin_utils.policy import Layer, resolve


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({"virtio_rng_source": 1, "rng_broker_rate": 2, "rng_broker_host_rate": 3, "rng_brokers": 4}, ()),
        ({"virtio_rng_maxbytes": 1, "rng_broker_rtae": 2, "mine": 3}, ("virtio_rng_maxbytes", "rng_broker_rtae")),
    ],
)
def test_variables_that_look_like_ours(variables: Mapping[str, Any], found: tuple[str, ...]) -> None:
    assert unknown(variables, "mine") == found


class Here:
    """Stands for Variables: 1024 for every template, and the rest as it is."""

    inventory = SimpleNamespace()
    beside_playbook = True

    def template(self, value: Any, dummy_variables: Mapping[str, Any]) -> Any:
        return 1024 if isinstance(value, str) and "{" in value else value

    def value(self, name: str, variables: Mapping[str, Any]) -> Any:
        return self.template(variables[name], variables)


def test_a_guest_whose_variables_cannot_be_read_is_one_that_is_refused() -> None:
    class Locked:
        _inventory = SimpleNamespace()

        def raw_get(self, name: str) -> dict[str, Any]:
            raise AnsibleError(f"no password for {name}\x1b")

    task = SimpleNamespace(get_variable_manager=SimpleNamespace)
    guest = Variables(task, None, Locked()).guest("web1", "virtio_rng_uuid")
    with pytest.raises(
        RngError, match=r"^guest web1: virtio_rng_state: its variables cannot be read: no password .*x1b"
    ):
        resolve("web1", Layer.of_hypervisor("hv1", {}), (), Layer.of_guest(guest.name, guest.variables))


def test_the_groups_are_read_when_the_first_guest_asks_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def read(*args: Any, **options: Any) -> dict[str, InventoryGroup]:
        asked.append((args[2:], options))
        return {"gold": InventoryGroup("gold", frozenset(), ["g1"], {"rate": "{{ share }}"})}

    monkeypatch.setattr(inventory_variables, "inventory_groups", read)
    brokers = Brokers(Here(), None)  # type: ignore[arg-type]
    first, second = (brokers.sockets(name, {}, {}) for name in ("hv1", "hv2"))
    brokers.know({"hv1"}, [InventoryGuest("g1", {"source": "broker"}), InventoryGuest("g2", {})])
    assert asked == []
    assert [one("broker", "g1")[0] for one in (first, first, second)] == ["egd+unix:/run/virtrngd/gold.sock"] * 3
    assert asked == [(({"g1": "broker", "g2": None}, {"hv1"}), {"beside_playbook": True})]


def test_the_hypervisors_own_variables_count(monkeypatch: pytest.MonkeyPatch) -> None:
    group = InventoryGroup("gold", frozenset(), ["g1"], {"rate": "{{ share }}"})
    monkeypatch.setattr(inventory_variables, "inventory_groups", lambda *args, **options: {"gold": group})
    brokers = Brokers(Here(), None)  # type: ignore[arg-type]
    variables = {"rng_broker_classes": {"extra": {}}, "rng_broker_host_rate": "{{ all }}"}
    found = brokers.classes("hv1", {"source": "broker:extra"}, variables)
    assert sorted(found.classes) == ["default", "extra", "gold"]
    assert (found.host.rate, found.host.sources) == (1024, ("broker:extra",))
    gold = found.classes["gold"].group
    assert gold is not None
    assert gold.variables == {"rate": 1024}
