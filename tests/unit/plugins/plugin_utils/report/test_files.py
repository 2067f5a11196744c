# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a report, each as its reader takes it, and none of them half written or half read."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.plugin_utils.report import files
from ansible_collections.fleet.rng.plugins.plugin_utils.report.merge import merge
from ansible_collections.fleet.rng.tests.fleet.generate import NASTY, documents
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

NOW = "2026-11-21T12:00:00Z"
LATER = "2026-11-22T13:01:01Z"
HOSTS = list(documents(13, 12))


def report(hosts: list[dict[str, Any]], generated: str = NOW) -> dict[str, Any]:
    return merge([{**host, "collected": generated} for host in hosts], [], title="title", generated=generated)


def made(hosts: list[dict[str, Any]], *formats: str, generated: str = NOW) -> dict[str, bytes]:
    return dict(files.texts(report(hosts, generated), formats or files.FORMATS))


def test_every_format_holds_every_guest() -> None:
    texts = made(HOSTS)
    guests = [guest for host in HOSTS for guest in host["guests"]]
    assert json.loads(texts["report.json"]) == report(HOSTS)
    for host in HOSTS:
        assert json.loads(texts[f"hosts/{host['hypervisor']}.json"]) == {**host, "collected": NOW}
    assert len(list(csv.reader(io.StringIO(texts["guests.csv"].decode(), newline="")))) == 1 + len(guests)
    families = {family.name: family for family in text_string_to_metric_families(texts["rng.prom"].decode())}
    assert len(families["fleet_rng_guest_running"].samples) == len(guests)
    assert texts["report.html"].startswith(b"<!DOCTYPE html>")
    assert set(texts) == {*files.NAMES.values(), *(f"hosts/{host['hypervisor']}.json" for host in HOSTS)}


@pytest.mark.parametrize("wanted", files.FORMATS)
def test_only_what_is_wanted(wanted: str) -> None:
    assert {name for name in made(HOSTS[:1], wanted) if "/" not in name} == {files.NAMES[wanted]}


def test_json_is_one_line_for_each_guest_and_safe_to_print() -> None:
    host = {**HOSTS[0], "guests": [{**HOSTS[0]["guests"][0], "name": name} for name in NASTY]}
    text = made([host], "json")[f"hosts/{host['hypervisor']}.json"]
    assert text.isascii()
    assert text.count(b"\n") == len(NASTY) + 2
    assert [guest["name"] for guest in json.loads(text)["guests"]] == list(NASTY)


def test_text_that_is_no_unicode_stops_nothing() -> None:
    odd = {**HOSTS[0], "guests": [{**HOSTS[0]["guests"][0], "name": "\ud800", "reason": "\udfff"}]}
    texts = made([odd])
    assert b"\\ud800" in texts["guests.csv"]
    assert json.loads(texts["report.json"])["hosts"][0]["guests"][0]["name"] == "\ud800"


@pytest.mark.parametrize(
    ("hypervisor", "name"),
    [
        ("hv1.example.com", "hv1.example.com.json"),
        ("../../etc/passwd", "..%2F..%2Fetc%2Fpasswd.json"),
        ("..", "...json"),
        ("", ".json"),
        ("a b\n", "a%20b%0A.json"),
        ("é", "%C3%A9.json"),
    ],
)
def test_no_name_leaves_the_directory(hypervisor: str, name: str) -> None:
    assert files.file_name(hypervisor) == name


@given(st.text(max_size=300), st.text(max_size=300))
def test_every_hypervisor_has_a_file_of_its_own(one: str, other: str) -> None:
    names = {files.file_name(one), files.file_name(other)}
    assert len(names) == len({one, other})
    assert all("/" not in name and len(name) < 200 and name.isascii() for name in names)


def test_long_names_differ_though_they_begin_alike() -> None:
    assert files.file_name("x" * 255) != files.file_name("x" * 254)


# What differs -------------------------------------------------------------------------------------------------------


def test_only_the_time_is_nothing_new() -> None:
    early, late = made(HOSTS), made(HOSTS, generated=LATER)
    assert early.keys() == late.keys()
    assert [name for name in early if early[name] == late[name]] == []
    assert [name for name in early if not files.same(early[name], late[name])] == []


def test_anything_else_is_something_new() -> None:
    changed = [
        {**HOSTS[0], "guests": [{**HOSTS[0]["guests"][0], "running": None}, *HOSTS[0]["guests"][1:]]},
        *HOSTS[1:],
    ]
    changed[0]["guests"][0]["running"] = not HOSTS[0]["guests"][0]["running"]
    early, late = made(HOSTS), made(changed, generated=LATER)
    untouched = [f"hosts/{host['hypervisor']}.json" for host in HOSTS[1:]]
    assert [name for name in early if files.same(early[name], late[name])] == untouched


def test_a_file_that_is_not_there_is_something_new() -> None:
    assert not files.same(None, b"")


# Reading ------------------------------------------------------------------------------------------------------------


def test_documents_of_a_directory_its_hosts_and_its_slices(tmp_path: Path) -> None:
    for name in ("hosts/a.json", "slice1/hosts/b.json", "slice2/hosts/c.json", "loose.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    for name in ("report.json", "hosts/.d.json.tmp", "guests.csv", "slice1/report.json", "a/b/hosts/e.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("no")
    found = [one.content.decode() for one in files.find(tmp_path)]
    assert found == ["hosts/a.json", "loose.json", "slice1/hosts/b.json", "slice2/hosts/c.json"]
    own = [one.content.decode() for one in files.find(tmp_path, loose=False)]
    assert own == ["hosts/a.json", "slice1/hosts/b.json", "slice2/hosts/c.json"]


def test_a_report_without_its_hosts_is_read(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{}")
    assert [one.content for one in files.find(tmp_path)] == [b"{}"]


def test_no_directory(tmp_path: Path) -> None:
    (found,) = files.find(tmp_path / "gone")
    assert found == files.Found(str(tmp_path / "gone"), error="there is no such directory")
    assert list(files.find(tmp_path / "gone", loose=False)) == []


def test_what_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST", 2 * 1024 * 1024)
    os.mkfifo(tmp_path / "a.json")
    (tmp_path / "b.json").mkdir()
    (tmp_path / "c.json").symlink_to("nowhere")
    (tmp_path / "d.json").write_bytes(b"x" * (files.LARGEST + 1))
    (tmp_path / "e.json").write_bytes(b"x" * files.LARGEST)
    found = list(files.find(tmp_path))
    assert [one.error for one in found] == [
        "it is no regular file",
        "it is no regular file",
        "it cannot be read: No such file or directory",
        "it is larger than 2 MiB",
        "",
    ]
    assert [len(one.content) for one in found] == [0, 0, 0, 0, files.LARGEST]


# Writing ------------------------------------------------------------------------------------------------------------


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o022, 0o077, 0])
def test_permissions_are_those_asked_for(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        assert files.make_directory(tmp_path / "a" / "b", 0o750)
        files.write(tmp_path / "a" / "b" / "c", b"text", 0o640)
    finally:
        os.umask(before)
    assert [mode(tmp_path / name) for name in ("a", "a/b", "a/b/c")] == [0o750, 0o750, 0o640]


def test_a_directory_that_exists_is_left_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert not files.make_directory(tmp_path, 0o755)
    assert mode(tmp_path) == 0o700


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        files.write(path, b"new", 0o600)
        assert reader.read() == b"old"
    assert files.content_of(path) == b"new"
    assert [one.name for one in tmp_path.iterdir()] == ["a"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def full(*dummy: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fchmod", full)
    with pytest.raises(OSError, match="No space left"):
        files.write(path, b"new", 0o600)
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == {"a": b"old"}


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"other")
    link.symlink_to(target)
    files.write(link, b"new", 0o644)
    assert (target.read_bytes(), link.read_bytes(), link.is_symlink()) == (b"other", b"new", False)


def test_no_content(tmp_path: Path) -> None:
    assert files.content_of(tmp_path / "gone") is None
