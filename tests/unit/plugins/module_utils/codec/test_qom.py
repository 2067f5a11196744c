# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What QEMU says of its RNGs: answers of QEMU 7.2 and their like, and answers that no QEMU would give."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.codec import qom
from ansible_collections.fleet.rng.plugins.module_utils.errors import GuestError

CASES = Path(__file__).parents[3] / "cases" / "qom"
RECORDED = json.loads((CASES / "recorded.json").read_text(encoding="utf-8"))
BAD = json.loads((CASES / "bad.json").read_text(encoding="utf-8"))

Answers = dict[str, Any]


def key(command: str) -> str:
    """How a command is named in the tables."""
    asked = json.loads(command)
    arguments = asked.pop("arguments")
    assert asked in ({"execute": "qom-list"}, {"execute": "qom-get"}), "only queries"
    return " ".join([arguments["path"], *([arguments["property"]] if "property" in arguments else [])])


def talk(answers: Answers) -> tuple[tuple[qom.QemuRng, ...], list[str]]:
    """The result of the conversation, and what was asked."""
    conversation = qom.ask_for_rngs()
    asked = []
    command = next(conversation)
    while True:
        asked.append(key(command))
        answer = answers.get(asked[-1], {"return": []})
        try:
            command = conversation.send(answer if isinstance(answer, str) else json.dumps(answer))
        except StopIteration as told:
            return told.value, asked


@pytest.mark.parametrize("name", RECORDED)
def test_recorded(name: str) -> None:
    case = RECORDED[name]
    rngs, asked = talk(case["answers"])
    assert [rng.to_wire() for rng in rngs] == case["rngs"]
    assert [rng.connected for rng in rngs] == case["connected"]
    assert set(asked) == set(case["answers"])


@pytest.mark.parametrize("name", BAD)
def test_bad_answers_are_named(name: str) -> None:
    answers = {**RECORDED["urandom"]["answers"], **BAD[name]["answers"]}
    with pytest.raises(GuestError) as caught:
        talk(answers)
    assert BAD[name]["error"] in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_answers_that_no_table_can_hold() -> None:
    for answer in ("[" * 100_000, '"' + "x" * (2 * 1024 * 1024) + '"'):
        with pytest.raises(GuestError, match="cannot be read"):
            qom.parse_answer(answer)


def test_no_end_of_devices() -> None:
    answers = dict(RECORDED["urandom"]["answers"])
    children = [{"name": f"rng{number}", "type": "child<virtio-rng-pci>"} for number in range(qom.MAX_DEVICES + 1)]
    for child in children:
        for name, answer in RECORDED["urandom"]["answers"].items():
            answers[name.replace("rng0", child["name"])] = answer
    answers["/machine/peripheral"] = {"return": children[:-1]}
    for number in range(qom.MAX_DEVICES):
        answers[f"/machine/peripheral/rng{number} rng"] = {"return": "/objects/objrng0"}
    assert len(talk(answers)[0]) == qom.MAX_DEVICES
    answers["/machine/peripheral"] = {"return": children}
    with pytest.raises(GuestError, match="more than 32 virtio RNGs"):
        talk(answers)
