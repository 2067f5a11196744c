# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sockets of the broker, in directories as they may be found."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker import config
from ansible_collections.fleet.rng.plugins.module_utils.transport import broker_sockets as here
from ansible_collections.fleet.rng.plugins.module_utils.transport.broker_sockets import broker_sockets


def listen(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


def test_sockets_of_classes_and_nothing_else(tmp_path: Path) -> None:
    for name in ("silver.sock", "gold.sock", "prod.own.sock", "control.sock", "a b.sock", "-x.sock", "gold.sock.new"):
        listen(tmp_path / name)
    (tmp_path / "status.json").write_text("{}")
    (tmp_path / "file.sock").write_text("")
    (tmp_path / "guests.sock").mkdir()
    (tmp_path / "link.sock").symlink_to("gold.sock")
    names = ("gold", "prod.own", "silver")
    assert broker_sockets(str(tmp_path)) == ([f"{tmp_path}/{name}.sock" for name in names], "")


def test_no_broker(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "no")
    assert broker_sockets(nowhere) == ([], f"no broker is there: {nowhere}: No such file or directory")
    assert broker_sockets(str(tmp_path)) == ([], f"no broker is there: {tmp_path} has no sockets")


def test_no_more_than_can_be_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(here, "LIMIT", 2)
    for number in range(3):
        listen(tmp_path / f"c{number}.sock")
    assert len(broker_sockets(str(tmp_path))[0]) == 2


def test_it_is_where_the_daemon_has_it() -> None:
    assert here.DIRECTORY == config.DIRECTORY
    for name in ("gold", "x" * 64, "_a.b-c"):
        assert config.is_class_name(name)
        assert here._SOCKET.fullmatch(f"{name}.sock")
