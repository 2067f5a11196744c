# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API over HTTPS where answers get lost: what is asked once more, and what is not."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.errors import HypervisorError, RngError, TimedOutError
from ansible_collections.fleet.rng.plugins.module_utils.transport.proxmox_api import Api
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.proxmox_node import ApiMaker, Node

CONFIG = "/nodes/pve1/qemu/101/config"


@pytest.mark.parametrize(
    "lost",
    [{"hang up": True}, {"status": [596, "Connection timed out"]}, {"status": [502, "Bad Gateway"]}],
    ids=["hang up", "596", "502"],
)
def test_a_question_whose_answer_was_lost_is_asked_once_more(lost: dict[str, Any], api: ApiMaker, node: Node) -> None:
    node.site(faults={"lost": {"/version": lost, CONFIG: lost}})
    assert api().get("/version")["version"] == "9.2.1"
    assert [call[1] for call in node.calls()] == ["/version", "/version"]
    with pytest.raises((HypervisorError, TimedOutError)):
        api().set(CONFIG, rng0="/dev/urandom")
    assert len(node.writes) == 1, "a change may have been made"


def test_a_question_is_asked_no_third_time_and_never_again_without_need(
    api: ApiMaker, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    exchange = Api._exchange

    def count(self: Api, method: str, path: str, *rest: Any) -> Any:
        asked.append(path)
        return exchange(self, method, path, *rest)

    monkeypatch.setattr(Api, "_exchange", count)
    for fault, times in (
        ({"hang up": True}, 2),
        ({"status": [595, "No route to host"]}, 2),
        ({"status": [500, "no"]}, 1),
        ({"status": [401, "no"]}, 1),
        ({"plain": "no"}, 1),
    ):
        asked.clear()
        node.site(faults={"https": fault})
        with pytest.raises(RngError):
            api().get("/version")
        assert len(asked) == times, fault
    asked.clear()
    with pytest.raises(HypervisorError, match="certificate is not trusted"):
        api(ca_path="").get("/version")
    assert len(asked) == 1


def test_both_tries_have_the_time_of_one(api: ApiMaker, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no module gives up the whole node because of one question."""
    given: list[float] = []
    exchange = Api._exchange

    def keep(self: Api, method: str, path: str, parameters: Any, until: float) -> Any:
        given.append(until)
        return exchange(self, method, path, parameters, until)

    monkeypatch.setattr(Api, "_exchange", keep)
    node.site(faults={"https": {"hang up": True}})
    with pytest.raises(HypervisorError):
        api(seconds=60).get("/version")
    assert (len(given), len(set(given))) == (2, 1)
    given.clear()
    with pytest.raises(HypervisorError):
        api(seconds=1).get("/version")
    assert len(given) == 1, "there is no time for a second"
