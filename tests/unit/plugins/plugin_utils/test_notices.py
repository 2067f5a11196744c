# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words about many machines."""

from __future__ import annotations

import pytest
from ansible_collections.fleet.rng.plugins.plugin_utils.notices import counted, misspelt, said_once, some


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], ""),
        (["a"], "a"),
        (list("abcde"), "a, b, c, d, e"),
        (list("abcdefg"), "a, b, c, d, e and 2 more"),
        (["\u202ea\n"], "\\u202ea\\x0a"),
    ],
)
def test_some(names: list[str], words: str) -> None:
    assert some(names) == words


def test_only_one_is_no_plural() -> None:
    assert [counted(number, "guest") for number in (0, 1, 2000)] == ["0 guests", "1 guest", "2,000 guests"]


def test_a_remedy_is_said_once_for_findings_in_a_row() -> None:
    findings = [{"id": number, "message": f"{number}.", "remedy": f"Mend {number}."} for number in "aab"]
    assert list(said_once(findings)) == ["a. Mend a.", "a.", "b. Mend b."]


def test_a_variable_is_one_warning_whoever_has_it() -> None:
    assert misspelt(
        [("hv1", ("virtio_rng_sorce", "virtio_rng_zz0123456789")), ("hv2", ()), ("web1", ("virtio_rng_sorce",))]
    ) == [
        "virtio_rng_sorce is no variable of this collection (hv1, web1); did you mean virtio_rng_source?",
        "virtio_rng_zz0123456789 is no variable of this collection (hv1)",
    ]
