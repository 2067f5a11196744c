# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of its hardware RNGs a kernel should use, by a list of preferences.

The names are the kernel's: ``tpm-rng-0``, ``virtio_rng.1``, ``ccp-1-rng``. Some have a number that the next boot or
the next unplugging gives to another device, which is why preferences are patterns.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Optional, Sequence, Tuple

from ..errors import InvalidValueError, RngError
from ..text import printable

NONE = "none"  # what the kernel calls having no RNG in use; newer ones can be told so, and list it among the RNGs
# What means the same to fnmatch, to a shell's case and to udev, and needs no quoting in any of them.
_PATTERN = re.compile(r"[A-Za-z0-9_.:,@+=/*?!\[\]-]{1,64}")
_MODULE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}")
_MOST = 32
_NAME_LIMIT = 100


class NoRngError(RngError):
    """The kernel has no hardware RNG that is asked for, or lost it meanwhile; the one in use stays."""


@dataclass(frozen=True)
class Seen:
    """What the kernel says: ``current`` is None without hw_random, ``selected`` where it does not tell (before 4.15).

    ``selected`` is whether somebody chose the RNG in use. While nobody has, a better one that appears takes its place.
    """

    available: Tuple[str, ...] = ()
    current: Optional[str] = None
    selected: Optional[bool] = None

    def uses(self, name: str) -> bool:
        """Whether the kernel uses this one and will keep it."""
        return self.current == name and self.selected is not False


@dataclass(frozen=True)
class Choice:
    """The RNG that is wanted, and why."""

    name: str
    pattern: str

    def reason(self, seen: Seen) -> str:
        """What choosing it does to a kernel that has been seen like this."""
        matches = self.name if self.name == self.pattern else f"{self.name} matches {self.pattern}"
        if seen.uses(self.name):
            return f"{matches}, and is in use already"
        if seen.current == self.name:
            return f"{matches}, and is in use by the kernel's own choice: now it stays when a better one appears"
        return f"{matches}, instead of {printable(seen.current or NONE, _NAME_LIMIT)}"


def interpret_choice(available: Optional[str], current: Optional[str], selected: Optional[str]) -> Seen:
    """From the text of rng_available, rng_current and rng_selected; None for a file that is not there."""
    names = tuple(printable(name, _NAME_LIMIT) for name in (available or "").split()[:_MOST])
    return Seen(
        names,
        None if current is None else printable(current.strip(), _NAME_LIMIT) or NONE,
        {"0": False, "1": True}.get((selected or "").strip()),
    )


def parse_prefer(prefer: Sequence[str]) -> Tuple[str, ...]:
    """The patterns, checked: what they are made of is safe in every file that they are written to."""
    if not prefer or len(prefer) > _MOST:
        raise InvalidValueError("prefer", list(prefer[:_MOST]), f"1 to {_MOST} patterns of names in rng_available")
    for pattern in prefer:
        if not _PATTERN.fullmatch(pattern):
            raise InvalidValueError(
                "prefer", pattern, "letters, digits, any of _ . : , @ + = / - and the wildcards * ? [ ] !, at most 64"
            )
    return tuple(prefer)


def parse_modules(modules: Sequence[str]) -> Tuple[str, ...]:
    """The names of kernel modules, checked, each once."""
    for module in modules:
        if not _MODULE.fullmatch(module):
            raise InvalidValueError("modules", module, "the name of a kernel module: letters, digits, _ and -")
    if len(modules) > _MOST:
        raise InvalidValueError("modules", list(modules[:_MOST]), f"at most {_MOST} kernel modules")
    return tuple(dict.fromkeys(modules))


def find(prefer: Sequence[str], seen: Seen) -> Optional[Choice]:
    """The first preference that the kernel can fulfil. Of the RNGs that match it, the one in use stays."""
    for pattern in prefer:
        matching = [name for name in seen.available if _matches(name, pattern)]
        if matching:
            return Choice(seen.current if seen.current in matching else matching[0], pattern)
    return None


def choose(prefer: Sequence[str], seen: Seen) -> Choice:
    """As :func:`find`.

    :raises NoRngError: when there is nothing to choose, with what is asked for, what there is, and what stays.
    """
    choice = find(prefer, seen)
    if choice is None:
        raise NoRngError(f"prefer: {_listed(prefer)} matches nothing; {what_there_is(seen)}{_hint(prefer, seen)}")
    return choice


def vanished(prefer: Sequence[str], choice: Choice, seen: Seen) -> NoRngError:
    """The error for an RNG that was chosen and that the kernel does not take into use."""
    return NoRngError(
        f"{choice.name}, chosen by prefer: {_listed(prefer)}, could not be taken into use: "
        + ("the kernel refused it" if choice.name in seen.available else "it is gone")
        + f"; {what_there_is(seen)}"
    )


def what_there_is(seen: Seen) -> str:
    """What a kernel has and uses, as the end of a sentence."""
    if seen.current is None:
        return "the kernel has no hardware RNG (/dev/hwrng): its driver may have to be loaded with the option modules"
    if not [name for name in seen.available if name != NONE]:
        return "available: no hardware RNG; its driver may have to be loaded with the option modules"
    return f"available: {', '.join(seen.available)}; in use, as before: {seen.current}"


def _matches(name: str, pattern: str) -> bool:
    """The pseudo RNG ``none`` turns the kernel's hardware RNG off, which no wildcard may do."""
    return pattern == NONE if name == NONE else fnmatchcase(name, pattern)


def _listed(prefer: Sequence[str]) -> str:
    return ", ".join(prefer)


def _hint(prefer: Sequence[str], seen: Seen) -> str:
    if NONE in prefer and NONE not in seen.available:
        return "; this kernel cannot be told to use none"
    return ""
