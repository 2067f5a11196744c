# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stream is, on a real pseudo-terminal and on a file."""

from __future__ import annotations

import fcntl
import io
import os
import struct
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker.cells import Style
from ansible_collections.fleet.rng.plugins.module_utils.broker.terminal import USUAL, size_of, style_of


@pytest.fixture
def terminal() -> Iterator[TextIO]:
    master, slave = os.openpty()
    with os.fdopen(slave, "w", encoding="utf-8") as stream:
        yield stream
    os.close(master)


def test_the_size_of_a_terminal(terminal: TextIO) -> None:
    assert size_of(terminal) == USUAL  # one without a size
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 132, 0, 0))
    assert size_of(terminal) == (132, 50)


def test_what_is_no_terminal_has_the_usual_size(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w", encoding="utf-8") as stream:
        assert size_of(stream) == USUAL
        assert style_of(stream) == Style(colours=False, blocks=True)
    assert size_of(io.StringIO()) == USUAL


@pytest.mark.parametrize(
    ("environment", "colours"),
    [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({}, False), ({"TERM": "xterm", "NO_COLOR": "1"}, False)],
)
def test_colours_only_where_they_are_wanted(
    terminal: TextIO, environment: dict[str, str], colours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert style_of(terminal) == Style(colours=colours, blocks=True)


def test_blocks_need_an_encoding_that_has_them(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w", encoding="ascii") as stream:
        assert style_of(stream).blocks is False
