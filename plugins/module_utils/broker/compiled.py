# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program's compiled code, handed over: to compile it takes half of a start, and guests wait meanwhile.

Before the program becomes its next self, a child of it tries that one (``candidate``), and so has compiled it. It
leaves the code in a file in memory. The next self takes it only if it is that of its own sources and its own Python.
"""

from __future__ import annotations

import marshal
import os
import sys
from contextlib import contextmanager
from typing import Any, Dict, Iterator, MutableMapping

VARIABLE = "VIRTRNGD_CODE"
LARGEST = 16 * 2**20  # bytes


def save(environ: MutableMapping[str, str]) -> None:
    """Leave the code of all modules that were imported so far where the parent asked for it."""
    descriptor = _descriptor(environ)
    if descriptor >= 0:
        data = memoryview(marshal.dumps([sys.version, _of_program("SOURCES"), _of_program("CODE")]))
        while data:
            data = data[os.write(descriptor, data) :]


@contextmanager
def passed(descriptor: int) -> Iterator[Dict[str, str]]:
    """What to add to the environment of the next program. The descriptor is closed afterwards, if there is one."""
    if descriptor < 0:
        yield {}
        return
    os.set_inheritable(descriptor, True)
    try:
        yield {VARIABLE: str(descriptor)}
    finally:  # only where it did not become the next program
        os.close(descriptor)


def load(environ: MutableMapping[str, str]) -> bool:
    """Take the code that a child of the program before us has left; whether it is ours."""
    descriptor = _descriptor(environ)
    if descriptor < 0:
        return False
    try:
        with open(descriptor, "rb") as file:
            file.seek(0)
            version, sources, code = marshal.loads(file.read(LARGEST))  # noqa: S302 - our own child wrote it
    except (OSError, ValueError, EOFError, TypeError):
        return False  # then it is compiled
    if version != sys.version or not sources or sources != _of_program("SOURCES"):
        return False
    _of_program("CODE").update(code)
    return True


def _descriptor(environ: MutableMapping[str, str]) -> int:
    given = environ.pop(VARIABLE, "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 10 else -1


def _of_program(name: str) -> Dict[str, Any]:
    """What the file that is the program holds; nothing where it is none."""
    found = getattr(sys.modules["__main__"], name, None)
    return found if isinstance(found, dict) else {}
