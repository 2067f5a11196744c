# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ganeti's ``kvm_extra``: words of everybody by a table, and what must hold for any text."""

from __future__ import annotations

import ast
import functools
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.codec import ganeti as codec
from ansible_collections.fleet.rng.plugins.module_utils.converge import OWN_ALIAS, is_own
from ansible_collections.fleet.rng.plugins.module_utils.device import Rate, RngDevice, Source
from ansible_collections.fleet.rng.plugins.module_utils.errors import GuestError, InvalidValueError
from ansible_collections.fleet.rng.plugins.module_utils.observation import FoundDevice
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.fake_ganeti import unescape
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.strategies import devices
from hypothesis import assume, given
from hypothesis import strategies as st

CASES = json.loads((Path(__file__).parents[3] / "cases" / "ganeti" / "extra.json").read_text(encoding="utf-8"))
INSTALLED = Path("/usr/share/ganeti/default/ganeti/utils/text.py")

DEVICE = RngDevice(Source.parse("/dev/urandom"), Rate(1024, 1000))
OWN = (
    "-object rng-random,id=ua-fleet-rng-source,filename=/dev/urandom "
    "-device virtio-rng-pci,rng=ua-fleet-rng-source,id=ua-fleet-rng,max-bytes=1024,period=1000"
)
THEIRS = "-object rng-random,id=rng0,filename=/dev/random -device virtio-rng-pci,rng=rng0"

extras = st.one_of(
    st.text("ab -,=\\'\"\t\nä", max_size=30),
    st.lists(
        st.sampled_from(
            [*THEIRS.split(" "), *OWN.split(" "), "", "-S", "'a b'", "-device", "--object", "{", "-object"]
        ),
        max_size=12,
    ).map(" ".join),
)
spelled = devices.filter(
    lambda device: (
        device.source.kind != "egd" and re.fullmatch(r"[!-~]*", device.source.path.replace("'", " ").replace("\\", " "))
    )
)


def words(text: str, shell: bool) -> list[str]:
    return [word.value for word in codec.split(text, shell)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_words_of_everybody(case: dict[str, Any]) -> None:
    for shell in case.get("shell", [True, False]):
        found = [one.to_wire() for one in codec.parse_extra(case["text"], shell)]
        for one, expected in zip(found, case["devices"], strict=True):
            assert {key: one[key] for key in expected} == expected, one


@pytest.mark.parametrize("shell", [True, False])
@given(text=extras)
def test_words_are_those_that_ganeti_passes_on(shell: bool, text: str) -> None:
    try:
        expected = shlex.split(text) if shell else text.split(" ") if text else []
    except ValueError:
        with pytest.raises(GuestError, match="cannot be split"):
            codec.split(text, shell)
        return
    assert words(text, shell) == expected
    for word in codec.split(text, shell):
        raw = text[word.start : word.end]
        assert (shlex.split(raw) if shell else [raw]) == [word.value], "each word knows where it stands"


@pytest.mark.parametrize("shell", [True, False])
@given(text=extras, device=spelled, copied=st.booleans())
def test_what_is_added_can_be_taken_back(shell: bool, text: str, device: RngDevice, copied: bool) -> None:
    try:
        rest = codec.without_own(text, shell)
    except GuestError:
        assume(False)
    assume(codec.without_own(rest, shell) == rest)
    try:
        changed = codec.with_rng(text, shell, device, copied)
    except InvalidValueError:
        assert words(rest, shell)[-1].lstrip("-") in ("object", "device", "chardev"), "an option without its value"
        return
    own = [found for found in codec.parse_extra(changed, shell) if is_own(found)]
    assert own[-1] == FoundDevice(device, OWN_ALIAS)
    assert changed.startswith(rest)
    assert codec.without_own(changed, shell) == rest
    assert codec.is_copied(changed, shell) is copied
    assert words(changed, shell)[: len(words(rest, shell))] == words(rest, shell), "theirs are what they were"
    assert not re.search(r"[\s'\"\\]{2}|['\"\\]", changed[len(rest) :]), "the same to every version"
    assert codec.with_rng(changed, shell, device, copied) == changed


@pytest.mark.parametrize("shell", [True, False])
@given(device=spelled)
def test_ours_mean_the_same_to_every_version(shell: bool, device: RngDevice) -> None:
    text = codec.with_rng("", shell, device, False)
    assert words(text, True) == words(text, False)
    assert codec.parse_extra(text, shell) == (FoundDevice(device, OWN_ALIAS),)


def test_ours_are_found_wherever_somebody_has_moved_them() -> None:
    first, second = OWN.split(" -device ")
    for text, rest in (
        (f"{OWN} -S", "-S"),
        (f"-S {OWN} -foo", "-S -foo"),
        (f"{first} -S -device {second}", "-S"),
        (f"-S {first}", "-S"),
        (f"-device {second} -S", "-S"),
    ):
        assert codec.without_own(text, True) == codec.without_own(text, False) == rest


def test_a_copy_is_one_until_somebody_changes_it() -> None:
    text = codec.with_rng("-S -foo 'a b'", True, DEVICE, True)
    assert codec.is_copied(text, True)
    assert not codec.is_copied(text.replace("-foo", "-bar"), True)
    assert not codec.is_copied(text + " -bar", True)
    assert not codec.is_copied(codec.with_rng("-S", True, DEVICE, False), True)
    assert not codec.is_copied("-S", True)


def test_devices_of_others_go_with_what_only_they_need() -> None:
    (theirs,) = codec.parse_extra(THEIRS, False)
    assert codec.without(f"-S {THEIRS} -foo", False, theirs, False) == "-S -foo"
    shared = f"{THEIRS} -device virtio-rng-pci,rng=rng0,id=second,addr=0x9"
    assert codec.without(shared, False, codec.parse_extra(shared, False)[0], False) == (
        "-object rng-random,id=rng0,filename=/dev/random -device virtio-rng-pci,rng=rng0,id=second,addr=0x9"
    )
    egd = "-chardev socket,id=c0,path=/run/egd.sock -object rng-egd,id=rng0,chardev=c0 -device virtio-rng-pci,rng=rng0"
    assert codec.without(f"{egd} -S", False, codec.parse_extra(egd, False)[0], False) == "-S"
    monitored = f"{egd} -mon chardev=c0 -device isa-serial,chardev=c0"
    assert "-chardev" in codec.without(monitored, False, codec.parse_extra(egd, False)[0], False)
    assert codec.without(THEIRS, False, FoundDevice(DEVICE), False) == THEIRS


def test_the_copy_stays_one_when_what_it_inherits_loses_an_rng() -> None:
    both = codec.with_rng(f"-S {THEIRS}", False, DEVICE, True)
    left = codec.without(both, False, codec.parse_extra(both, False)[0], True)
    assert codec.is_copied(left, False)
    assert codec.without_own(left, False) == "-S"


@pytest.mark.parametrize("path", ["/dev/a b", "/dev/a'b", "/dev/a\\b", "/dev/a\u00a0b", "/dev/\u00fc"])
def test_what_cannot_be_said(path: str) -> None:
    with pytest.raises(InvalidValueError, match="without spaces, quotes and backslashes, for Ganeti's kvm_extra"):
        codec.render_rng(RngDevice(Source("random", path=path)), "x")


def test_what_cannot_be_said_either() -> None:
    with pytest.raises(InvalidValueError, match="for Ganeti's kvm_extra"):
        codec.render_rng(RngDevice(Source.parse("egd+unix:/run/egd.sock")), "x")
    with pytest.raises(InvalidValueError, match=r"kvm_extra: .* at most 65536 characters"):
        codec.with_rng("-" * (codec.MAX_EXTRA - 10), False, DEVICE, False)
    with pytest.raises(GuestError, match="has more than 65536 characters"):
        codec.split("-" * (codec.MAX_EXTRA + 1), False)


@given(values=st.lists(st.text("ab,\\'\" =\n", max_size=20), min_size=1, max_size=3))
def test_options_survive_ganetis_commas(values: list[str]) -> None:
    text = ",".join(f"kvm_extra={codec.escape(value)}" for value in values)
    assert unescape(text) == [f"kvm_extra={value}" for value in values]


@pytest.mark.skipif(not INSTALLED.is_file(), reason="Ganeti is not installed")
@given(values=st.lists(st.text("ab,\\'\" =\n", max_size=20), min_size=1, max_size=3))
def test_options_survive_ganeti_itself(values: list[str]) -> None:
    text = ",".join(f"kvm_extra={codec.escape(value)}" for value in values)
    assert ganetis_own()(text) == [f"kvm_extra={value}" for value in values]


@functools.cache
def ganetis_own() -> Callable[[str], list[str]]:
    """The one function, without the modules that Ganeti would load with it."""
    nodes = ast.parse(INSTALLED.read_text(encoding="utf-8")).body
    (found,) = [node for node in nodes if isinstance(node, ast.FunctionDef) and node.name == "UnescapeAndSplit"]
    names: dict[str, Any] = {"re": re}
    exec(compile(ast.Module([found], []), str(INSTALLED), "exec"), names)  # noqa: S102  the code under test
    split: Callable[[str], list[str]] = names["UnescapeAndSplit"]
    return split
