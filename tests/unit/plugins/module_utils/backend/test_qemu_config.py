# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which file is a guest's configuration, and whether it may be written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.backend import qemu_config
from ansible_collections.fleet.rng.plugins.module_utils.backend.qemu_config import look
from ansible_collections.fleet.rng.plugins.module_utils.backend.qemu_guests import Entry
from ansible_collections.fleet.rng.plugins.module_utils.backend.qemu_options import Options
from ansible_collections.fleet.rng.plugins.module_utils.codec.qemu_words import parse_words
from ansible_collections.fleet.rng.plugins.module_utils.device import RngDevice
from ansible_collections.fleet.rng.plugins.module_utils.errors import GuestError
from ansible_collections.fleet.rng.plugins.module_utils.transport import config_file, process

PORT = '[device "rp1"]\n  driver = "pcie-root-port"\n'
RNG = '[device "vrng0"]\n  driver = "virtio-rng-pci"\n'
DEVICE = RngDevice.from_wire({})


@pytest.fixture(autouse=True)
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "sole_uid", lambda pid: 0)


def running(*words: Any, name: str = "web1") -> Entry:
    """A guest whose process is this one."""
    return Entry(os.getpid(), parse_words(["qemu", *map(str, words)]), name=name)


def test_of_several_files_the_last_or_the_one_with_ours(tmp_path: Path) -> None:
    first, second = tmp_path / "a.cfg", tmp_path / "b.cfg"
    first.write_text(PORT)
    second.write_text(RNG)
    entry = running("-readconfig", first, "-readconfig", second)
    found = look(entry, Options())
    assert (found.path, found.ports) == (str(second), ())
    qemu_config.add(look(running("-readconfig", first), Options()), DEVICE, "ua-fleet-rng", "virtio-rng-pci")
    assert 'bus = "rp1"' in first.read_text()
    found = look(entry, Options())
    assert found.path == str(first)
    assert [rng.alias for rng in found.rngs or ()] == ["ua-fleet-rng", "vrng0"]
    with pytest.raises(GuestError, match="has to be taken away there"):
        qemu_config.remove(found, (found.rngs or ())[1])


def test_one_port_serves_a_replacement_too(tmp_path: Path) -> None:
    file = tmp_path / "a.cfg"
    file.write_text(PORT)
    for number, alias in enumerate(("ua-fleet-rng", "ua-fleet-rng-2")):
        found = look(running("-readconfig", file), Options())
        assert found.ports == ("rp1",)
        old = found.rngs or ()
        qemu_config.add(found, RngDevice.from_wire({"max_bytes": 64 * (number + 1)}), alias, "virtio-rng-pci")
        for gone in old:
            qemu_config.remove(found, gone)
        assert file.read_text().count('bus = "rp1"') == 1
        assert f'[device "{alias}"]' in file.read_text()


def test_ports_of_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "a.cfg"
    file.write_text("")
    ports = [word for port in ("rp1", "rp2") for word in ("-device", f"pcie-root-port,id={port}")]
    entry = running(*ports, "-device", "e1000e,bus=rp1", "-readconfig", file)
    assert look(entry, Options()).ports == ("rp2",)
    qemu_config.add(look(entry, Options()), DEVICE, "ua-fleet-rng", "virtio-rng-ccw")
    assert "bus" not in file.read_text()


def test_an_rng_on_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "a.cfg"
    file.write_text("")
    found = look(
        running(
            "-object", "rng-random,id=r,filename=/dev/random", "-device", "virtio-rng-pci,rng=r", "-readconfig", file
        ),
        Options(),
    )
    (rng,) = found.rngs or ()
    assert str(rng.device) == "/dev/random, unlimited"
    with pytest.raises(GuestError, match="is given on its command line"):
        qemu_config.remove(found, rng)


def test_without_a_file() -> None:
    found = look(running("-S"), Options())
    assert (found.rngs, found.path) == (None, "")
    assert "no -readconfig file" in found.notes[0]


def test_a_file_of_our_own(tmp_path: Path) -> None:
    options = Options(config_dir=str(tmp_path))
    found = look(running("-S"), options)
    assert (found.path, found.rngs) == (f"{tmp_path}/web1.cfg", ())
    assert found.notes[1].startswith("its start command does not read")
    qemu_config.add(found, DEVICE, "ua-fleet-rng", "virtio-rng-pci")
    assert qemu_config.names(options) == ("web1",)
    included = look(running("-readconfig", found.path, name="other"), Options())
    assert [rng.device for rng in included.rngs or ()] == [DEVICE]
    assert included.notes == ()
    qemu_config.remove(included, (included.rngs or ())[0])
    assert Path(found.path).read_text() == ""


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".x", "a\n", "$(id)"])
def test_names_that_are_no_file_names(name: str, tmp_path: Path) -> None:
    found = look(running(name=name), Options(config_dir=str(tmp_path)))
    assert found.rngs is None
    assert "no name for a file" in found.notes[0]


def test_a_file_by_the_operators_word(tmp_path: Path) -> None:
    options = Options(configs=(("web1", str(tmp_path / "a")),), config_dir=str(tmp_path / "none"))
    (tmp_path / "a").write_text('[machine]\n  type = "q35"\n' + RNG)
    assert qemu_config.names(options) == ("web1",)
    found = look(Entry(name="web1"), options)
    assert (len(found.rngs or ()), found.machine, found.notes) == (1, "q35", ())


def test_files_that_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.cfg"
    file.write_text("no QEMU file\n")
    assert "left alone" in look(running("-readconfig", file), Options()).notes[0]
    file.write_text("")
    assert "no file of this host" in look(running("-readconfig", "/dev/fdset/1"), Options()).notes[0]
    assert "not to be seen" in look(running("-readconfig", tmp_path / "none"), Options()).notes[0]
    monkeypatch.setattr(process, "sole_uid", lambda pid: 4711)
    assert "belongs to another user" in look(running("-readconfig", file), Options()).notes[0]
    assert look(running("-readconfig", file), Options(config_roots=(str(tmp_path),))).path == str(file)
    monkeypatch.setattr(process, "sole_uid", lambda pid: os.geteuid())
    assert look(running("-readconfig", file), Options()).path == str(file)
    monkeypatch.setattr(process, "PROC", str(tmp_path))
    other = tmp_path / str(os.getpid()) / "root" / str(file)[1:]
    other.parent.mkdir(parents=True)
    other.write_text("")
    assert "another file for its QEMU" in look(running("-readconfig", file), Options()).notes[0]


def test_another_device_has_our_name(tmp_path: Path) -> None:
    file = tmp_path / "a.cfg"
    file.write_text('[device "ua-fleet-rng"]\n  driver = "e1000"\n')
    with pytest.raises(GuestError, match="another device ua-fleet-rng"):
        qemu_config.add(look(running("-readconfig", file), Options()), DEVICE, "ua-fleet-rng", "virtio-rng-pci")


SECRET = "root:$y$j9T$secret:20000:0:99999:7:::"


@pytest.fixture
def strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Options]:
    """A file that is not for everybody, on the command line of somebody else's process, and a directory of ours."""
    monkeypatch.setattr(process, "sole_uid", lambda pid: 4711)
    monkeypatch.setattr(qemu_config, "_is_public", lambda real, status: bool(status.st_mode & 0o004))
    file = tmp_path / "shadow"
    file.write_text(SECRET + "\n")
    file.chmod(0o640)
    (tmp_path / "ours").mkdir()
    return file, Options(config_dir=str(tmp_path / "ours"))


def test_what_only_others_may_read_is_not_read(strangers: tuple[Path, Options]) -> None:
    file, options = strangers
    found = look(running("-readconfig", file), options)
    assert (found.path, found.rngs) == ("", None), "without that file nobody knows what the guest has"
    why = "belongs to another user than its process, and its directory is not among config_roots, and not everybody may"
    assert found.notes == (f"its configuration file is left alone: {file} {why} read it",)
    file.chmod(0o644)
    (note,) = look(running("-readconfig", file), options).notes
    assert f"{file}: line 1 is not of a QEMU configuration file" in note
    assert "secret" not in note
    file.write_text(RNG)
    found = look(running("-readconfig", file), options)
    assert [rng.alias for rng in found.rngs or ()] == ["vrng0"], "what everybody may read is read"
    assert found.path == f"{options.config_dir}/web1.cfg", "and not written"


def test_what_a_process_names_beside_the_operators_file(strangers: tuple[Path, Options]) -> None:
    file, dummy = strangers
    (file.parent / "a.cfg").write_text(RNG)
    words = ("-readconfig", file, "-readconfig", file.parent / "a.cfg")
    found = look(running(*words), Options(configs=(("web1", str(file.parent / "a.cfg")),)))
    assert found.rngs is None
    assert "not everybody may read it" in found.notes[0]
    file.write_text("")
    mapped = look(running("-readconfig", file), Options(configs=(("web1", str(file)),)))
    assert (mapped.path, mapped.rngs) == (str(file), ()), "what the operator names is his"


@pytest.mark.parametrize("path", ["/dev/zero", "/proc/self/environ", "fifo", "folder", "link", ""])
def test_what_is_no_file_is_not_even_opened(
    path: str, strangers: tuple[Path, Options], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, options = strangers
    monkeypatch.setattr(process, "sole_uid", lambda pid: 0)
    os.mkfifo(file.parent / "fifo")
    (file.parent / "folder").mkdir()
    (file.parent / "link").symlink_to("/dev/zero")
    opened = []
    monkeypatch.setattr(config_file, "open", lambda *what: opened.append(what), raising=False)
    found = look(running("-readconfig", path if path.startswith("/") else path and file.parent / path), options)
    assert (found.rngs, opened) == (None, [])
    assert "no file of this host" in found.notes[0] or "no regular file" in found.notes[0]


@pytest.mark.parametrize(
    ("folder", "file", "public"), [(0o755, 0o644, True), (0o750, 0o644, False), (0o755, 0o640, False)]
)
def test_everybody(folder: int, file: int, public: bool) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        path = Path(name, "a.cfg")
        path.parent.chmod(folder)
        path.write_text("")
        path.chmod(file)
        assert qemu_config._is_public(str(path), path.stat()) is public
    assert not qemu_config._is_public(str(path), Path("/").stat()), "it has gone meanwhile"
