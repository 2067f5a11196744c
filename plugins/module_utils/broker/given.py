# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is given in a JSON object, taken key by key; what is not valid is noted, and all of it said at the end."""

from __future__ import annotations

import json
import os.path
import re
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Pattern, Sequence, Tuple

from ..errors import InvalidValueError
from ..text import printable

UNLIMITED = "unlimited"
LARGEST_RATE = 10**12  # bytes per second

_GROUP = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,30}\$?")
_MODE = re.compile(r"0?[0-7]{3}")


def load(text: str) -> Any:
    """The JSON value; objects know which of their keys came twice.

    :raises ValueError: if the text is not JSON.
    """
    try:
        return json.loads(text, object_pairs_hook=Pairs, parse_constant=_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _constant(word: str) -> None:
    raise ValueError(f"{word} is no number")


class Pairs(Dict[str, Any]):
    """A JSON object that remembers which keys came twice, as JSON itself does not mind."""

    def __init__(self, pairs: Iterable[Tuple[str, Any]] = ()) -> None:
        super().__init__()
        self.twice: List[str] = []
        for key, value in pairs:
            if key in self:
                self.twice.append(key)
            self[key] = value


class Given:
    """Takes the keys of one object, and notes what is wrong under the name that the reader of the file knows."""

    def __init__(self, where: str, found: Mapping[str, Any], mistakes: Optional[List[str]] = None) -> None:
        self.where = where
        self.found = found
        self.mistakes: List[str] = [] if mistakes is None else mistakes
        self.known: List[str] = []
        for key in getattr(found, "twice", ()):
            self.say(f"{self.called(key)}: is there twice")

    def called(self, key: str) -> str:
        return self.where + printable(key, 80)

    def say(self, mistake: str) -> None:
        self.mistakes.append(mistake)

    def wrong(self, key: str, given: object, allowed: str) -> None:
        self.say(str(InvalidValueError(self.called(key), given, allowed)))

    def inner(self, where: str, found: Mapping[str, Any]) -> Given:
        return Given(self.where + where, found, self.mistakes)

    def take(self, key: str, default: Any, allowed: str, valid: Callable[[Any], bool]) -> Any:
        """The value of a key that may be left out; what is not valid is noted, and the default goes on for it."""
        self.known.append(key)
        if key not in self.found:
            return default
        given = self.found[key]
        if valid(given):
            return given
        self.wrong(key, given, allowed)
        return default

    def boolean(self, key: str, default: bool) -> bool:
        return bool(self.take(key, default, "true or false", lambda given: isinstance(given, bool)))

    def number(self, key: str, default: int, low: int, high: int) -> int:
        return int(self.take(key, default, f"a whole number from {low} to {high}", _within(low, high)))

    def limit(self, key: str, low: int) -> Optional[int]:
        allowed = f'a whole number of bytes per second from {low} to {LARGEST_RATE}, or "{UNLIMITED}"'
        number = _within(low, LARGEST_RATE)
        given = self.take(key, UNLIMITED, allowed, lambda given: given == UNLIMITED or number(given))
        return None if given == UNLIMITED else int(given)

    def word(self, key: str, default: str, words: Sequence[str]) -> str:
        allowed = ", ".join(words)
        return str(self.take(key, default, allowed, lambda given: isinstance(given, str) and given in words))

    def mode(self, key: str) -> int:
        allowed = 'an octal mode as text, such as "0660"'
        return int(self.take(key, "0660", allowed, lambda given: matches(_MODE, given)), 8)

    def group(self, key: str) -> Optional[str]:
        allowed = "the name of a group, or null"
        given = self.take(key, None, allowed, lambda given: given is None or matches(_GROUP, given))
        return None if given is None else str(given)

    def path(self, key: str, default: Optional[str]) -> Optional[str]:
        allowed = "an absolute path, or null"
        given = self.take(key, default, allowed, lambda given: given is None or is_path(given, 4095))
        return None if given is None else str(given)

    def objects(self, key: str, default: Sequence[Mapping[str, Any]], label: str) -> List[Given]:
        """A reader for each object of a list; ``label`` is the key by which one is spoken of."""
        allowed = "a list of objects, that is [{...}, ...]"
        listed = self.take(key, default, allowed, lambda given: isinstance(given, list) and all(map(is_object, given)))
        readers = []
        for number, found in enumerate(listed):
            name = found.get(label)
            shown = printable(name, 64) if isinstance(name, str) else str(number)
            readers.append(self.inner(f"{key}[{shown}].", found))
        return readers

    def end(self) -> None:
        """Note the keys that nobody took."""
        for key in self.found:
            if key in self.known:
                continue
            from difflib import get_close_matches  # only now: a daemon that starts anew has to be quick

            near = get_close_matches(key, self.known, 1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(self.known)}"
            self.say(f"{self.called(key)}: no such key; {hint}")


def _within(low: int, high: int) -> Callable[[Any], bool]:
    return lambda given: isinstance(given, int) and not isinstance(given, bool) and low <= given <= high


def is_object(given: object) -> bool:
    return isinstance(given, dict)


def matches(pattern: Pattern[str], given: object) -> bool:
    return isinstance(given, str) and pattern.fullmatch(given) is not None


def is_path(given: object, limit: int) -> bool:
    """An absolute path in its shortest form, of at most ``limit`` bytes, all of which can be seen."""
    if not isinstance(given, str) or not given.startswith("/") or given.startswith("//") or given == "/":
        return False
    return given.isprintable() and os.path.normpath(given) == given and len(given.encode("utf-8")) <= limit
