# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of findings about guests: its form, its words, and that the page about it says the same."""

from __future__ import annotations

import re
from pathlib import Path

from ansible_collections.fleet.rng.plugins.module_utils.kernel.findings import SEVERITIES
from ansible_collections.fleet.rng.plugins.plugin_utils.guest_findings import (
    KINDS,
    LONGEST_WORD,
    NOT_LIVE,
    after_failure,
    finding,
    unreached,
    with_unsafe_source,
)

PAGE = Path(__file__).parents[4] / "docs/findings.md"


def test_ids_are_stable_names_in_order() -> None:
    assert [kind.id for kind in KINDS] == [f"RNG{number}" for number in range(101, 101 + len(KINDS))]


def test_severities_are_those_of_the_kernel_and_all_used() -> None:
    assert {kind.severity for kind in KINDS} == set(SEVERITIES)


def test_texts_are_sentences() -> None:
    for kind in KINDS:
        assert re.fullmatch(r"[A-Z].*[.:]?.*\.", kind.message), kind.id
        assert re.fullmatch(r"[A-Z].*\.", kind.remedy), kind.id


def test_remedies_name_a_command_a_variable_or_a_file() -> None:
    command = r"\{(restart|show)|modprobe |echo |dd if|Get-PnpDevice|sysctl "
    concrete = command + r"|playbook |rng_\w+|/sys/|Run again|the variable"
    assert [kind.id for kind in KINDS if not re.search(concrete, kind.remedy.replace("{trial}", "dd if"))] == []


def test_the_page_lists_every_finding_with_its_severity() -> None:
    rows = re.findall(r"^\| (RNG1[0-9]{2}) \| (\w+) \| ([^|]+) \|", PAGE.read_text(encoding="utf-8"), re.M)
    assert [row[:2] for row in rows] == [(kind.id, kind.severity) for kind in KINDS]
    assert len({row[2] for row in rows}) == len(KINDS)


def test_where_the_change_failed_the_remedy_is_not_to_run_it_once_more() -> None:
    for kind in KINDS:
        after = after_failure(kind)
        assert (after.id, after.severity) == (kind.id, kind.severity)
        assert after.message.endswith("; changing it failed: {failure}.")
        assert after.remedy.startswith("Mend what the change failed on")


def test_where_the_source_is_refused_the_remedy_is_another_source() -> None:
    for kind in KINDS:
        refused = with_unsafe_source(kind)
        assert (refused.id, refused.severity) == (kind.id, kind.severity)
        assert refused.message.endswith("; {unsafe}.")
        assert refused.remedy.startswith("Set virtio_rng_source ")
        assert refused.remedy == after_failure(kind, unsafe=True).remedy


def test_where_its_connection_failed_the_remedy_is_not_to_ask_over_it() -> None:
    for kind in KINDS:
        other = unreached(kind)
        assert (other.id, other.severity) == (kind.id, kind.severity)
        assert other.message.endswith("; asked over its own connection: {connection}.")
        assert not re.search("into the inventory|rng_verify_guests", other.remedy), kind.id


def test_words_are_made_printable_and_short() -> None:
    found = finding(NOT_LIVE, "a\nb", {"x": 1, "why": "\n"}, wanted="no", found="\x1b" + "x" * 1000)
    assert found["subject"] == r"a\x0ab"
    assert found["message"].isprintable()
    assert len(found["message"]) < LONGEST_WORD + 100
    assert found["evidence"] == {"x": 1, "why": r"\x0a"}
