# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choosing, on recorded machines by table, and that names of the kernel can be anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.errors import InvalidValueError
from ansible_collections.fleet.rng.plugins.module_utils.kernel import choice
from ansible_collections.fleet.rng.plugins.module_utils.kernel.choice import Seen
from hypothesis import given
from hypothesis import strategies as st

CASES_DIRECTORY = Path(__file__).parents[3] / "cases"
CASES = json.loads((CASES_DIRECTORY / "hwrng/choice.json").read_text(encoding="utf-8"))


def files_of(case: dict[str, Any]) -> list[str | None]:
    """What rng_available, rng_current and rng_selected say on the machine of a case."""
    if "sysfs" in case:
        return list(case["sysfs"])
    machine = json.loads((CASES_DIRECTORY / f"kernel/{case['machine']}.json").read_text(encoding="utf-8"))
    names = ("available", "current", "selected")
    return [machine["snapshot"].get(f"/sys/devices/virtual/misc/hw_random/rng_{name}") for name in names]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["about"])
def test_choice(case: dict[str, Any]) -> None:
    seen = choice.interpret_choice(*files_of(case))
    prefer = choice.parse_prefer(case["prefer"])
    if "error" in case:
        with pytest.raises(choice.NoRngError) as caught:
            choice.choose(prefer, seen)
        assert str(caught.value) == case["error"]
        assert choice.find(prefer, seen) is None
        return
    chosen = choice.choose(prefer, seen)
    assert (chosen.name, seen.uses(chosen.name), chosen.reason(seen)) == (
        case["chosen"],
        case["settled"],
        case["reason"],
    )


def test_what_the_kernel_says_is_bounded_and_printable() -> None:
    case = {"machine": "hostile"}
    seen = choice.interpret_choice(*files_of(case))
    assert all(name.isprintable() and len(name) <= 100 for name in (*seen.available, seen.current or ""))
    assert len(choice.interpret_choice("a " * 1000, "a", "1").available) == 32


@given(st.text(), st.text(), st.text())
def test_any_text_is_understood(available: str, current: str, selected: str) -> None:
    seen = choice.interpret_choice(available, current, selected)
    found = choice.find(("*",), seen)
    assert found is None or (found.name in seen.available and found.name != "none")


@pytest.mark.parametrize(
    "pattern", ["", " ", "a b", "$(reboot)", "`id`", "a;b", "'", '"', "\\", "%h", "ä", "a\n", "{a,b}", "a|b", "x" * 65]
)
def test_patterns_that_would_need_quoting_are_refused(pattern: str) -> None:
    with pytest.raises(InvalidValueError, match=r"^prefer: "):
        choice.parse_prefer(["tpm-*", pattern])


def test_as_many_patterns_as_make_sense() -> None:
    for prefer in ([], ["a"] * 33):
        with pytest.raises(InvalidValueError, match=r"^prefer: .* 1 to 32 patterns"):
            choice.parse_prefer(prefer)


def test_modules() -> None:
    assert choice.parse_modules(["tpm_tis", "virtio-rng", "tpm_tis"]) == ("tpm_tis", "virtio-rng")
    for modules in (["../x"], ["-r"], ["a b"], [""], ["a\n"], [f"m{number}" for number in range(33)]):
        with pytest.raises(InvalidValueError, match=r"^modules: "):
            choice.parse_modules(modules)


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (Seen(("amd",), "amd", True), "it is gone; available: amd; in use, as before: amd"),
        (Seen(("amd", "tpm-rng-0"), "amd", True), "the kernel refused it; available: amd, tpm-rng-0; in use"),
        (Seen((), "none", False), "it is gone; available: no hardware RNG; its driver may"),
    ],
)  # fmt: skip
def test_a_device_that_is_not_taken_into_use(seen: Seen, why: str) -> None:
    error = choice.vanished(("tpm-*", "amd"), choice.Choice("tpm-rng-0", "tpm-*"), seen)
    assert str(error).startswith(f"tpm-rng-0, chosen by prefer: tpm-*, amd, could not be taken into use: {why}")
