# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sockets on a real file system: what is replaced, what stays, and who may connect."""

from __future__ import annotations

import grp
import os
import socket
import stat
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker.listener import (
    Listener,
    ListenError,
    open_socket,
    permit,
    remove,
    store_name,
)


def test_nobody_may_connect_before_it_is_permitted(tmp_path: Path) -> None:
    path = tmp_path / "gold.sock"
    with open_socket(str(path)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        permit(str(path), 0o660, None)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_the_directory_is_made(tmp_path: Path) -> None:
    path = tmp_path / "guests" / "web1.sock"
    with open_socket(str(path)), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_socket_of_a_dead_process_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "gold.sock")
    open_socket(path).close()
    assert Path(path).exists()
    with open_socket(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


def test_a_socket_that_somebody_listens_on_stays(tmp_path: Path) -> None:
    path = str(tmp_path / "gold.sock")
    with open_socket(path):
        with pytest.raises(ListenError, match=r"gold\.sock: somebody listens there already"):
            open_socket(path)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: path.symlink_to("/etc/passwd")])
def test_what_is_no_socket_stays(tmp_path: Path, make: object) -> None:
    path = tmp_path / "gold.sock"
    make(path)  # type: ignore[operator]
    with pytest.raises(ListenError, match="is no socket"):
        open_socket(str(path))
    assert path.lstat()


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ListenError, match=r"file/gold\.sock: Not a directory"):
        open_socket(f"{tmp_path}/file/gold.sock")


def test_a_group_that_is_missing_is_told(tmp_path: Path) -> None:
    path = str(tmp_path / "gold.sock")
    with open_socket(path), pytest.raises(ListenError, match="no group no-such-group"):
        permit(path, 0o660, "no-such-group")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file to any group")
def test_without_a_group_it_is_the_daemons_own(tmp_path: Path) -> None:
    path = str(tmp_path / "gold.sock")
    other = next(one for one in grp.getgrall() if one.gr_gid != os.getegid())
    with open_socket(path):
        permit(path, 0o660, other.gr_name)
        assert Path(path).stat().st_gid == other.gr_gid
        permit(path, 0o660, None)
        assert Path(path).stat().st_gid == os.getegid()


def test_tcp_on_loopback() -> None:
    with open_socket("tcp://127.0.0.1:0") as server, socket.socket() as client:
        client.connect(server.getsockname())
        with pytest.raises(ListenError, match="Address already in use"):
            open_socket("tcp://127.0.0.1:" + str(server.getsockname()[1]))


def test_a_listener_knows_whether_its_path_leads_to_it(tmp_path: Path) -> None:
    path = str(tmp_path / "gold.sock")
    first = Listener(path, "gold", open_socket(path), None, 1)
    assert first.is_found()
    Path(path).unlink()
    assert not first.is_found()
    second = Listener(path, "gold", open_socket(path), None, 1)
    assert second.is_found()
    assert not first.is_found(), "the path is another's now"
    for one in (first, second):
        if one.sock:
            one.sock.close()
    remove(path)
    assert not Path(path).exists()
    remove(path)


def test_names_for_systemd_have_no_colon() -> None:
    assert store_name("tcp://127.0.0.1:7001") == "ltcp_//127.0.0.1_7001"
    assert store_name("/run/virtrngd/gold.sock") == "l/run/virtrngd/gold.sock"
