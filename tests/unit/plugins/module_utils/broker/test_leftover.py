# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one pool leaves to the next one."""

from __future__ import annotations

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker.leftover import Left, parse, render
from hypothesis import given
from hypothesis import strategies as st

LEFT = st.builds(
    Left, count=st.integers(0, 1 << 60), failures=st.integers(0, 1 << 30), proven=st.booleans(), waiting=st.binary()
)


@given(st.dictionaries(st.text(), LEFT, max_size=4))
def test_what_is_left_arrives(left: dict[str, Left]) -> None:
    assert parse(render(left)) == left


@pytest.mark.parametrize(
    "leftover",
    [b"", b"\n", b"x", b"[]\nabc", b'{"getrandom": 1}\n', b'{"getrandom": {}}\nabc', b"\xff\n", b'"x"\n', b"null\n"],
)
def test_what_cannot_be_understood_is_nothing(leftover: bytes) -> None:
    assert parse(leftover) == {}
