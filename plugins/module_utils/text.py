# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text that somebody else controls, made fit to be shown: guests, their files and their names are not trusted."""

from __future__ import annotations


def printable(text: str, limit: int = 200) -> str:
    r"""Return ``text`` on one line of at most ``limit`` characters, with everything that cannot be seen escaped.

    That is what may move the cursor, reverse the reading direction or hide: control and format characters, lone
    surrogates, characters without a meaning, and every space but the plain one. Escapes are ``\xNN``, ``\uNNNN`` and
    ``\UNNNNNNNN``, and are never cut in two. A longer text ends in ``...``.
    """
    room = max(limit, 3)
    shown = [_escape(character) for character in text[: room + 1]]
    if sum(map(len, shown)) <= room:
        return "".join(shown)
    length = sum(map(len, shown))
    while shown and length > room - 3:
        length -= len(shown.pop())
    return "".join(shown) + "..."


def _escape(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
