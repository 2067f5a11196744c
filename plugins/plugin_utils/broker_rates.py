# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each class of a hypervisor's broker is guaranteed and limited to, and whether the guarantees can be kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.broker.config import DEFAULT_RATE, LARGEST_REQUEST
from ansible_collections.fleet.rng.plugins.module_utils.broker.given import LARGEST_RATE
from ansible_collections.fleet.rng.plugins.module_utils.device import UNLIMITED
from ansible_collections.fleet.rng.plugins.module_utils.errors import InvalidValueError, RngError
from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils.broker import (
    CLASSES_VARIABLE,
    DEFAULT_CLASS,
    RATE_VARIABLE,
    BrokerClass,
    Classes,
)
from ansible_collections.fleet.rng.plugins.plugin_utils.policy import BROKER_PREFIX, whole_number

LAST_PRIORITY = 7
SHOWN = 5


@dataclass(frozen=True)
class Shape:
    """Bytes per second, and a burst in bytes. None: as the daemon has it by default; for ``ceil`` no limit."""

    rate: int
    ceil: int | None = None
    burst: int | None = None
    priority: int | None = None


@dataclass
class _Given:
    """What is set for one class, checked."""

    rate: int | None = None
    rate_words: str = ""
    ceil: int | None = None
    ceil_words: str = ""
    burst: int | None = None
    priority: int | None = None


def shapes(classes: Classes) -> tuple[dict[str, Shape], int | None]:
    """The shape of each class, and the rate of the whole host or None.

    :raises RngError: all mistakes in one message, those of names and parents included.
    """
    mistakes = classes.everything_wrong()
    host_rate = _noted(mistakes, lambda: _host_rate(classes))
    given = {name: _given(classes, one, mistakes) for name, one in classes.classes.items()}
    if mistakes:
        raise RngError("; ".join(mistakes))
    rates = _Rates(classes, given, host_rate)
    for name in given:
        rates.of(name)
    mistakes = [
        *rates.mistakes,
        *(wrong for name, one in given.items() if (wrong := _below_its_rate(classes, name, one, rates.of(name)))),
    ]
    if mistakes:
        raise RngError("; ".join(mistakes))
    return {name: Shape(rates.of(name), one.ceil, one.burst, one.priority) for name, one in given.items()}, host_rate


def _noted(mistakes: list[str], read: Any) -> Any:
    try:
        return read()
    except RngError as error:
        mistakes.append(str(error))
        return None


def _host_rate(classes: Classes) -> int | None:
    value = classes.host.rate
    if value is None or value == UNLIMITED:
        return None
    return whole_number(f"{classes.host.words}: {RATE_VARIABLE}", value, 1, LARGEST_RATE, f", or {UNLIMITED}")


def _given(classes: Classes, one: BrokerClass, mistakes: list[str]) -> _Given:
    found = _Given()
    for key, low, high, more in (
        ("rate", 1, LARGEST_RATE, " bytes per second"),
        ("ceil", 1, LARGEST_RATE, f" bytes per second, or {UNLIMITED}"),
        ("burst", LARGEST_REQUEST, LARGEST_RATE, " bytes"),
        ("priority", 0, LAST_PRIORITY, ""),
    ):
        words, value = _value(classes, one, key)
        if value is None or (key == "ceil" and value == UNLIMITED):
            continue
        try:
            setattr(found, key, whole_number(words, value, low, high, more))
        except RngError as error:
            mistakes.append(str(error))
        if key in ("rate", "ceil"):
            setattr(found, f"{key}_words", words)
    return found


def _value(classes: Classes, one: BrokerClass, key: str) -> tuple[str, Any]:
    """Where the value is set, and the value: the hypervisor's entry wins over the group."""
    if one.entry.get(key) is not None:
        return f"{classes.host.words}: {CLASSES_VARIABLE}.{printable(one.name, 80)}.{key}", one.entry[key]
    return f"{one.words}: {BROKER_PREFIX}{key}", one.group.variables.get(key) if one.group else None


def _below_its_rate(classes: Classes, name: str, given: _Given, rate: int) -> str:
    if given.ceil is None or given.ceil >= rate:
        return ""
    below = "its classes have" if given.rate is None and classes.children(name) else "its rate is"
    return str(InvalidValueError(given.ceil_words, given.ceil, f"{rate} or more, or {UNLIMITED}, since {below} {rate}"))


class _Rates:
    """The rate of each class, from those that are set."""

    def __init__(self, classes: Classes, given: dict[str, _Given], host_rate: int | None) -> None:
        self.mistakes: list[str] = []
        self._classes = classes
        self._given = given
        self._found: dict[str, int] = {}
        if host_rate is not None:
            self._divide(f"{classes.host.words}: {RATE_VARIABLE}", host_rate, classes.children(None))

    def of(self, name: str) -> int:
        """What is set; else what its classes have together, or the least."""
        if name not in self._found:
            children = self._classes.children(name)
            rate = self._given[name].rate
            if rate is not None:
                self._divide(self._given[name].rate_words, rate, children)
            else:
                rate = sum(self.of(one.name) for one in children) or DEFAULT_RATE
            self._found[name] = rate
        return self._found[name]

    def _divide(self, words: str, rate: int, children: Sequence[BrokerClass]) -> None:
        """See that the guarantees of the children fit; one that nobody asked for takes what is left."""
        modest = [one for one in children if self._is_modest(one)]
        others = sum(self.of(one.name) for one in children if one not in modest)
        for one in modest:
            self._found[one.name] = max(1, min(DEFAULT_RATE, rate - others))
        total = others + sum(self.of(one.name) for one in modest)
        if total > rate:
            ranked = sorted(children, key=lambda one: -self.of(one.name))
            parts = [f"{printable(one.name, 64)} {self.of(one.name)}" for one in ranked[:SHOWN]]
            if len(ranked) > SHOWN:
                parts.append(f"{len(ranked) - SHOWN} more {sum(self.of(one.name) for one in ranked[SHOWN:])}")
            noun = "classes" if len(children) > 1 else "class"
            hints = "".join(f"; {one.name} is {_purpose(one)}" for one in modest)
            self.mistakes.append(f"{words} {rate}, but its {noun} {' + '.join(parts)} = {total}{hints}")

    def _is_modest(self, one: BrokerClass) -> bool:
        """Whether the class is there without anybody's word, and says no rate."""
        unasked = bool(one.own_of) or (one.name == DEFAULT_CLASS and one.group is None)
        return unasked and self._given[one.name].rate is None and not self._classes.children(one.name)


def _purpose(one: BrokerClass) -> str:
    return f"for guests directly in {printable(one.own_of, 64)}" if one.own_of else "for guests in no other class"
