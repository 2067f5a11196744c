# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is a command, and where it ends."""

from __future__ import annotations

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker.egd import (
    ADD,
    COUNT,
    LONGEST,
    PID,
    TAKE,
    WAIT,
    Command,
    ProtocolError,
    parse,
)
from hypothesis import given
from hypothesis import strategies as st

WHOLE = {
    b"\x00": Command(COUNT, 1, 0),
    b"\x01\x00": Command(TAKE, 2, 0),
    b"\x01\xff": Command(TAKE, 2, 255),
    b"\x02\x40": Command(WAIT, 2, 64),
    b"\x02\x00": Command(WAIT, 2, 0),
    b"\x03\x00\x08\x00": Command(ADD, 4, 0),
    b"\x03\x00\x08\x02ab": Command(ADD, 6, 0),
    b"\x03\x00\x08\xff" + b"x" * 255: Command(ADD, LONGEST, 0),
    b"\x04": Command(PID, 1, 0),
}


@pytest.mark.parametrize(("data", "command"), WHOLE.items())
def test_a_whole_command(data: bytes, command: Command) -> None:
    assert parse(data) == command
    assert parse(data + b"\x02\x40") == command, "what follows belongs to the next one"


@pytest.mark.parametrize("data", WHOLE)
def test_a_part_of_a_command_is_none_yet(data: bytes) -> None:
    assert all(parse(data[:length]) is None for length in range(len(data)))


@given(st.integers(5, 255), st.binary())
def test_anything_else_is_no_command(first: int, rest: bytes) -> None:
    with pytest.raises(ProtocolError, match=f"{first:02x}"):
        parse(bytes([first]) + rest)
